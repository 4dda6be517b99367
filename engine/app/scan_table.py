"""`roundtrip scan`'s answer as people read it."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.app.output import show_amount
from engine.app.scan_report import ScanReport
from engine.domain.market import Protocol
from engine.domain.opportunity import Hop, Opportunity
from engine.market.market import Market

_PLACES = 6
_LONGEST_SYMBOL = 12
_SHORT = {
    Protocol.UNISWAP_V2: "V2",
    Protocol.UNISWAP_V3: "V3",
    Protocol.UNISWAP_V4: "V4",
    Protocol.CURVE_STABLESWAP: "Curve",
    Protocol.CURVE_CRYPTOSWAP: "Curve crypto",
    Protocol.BALANCER_V2_WEIGHTED: "Balancer",
    Protocol.BALANCER_V2_STABLE: "Balancer stable",
}
_COLUMNS = ("in", "gross", "gas", "net")


def render(report: ScanReport, market: Market, console: Console | None = None) -> None:
    """Print the opportunities, best first, then their pools, and what was searched.

    Amounts are in whole base tokens, cut to six places; `net` is `gross` less gas, `return` is gross on the
    amount put in.
    """
    table = Table(title=f"Block {report.block.number}", box=SIMPLE_HEAD, show_edge=False, padding=(0, 1))
    table.add_column("#", justify="right", style="dim")
    table.add_column("cycle", overflow="fold", style="bold")
    for name in (*_COLUMNS, "return"):
        table.add_column(name, justify="right", no_wrap=True)
    for place, found in enumerate(report.opportunities, 1):
        table.add_row(str(place), Text(_route(found, market)), *_amounts(found, market), _return(found))
    console = console or Console()
    console.print(table if report.opportunities else Text("No profitable cycle.", style="bold"))
    for place, found in enumerate(report.opportunities, 1):
        for hop in found.hops:
            console.print(Text(f"{place:>3} {_pool_line(hop, market)}"), soft_wrap=True)
    console.print(Text(_caption(report), style="italic"), soft_wrap=True)


def symbol_of(market: Market, address: str) -> str:
    """The token's symbol, cut short; its address where it has none."""
    symbol = market.tokens[market.token_row[address]].symbol or address[:8]
    return symbol if len(symbol) <= _LONGEST_SYMBOL else symbol[: _LONGEST_SYMBOL - 1] + "…"


def _route(found: Opportunity, market: Market) -> str:
    tokens = [*(hop.token_in for hop in found.hops), found.base_token]
    return " → ".join(symbol_of(market, token) for token in tokens)


def _pool_line(hop: Hop, market: Market) -> str:
    sold, bought = symbol_of(market, hop.token_in), symbol_of(market, hop.token_out)
    family = _SHORT.get(hop.protocol, hop.protocol.value)
    fee = f" {hop.fee_pips / 1e4:g}%" if hop.fee_pips else ""
    return f"{hop.pool} {family}{fee} {sold} → {bought}"


def _amounts(found: Opportunity, market: Market) -> list[Text]:
    base = market.tokens[market.token_row[found.base_token]]
    amounts = (found.amount_in, found.gross_profit, found.gas_cost, found.net_profit)
    cells = [Text(show_amount(amount, base.decimals, _PLACES)) for amount in amounts]
    cells[-1].stylize("green" if found.net_profit > 0 else "red")
    return cells


def _return(found: Opportunity) -> str:
    return f"{found.gross_profit / found.amount_in:.3%}"


def _caption(report: ScanReport) -> str:
    gas = f"{report.gas_price_wei / 1e9:g} gwei" if report.gas_price_wei else "unknown, so net equals gross"
    shown = len(report.opportunities)
    return (
        f"{shown} opportunities shown; {report.candidates:,} candidate cycles over "
        f"{report.pools:,} pools searched in {report.elapsed_ms:.1f} ms; gas price {gas}"
    )
