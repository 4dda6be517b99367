"""`roundtrip scan`: one full search over a snapshot or a node's pools."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from engine.app.kernels import warm_kernels
from engine.app.node_market import NodeScope, read_node_market
from engine.app.output import progress_bar
from engine.app.scan_plot import draw, require_plottable
from engine.app.scan_report import ScanReport
from engine.app.scan_table import render
from engine.domain.errors import UsageError
from engine.domain.opportunity import Opportunity
from engine.market.market import Market
from engine.market.snapshot import load
from engine.search.costs import GasCosts
from engine.search.finder import Finder
from engine.search.valuation import est_base_units_per_wei

KNOWN_BASES = ("WETH", "USDC", "USDT", "DAI", "WBTC")
_NATIVE = "WETH"
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


def scan_market(
    market: Market,
    base_tokens: Sequence[str],
    max_hops: int,
    top: int | None,
    gas_price_wei: int | None = None,
) -> ScanReport:
    """Search the whole market once, as of its head.

    Base tokens are valued by the market's own deepest pools against WETH. `gas_price_wei` defaults to the
    head's base fee.
    """
    assert market.head is not None
    price = market.head.base_fee_wei if gas_price_wei is None else gas_price_wei
    costs = GasCosts(gas_price_wei=price, base_units_per_eth_wei=_valuation(market, base_tokens))
    finder = Finder(market, base_tokens, max_hops)
    _compile(finder, market, costs)
    started = time.perf_counter()
    opportunities = finder.find(None, market.head, costs, top)
    elapsed_ms = (time.perf_counter() - started) * 1000
    return ScanReport(
        market.head,
        market.pool_count - len({market.pools[row].key for row in market.quarantined}),
        finder.candidates_count,
        opportunities,
        elapsed_ms,
        price,
    )


def known_bases(market: Market) -> list[str]:
    """Addresses of the usual base tokens by symbol; of several tokens with a symbol the one in most pools."""
    in_pools: dict[str, int] = {}
    for record in market.pools:
        for token in record.tokens:
            in_pools[token] = in_pools.get(token, 0) + 1
    found = []
    for symbol in KNOWN_BASES:
        named = [t.address for t in market.tokens if t.symbol == symbol and t.address in in_pools]
        if named:
            found.append(max(named, key=lambda address: (in_pools[address], address)))
    return found


def chosen_bases(market: Market, given: Sequence[str]) -> list[str]:
    """The base tokens asked for, or the known ones. Raises UsageError for an address that is not in the
    market, and when nothing was asked for and none is known."""
    for address in given:
        if not _ADDRESS.fullmatch(address):
            raise UsageError(f"--base {address} is not an address: give 0x and 40 hex digits")
        if address.lower() not in market.token_row:
            raise UsageError(f"--base {address} is not a token of this market: give one that its pools trade")
    bases = list(dict.fromkeys(address.lower() for address in given)) or known_bases(market)
    if not bases:
        raise UsageError(f"no pool trades any of {', '.join(KNOWN_BASES)}: name a base token with --base")
    return bases


def scan(
    snapshot: Annotated[Path | None, typer.Option("--snapshot", help="Market snapshot file.")] = None,
    rpc: Annotated[str | None, typer.Option("--rpc", help="Node to read the market from.")] = None,
    base: Annotated[
        list[str] | None, typer.Option("--base", help="Base token address; repeat for several.")
    ] = None,
    token: Annotated[
        list[str] | None,
        typer.Option("--token", help="With --rpc: read only pools of these and the base tokens; repeatable."),
    ] = None,
    from_block: Annotated[
        int | None, typer.Option("--from-block", min=0, help="With --rpc: where the search for pools begins.")
    ] = None,
    deployments: Annotated[
        Path, typer.Option("--deployments", help="With --rpc: manifests whose DexRegistry names the venues.")
    ] = Path("deployments"),
    max_hops: Annotated[int, typer.Option("--max-hops", min=2, max=4, help="Longest cycle.")] = 3,
    top: Annotated[int, typer.Option("--top", min=1, help="How many to print.")] = 20,
    gas_price_gwei: Annotated[
        str | None,
        typer.Option("--gas-price-gwei", help="Gas price; default: the block's base fee, if known."),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", help="Draw the cycles with their mispricing: a .svg or .png file."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
) -> None:
    """Search every cycle through the base tokens once and print the best, most net profit first."""
    require_plottable(plot)
    price = None if gas_price_gwei is None else _gas_price_wei(gas_price_gwei)
    for address in [*(token or []), *(base or [])]:
        if not _ADDRESS.fullmatch(address):
            raise UsageError(f"{address} is not an address: give 0x and 40 hex digits")
    scope = NodeScope(deployments, [*token, *(base or [])] if token else (), from_block)
    market = _read_market(snapshot, rpc, scope)
    bases = chosen_bases(market, base or [])
    with progress_bar("preparing the compiled kernels") as tell:
        warm_kernels(progress=tell)
    report = scan_market(market, bases, max_hops, top, price)
    if plot is not None:
        worth = {token: 1.0 / rate for token, rate in _valuation(market, bases).items() if rate > 0}
        draw(report, market, bases, worth, plot)
    if as_json:
        typer.echo(orjson.dumps(report_to_json(report)))
    else:
        render(report, market)


def report_to_json(report: ScanReport) -> dict[str, Any]:
    """The document of `scan --json`: an opportunity's integers are decimal strings."""
    return {
        "block": report.block.number,
        "pools": report.pools,
        "candidates": report.candidates,
        "opportunities": [opportunity_to_json(found) for found in report.opportunities],
        "elapsed_ms": round(report.elapsed_ms, 3),
    }


