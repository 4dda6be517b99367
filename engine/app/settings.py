"""Settings: one TOML file, environment overrides `ROUNDTRIP__SECTION__KEY`, unknown keys refused.

Secrets are never settings: keys live in an encrypted keystore, its passphrase in a file, a systemd
credential or the terminal.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from engine.domain.errors import ConfigError
from engine.execution.bids import FirstPrice
from engine.risk.breakers import BreakerLimits
from engine.risk.limits import RiskLimits
from engine.telemetry.alerts import QuietHours

ENVIRONMENT_PREFIX = "ROUNDTRIP__"
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_PATH_SECRET = re.compile(r"[A-Za-z0-9_-]{20,}")


def _lower_address(value: str) -> str:
    if not re.fullmatch(r"0x[0-9a-fA-F]{40}", value):
        raise ValueError(f"{value!r} is not a 20-byte 0x-address")
    return value.lower()


def _node_url(value: str) -> str:
    if not re.match(r"^(https?|wss?)://[^\s/]+", value) and not value.endswith(".ipc"):
        raise ValueError(f"{redact_url(value)!r} is not an http(s)://, ws(s):// or .ipc endpoint")
    return value


def _ladder(shares: tuple[int, ...]) -> tuple[int, ...]:
    try:
        return FirstPrice(shares).ladder_bps
    except ValueError as error:
        raise ValueError(str(error)) from None


def _hours(value: str) -> str:
    QuietHours.parse(value)
    return value


Address = Annotated[str, AfterValidator(_lower_address)]
NodeUrl = Annotated[str, AfterValidator(_node_url)]
# One address may be written without the brackets of a list.
NodeUrls = Annotated[
    list[NodeUrl],
    BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
    Field(min_length=1),
]


def redact_url(url: str) -> str:
    """The URL without user names, passwords and long path or query parts, which providers use as API keys."""
    url = _CREDENTIALS.sub("***@", url)
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    host, slash, path = rest.partition("/")
    return scheme + separator + host + slash + _PATH_SECRET.sub("***", path)


class Section(BaseModel):
    """A settings section: immutable, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ChainSettings(Section):
    """The node, or several of one chain: the healthiest is asked, the others stand in and bear witness.

    `requests_per_second` throttles reads of each endpoint; `timeout_s` per request. Nothing is traded on a
    block that fewer than `head_witnesses` endpoints know (or than all, where fewer are named).
    The block to trade in is taken to come `block_interval_s` after the head.
    """

    chain_id: int = Field(gt=0, description="the chain the bot is meant for; another one is refused")
    rpc_url: NodeUrls = Field(
        description="http(s)://, ws(s):// or .ipc endpoint, or a list of them; ws gives the quickest heads"
    )
    requests_per_second: int = Field(default=1_000, gt=0)
    timeout_s: float = Field(default=10.0, gt=0)
    head_witnesses: int = Field(default=2, ge=1)
    block_interval_s: int = Field(default=12, gt=0)

    @property
    def shown_url(self) -> str:
        """The addresses, credentials masked."""
        return ", ".join(map(redact_url, self.rpc_url))


class DeploymentSettings(Section):
    """Where the manifests of our contracts are: `<directory>/<chain-id>/<Contract>.json`."""

    directory: Path = Path("deployments")


class MarketSettings(Section):
    """Which tokens start and end cycles, which one prices gas, and where the search for pools begins.

    `pools_file` is a JSON list of further pools, `{"address", "protocol"}` each; with `only_listed` no others
    are searched for.
    """

    base_tokens: list[Address] = Field(min_length=1)
    wrapped_native: Address = Field(description="the token that is worth one native coin, e.g. WETH")
    discovery_from_block: int = Field(default=0, ge=0)
    pools_file: Path | None = None
    only_listed: bool = False


Feature = Literal["pausable", "blacklist", "fee", "limits", "rebasing", "mintable", "upgradeable", "proxy"]
FinderName = Literal["incremental", "full", "joint"]


class SearchSettings(Section):
    """How cycles are searched. `per_block` opportunities at most go to the risk chain per block.

    `finder`: `incremental` looks only through pools that changed, `full` through all of them in every block,
    `joint` also solves for the optimum over all pools and prefers cycles that are best together. A search
    stops after `deadline_ms` with what it has, which is counted as partial.
    """

    finder: FinderName = "incremental"
    max_hops: int = Field(default=3, ge=2, le=4)
    per_block: int = Field(default=32, gt=0)
    deadline_ms: int = Field(default=3_000, gt=0)


