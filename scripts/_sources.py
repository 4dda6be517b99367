"""Price sources as a listing describes them, and the contracts that they come to.

A feed's entry is either one Chainlink-style aggregator (`aggregator`, `max_staleness`, `min_answer`,
`max_answer`) or a list `sources` of such things and others, each with a `kind`; `cross_checks` is a list too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eth_utils import function_signature_to_4byte_selector as selector
from eth_utils import to_checksum_address

from engine.domain.errors import DeploymentError
from scripts._artifacts import build
from scripts._chain import creation_code
from scripts._fields import address, integer
from scripts._send import Creator, code_at, create2_address

USD = to_checksum_address("0x0000000000000000000000000000000000000348")
_DEFAULT_SPREAD_BPS = 100
_DEFAULT_CROSS_BPS = 300
_DEPLOYED = "deployed"
_KINDS = ("chainlink", "twap", "vault-rate", "inverse", "cross", "deployed")


@dataclass(frozen=True, slots=True)
class Source:
    """One contract of `contracts/src/feeds` and its constructor arguments; an argument may be a source."""

    contract: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class FeedListing:
    """The fields of `IPriceFeedRegistry.Feed`, in its order, with sources yet to be deployed."""

    base: str
    quote: str
    min_sources: int
    max_spread_bps: int
    max_cross_bps: int
    sources: tuple[Source, ...]
    cross_checks: tuple[Source, ...]


def read_feed(entry: dict[str, Any]) -> FeedListing:
    """One feed. Raises KeyError for a missing field, ValueError with the rest of a sentence."""
    base, quote = address(entry, "base"), _quote(entry)
    rows = entry["sources"] if "sources" in entry else [{"kind": "chainlink", **_flat(entry)}]
    crosses = entry.get("cross_checks", [])
    if not isinstance(rows, list) or not rows or not isinstance(crosses, list):
        raise ValueError("has sources or cross_checks that are not lists")
    sequencer = entry.get("sequencer")
    sources = tuple(_guarded(_source(row, base, quote), sequencer) for row in rows)
    checks = tuple(_guarded(_source(row, base, quote), sequencer) for row in crosses)
    spread = integer({"max_spread_bps": _DEFAULT_SPREAD_BPS, **entry}, "max_spread_bps")
    cross = integer({"max_cross_bps": _DEFAULT_CROSS_BPS, **entry}, "max_cross_bps")
    return FeedListing(
        base,
        quote,
        integer({"min_sources": len(sources), **entry}, "min_sources"),
        spread if len(sources) > 1 else 0,
        cross if checks else 0,
        sources,
        checks,
    )


def _flat(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: entry[key] for key in ("aggregator", "max_staleness", "min_answer", "max_answer")}


def _quote(entry: dict[str, Any]) -> str:
    return USD if str(entry["quote"]).lower() == "usd" else address(entry, "quote")


def _guarded(source: Source, sequencer: Any) -> Source:
    """The source behind the rollup's uptime feed where there is one."""
    if sequencer is None:
        return source
    if not isinstance(sequencer, dict):
        raise ValueError("has a sequencer that is not a table of uptime_feed and grace_s")
    return Source(
        "SequencerSource", (source, address(sequencer, "uptime_feed"), integer(sequencer, "grace_s"))
    )


def _source(row: dict[str, Any], base: str, quote: str) -> Source:
    """A source of (base, quote), unless the row says otherwise."""
    base = address(row, "base") if "base" in row else base
    quote = _quote(row) if "quote" in row else quote
    kind = row["kind"]
    if kind == "chainlink":
        limits = [integer(row, name) for name in ("max_staleness", "min_answer", "max_answer")]
        # The phase is the aggregator's own, read when the source is deployed.
        return Source("ChainlinkSource", (base, quote, address(row, "aggregator"), None, *limits))
    if kind == "deployed":
        return Source(_DEPLOYED, (address(row, "address"),))
    if kind == "twap":
        terms = (integer(row, "window_s"), integer(row, "min_liquidity"))
        return Source("TwapSource", (base, quote, address(row, "pool"), *terms))
    if kind == "vault-rate":
        growth = integer(row, "max_growth_bps_per_day")
        return Source("VaultRateSource", (base, integer(row, "min_rate_e18"), growth))
    if kind == "inverse":
        return Source("InverseSource", (_source(row["of"], quote, base),))
    if kind == "cross":
        first, second = row["first"], row["second"]
        middle = _quote(first)
        return Source("CrossSource", (_source(first, base, middle), _source(second, middle, quote)))
    raise ValueError(f"has a source of kind {kind!r}, which is none of {', '.join(_KINDS)}")


@dataclass(frozen=True, slots=True)
class Placed:
    """A source at its address: what creates it and the arguments it is given."""

    address: str
    contract: str
    arguments: tuple[Any, ...]
    creation_code: bytes

    @property
    def there(self) -> bool:
        """Whether it is deployed."""
        return bool(code_at(self.address))


def place(source: Source, salt: str) -> list[Placed]:
    """The contracts a source comes to, inner ones first, itself last. Reads the phase of aggregators."""
    if source.contract == _DEPLOYED:
        return [Placed(source.arguments[0], _DEPLOYED, (), b"")]
    inner: list[Placed] = []
    arguments = []
    for argument in source.arguments:
        if isinstance(argument, Source):
            inner += place(argument, salt)
            argument = inner[-1].address
        elif argument is None:
            argument = _phase(source.arguments[2])
        arguments.append(argument)
    made = build(source.contract)
    code = creation_code(made, tuple(arguments))
    return [*inner, Placed(create2_address(salt, code), source.contract, tuple(arguments), code)]


def deploy_sources(creator: Creator, placed: list[Placed]) -> int:
    """Deploy what is not there yet; the number of contracts deployed."""
    missing = list({one.address: one for one in placed if not one.there}.values())
    for one in missing:
        creator.create(one.creation_code)
    return len(missing)


def _phase(aggregator: str) -> int:
    """The phase of a proxy: the bits above the lower 64 of its round numbers."""
    # Here, because importing Ape changes how eth_abi decodes for the whole process.
    from ape import networks

    try:
        answer = networks.provider.make_request(
            "eth_call", [{"to": aggregator, "data": "0x" + selector("latestRoundData()").hex()}, "latest"]
        )
        return int(answer[2:66], 16) >> 64
    except Exception as error:
        raise DeploymentError(
            f"the aggregator {aggregator} does not answer latestRoundData(): correct its address"
        ) from error