def opportunity_to_json(opportunity: Opportunity) -> dict[str, Any]:
    """One opportunity as `scan --json` prints it."""
    return {
        "cycle": [
            {
                "pool": hop.pool,
                "protocol": hop.protocol.value,
                "token_in": hop.token_in,
                "token_out": hop.token_out,
                "amount_in": str(hop.amount_in),
                "amount_out": str(hop.amount_out),
            }
            for hop in opportunity.hops
        ],
        "base_token": opportunity.base_token,
        "amount_in": str(opportunity.amount_in),
        "amount_out": str(opportunity.amount_out),
        "gross_profit": str(opportunity.gross_profit),
        "gas_estimate": str(opportunity.gas_estimate),
        "net_profit": str(opportunity.net_profit),
        "block": str(opportunity.block.number),
    }


def _read_market(snapshot: Path | None, rpc: str | None, scope: NodeScope) -> Market:
    if (snapshot is None) == (rpc is None):
        raise UsageError("scan needs exactly one of --snapshot FILE and --rpc URL")
    if snapshot is not None:
        return load(snapshot)[0]
    assert rpc is not None
    return read_node_market(rpc, scope)


def _valuation(market: Market, base_tokens: Sequence[str]) -> dict[str, float]:
    native = next((token for token in known_bases(market) if _symbol(market, token) == _NATIVE), None)
    return est_base_units_per_wei(market, native, base_tokens) if native else {}


def _compile(finder: Finder, market: Market, costs: GasCosts) -> None:
    """Load or compile the kernels on no pools at all, so that the search alone is timed."""
    assert market.head is not None
    finder.find(market.arrays.tick[:0], market.head, costs)


def _gas_price_wei(text: str) -> int:
    try:
        price = Fraction(text)
    except (ValueError, ZeroDivisionError):
        price = Fraction(-1)
    if not 0 <= price <= 10**9:
        raise UsageError(f"--gas-price-gwei {text} is not a number from 0 to 1000000000")
    return int(price * 10**9)


def _symbol(market: Market, address: str) -> str:
    return market.tokens[market.token_row[address]].symbol