class TokenSettings(Section):
    """How tokens are judged before they are traded (`risk.token_verdicts`).

    A good verdict lasts `valid_for_s`, a bad one `retry_after_s`; at first only two blocks, then eight and so
    on, where the token passed before with the same code, for the node may have said wrong. Tokens whose code
    has one of `refused_features` are refused even when they behave. A start waits at most `startup_s` for its
    tokens; the others are judged beside the line.
    """

    valid_for_s: int = Field(default=21_600, gt=0)
    retry_after_s: int = Field(default=3_600, gt=0)
    refused_features: tuple[Feature, ...] = ("rebasing",)
    startup_s: float = Field(default=20.0, ge=0)


class GasSettings(Section):
    """Gas model used for net profit, gas units. `data_fee`: how the chain charges for a transaction's bytes;
    "auto" is what its table in `deployments/chains` says, "none" where it has none."""

    data_fee: Literal["auto", "none", "op-stack", "arbitrum"] = "auto"
    base: int = Field(default=60_000, gt=0)
    v2_hop: int = Field(default=65_000, gt=0)
    v3_hop: int = Field(default=95_000, gt=0)


class BidSettings(Section):
    """What builders are offered. "fixed" sends at `execution.priority_fee_wei`; "first-price" offers the
    share of the profit (1e-4) among `shares_bps` that has paid best, between that fee and `cap_wei` per gas,
    and never leaves less than `keep_bps` of it.

    `payment`: "fee" offers by priority fee, which a reverted transaction pays as well; "landing" has the run
    itself pay, so that only what lands pays, for 16,000 gas more and in the wrapped native token only: for
    channels through which reverts are mined."""

    payment: Literal["fee", "landing"] = "fee"
    policy: Literal["fixed", "first-price"] = "fixed"
    shares_bps: Annotated[tuple[int, ...], AfterValidator(_ladder)] = (9000, 9300, 9600, 9800, 9900)
    cap_wei: int = Field(default=100_000_000_000, ge=0)
    keep_bps: int = Field(default=100, ge=0, le=10_000)


class LenderSettings(Section):
    """Who lends where no pool of a cycle pays first: a Morpho, or an Aave V3 pool. Fees are asked for.
    Balancer's vault lends without being named, if the router was constructed with it."""

    kind: Literal["morpho", "aave"]
    address: Address


class ExecutionSettings(Section):
    """Terms of sending. `min_profit_bps` is the part of the expected profit that the router enforces, 1e-4;
    `deadline_s` after the block built on; `missed_after_blocks` until an unmined transaction is cancelled.

    `together` opportunities of one base token at most go out in one transaction, all or none; with 1 each has
    its own.

    `submission`: "public" uses the node's own pool, "private" the endpoint `private_rpc_url` (a protected
    endpoint, or a sequencer), "bundles" the `relays`: names of `engine/chain/builders.toml`, each with what
    differs, e.g. `[execution.relays.titan]` or `[execution.relays.mine]` with a `url`.

    `pin` binds a transaction to its "deadline", to the "block" it is made for, or to that block upon its
    "parent". "auto" pins bundles to block and parent, what goes to a private endpoint to its block (to the
    deadline where blocks come every 4 s or quicker, since they pass before it arrives), the rest to the
    deadline. `access_lists`: "auto" learns beside the line what cycles touch, and lists it where that saves
    `access_list_least_gas` or more, on chains that charge nothing for bytes. `lenders` may lend to cycles in
    which no pool pays first; the cheapest is chosen."""

    live: bool = False
    priority_fee_wei: int = Field(default=100_000_000, ge=0)
    min_profit_bps: int = Field(default=10_000, ge=0, le=10_000)
    deadline_s: int = Field(default=36, gt=0)
    missed_after_blocks: int = Field(default=3, gt=0)
    together: int = Field(default=4, gt=0, le=32)
    submission: Literal["public", "private", "bundles"] = "public"
    private_rpc_url: NodeUrl | None = None
    relays: dict[str, dict[str, Any]] = Field(default_factory=dict)
    pin: Literal["auto", "deadline", "block", "parent"] = "auto"
    lenders: tuple[LenderSettings, ...] = ()
    access_lists: Literal["off", "auto"] = "off"
    access_list_least_gas: int = Field(default=500, gt=0)


class LaneSettings(Section):
    """Another operator: its keystore, and the router that obeys it."""

    keystore: Path
    router: Address
    passphrase_file: Path | None = None


class KeySettings(Section):
    """The operator's encrypted keystore and where its passphrase is read from; the same for the identity that
    signs requests to relays, which must be another key. `lanes` are further operators: trades go through the
    lane with the least in flight."""

    keystore: Path | None = None
    passphrase_file: Path | None = None
    identity: Path | None = None
    identity_passphrase_file: Path | None = None
    lanes: tuple[LaneSettings, ...] = ()


class StorageSettings(Section):
    """Folder of the journal and the ledger, which are compared with each other and with the chain every
    `reconcile_every_s` seconds; a disagreement halts."""

    directory: Path = Path(".roundtrip")
    reconcile_every_s: float = Field(default=3_600.0, gt=0)


class AlertSettings(Section):
    """Who is told. `services_file` lists addresses of services as Apprise has them, one a line; they are
    secrets, so the file must be readable by its owner only. The same alert is told once in `repeat_after_s`;
    in `quiet_hours` ("22:30-07:00", local time) only what is critical is told."""

    services_file: Path | None = None
    least: Literal["info", "warning", "critical"] = "warning"
    repeat_after_s: float = Field(default=3_600.0, ge=0)
    quiet_hours: Annotated[str, AfterValidator(_hours)] | None = None


class LogSettings(Section):
    """Logs go to stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["console", "json"] = "console"


class Settings(Section):
    """Everything a run needs to know."""

    chain: ChainSettings
    market: MarketSettings
    deployments: DeploymentSettings = DeploymentSettings()
    search: SearchSettings = SearchSettings()
    gas: GasSettings = GasSettings()
    risk: RiskLimits = RiskLimits()
    tokens: TokenSettings = TokenSettings()
    breakers: BreakerLimits = BreakerLimits()
    alerts: AlertSettings = AlertSettings()
    execution: ExecutionSettings = ExecutionSettings()
    bid: BidSettings = BidSettings()
    keys: KeySettings = KeySettings()
    storage: StorageSettings = StorageSettings()
    log: LogSettings = LogSettings()


def load_settings(path: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """Read a TOML file and the environment's overrides.

    Raises ConfigError, in one sentence, for a missing or malformed file, an unknown key (with the nearest
    known one) or a bad value.
    """
    try:
        raw = tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise ConfigError(f"configuration file {path} does not exist: name one with --config") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"configuration file {path} cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"configuration file {path} is not valid TOML: {error}") from None
    for section, key, value in environment_overrides(os.environ if environment is None else environment):
        target = raw.setdefault(section, {})
        if not isinstance(target, dict):
            raise ConfigError(f"{path}: {section} must be a table, as in [{section}]")
        target[key] = value
    return build_settings(raw, str(path))


def build_settings(raw: Mapping[str, Any], origin: str) -> Settings:
    """Validate a mapping of sections; `origin` names it in the error. Raises ConfigError."""
    try:
        return Settings.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{origin}: {_sentence(error)}") from None


def environment_overrides(environment: Mapping[str, str]) -> list[tuple[str, str, Any]]:
    """(section, key, value) of every `ROUNDTRIP__SECTION__KEY`; values are read as TOML, else as text."""
    overrides = []
    for name, text in sorted(environment.items()):
        if not name.startswith(ENVIRONMENT_PREFIX):
            continue
        section, separator, key = name[len(ENVIRONMENT_PREFIX) :].lower().partition("__")
        if not separator or not key:
            raise ConfigError(
                f"environment variable {name} names no setting: write ROUNDTRIP__SECTION__KEY, "
                "as in ROUNDTRIP__CHAIN__RPC_URL"
            )
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        overrides.append((section, key, value))
    return overrides


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    model: Any = Settings
    for part in location[:-1]:
        field = getattr(model, "model_fields", {}).get(part)
        if field is None:
            return []
        model = field.annotation
    return list(getattr(model, "model_fields", {}))


def _sentence(error: ValidationError) -> str:
    # A mistyped key is both unknown and missing: the unknown one is what the person wrote.
    first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(first["loc"][-1]), _known_keys(first["loc"]), n=1)
        return f"unknown setting {where}" + (f": did you mean {near[0]}?" if near else ": remove it")
    if first["type"] == "missing":
        return f"setting {where} is missing: add it"
    message = first["msg"].removeprefix("Value error, ")
    shown = first["input"]
    if isinstance(shown, str | int | float | bool) and first["type"] != "value_error":
        message += f", not {redact_url(str(shown))!r}"
    return f"setting {where}: {message[0].lower() + message[1:]}"


def masked(settings: Settings) -> dict[str, Any]:
    """The settings as JSON-ready values, with credentials in URLs masked."""
    shown = settings.model_dump(mode="json")
    masked_urls = [redact_url(url) for url in settings.chain.rpc_url]
    shown["chain"]["rpc_url"] = masked_urls if len(masked_urls) > 1 else masked_urls[0]
    return shown


def with_rpc_url(settings: Settings, url: str) -> Settings:
    """The settings with another node. Raises ConfigError for a malformed address."""
    raw = settings.model_dump()
    raw["chain"]["rpc_url"] = url
    return build_settings(raw, "--rpc")
