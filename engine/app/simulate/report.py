"""The simulation report: its JSON form, its totals, and the table people read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from engine.app.output import show_amount
from engine.app.simulate.acting import Act
from engine.app.simulate.arbitrages import LandedArbitrage
from engine.domain.market import Protocol, Token
from engine.domain.opportunity import Opportunity

_PLACES = 8
_SHORT = {Protocol.UNISWAP_V2.value: "V2", Protocol.UNISWAP_V3.value: "V3"}


def result_of(act: Act | None) -> dict[str, Any] | None:
    """Our landed transaction as the report shows it, amounts in base units before gas; None when none did."""
    if act is None or act.landed is None or act.opportunity is None:
        return None
    return {
        "amount_in": str(act.opportunity.amount_in),
        "expected_wei": str(act.landed.intent.expected_profit),
        "realised_wei": str(act.landed.realised_profit),
        "gas_used": str(act.landed.gas_used),
        "cycle": our_cycle(act.opportunity),
        "tx": act.landed.intent.transaction.hash,
    }


def our_cycle(opportunity: Opportunity) -> list[dict[str, str]]:
    """An opportunity's hops, amounts as decimal strings."""
    return [
        {
            "pool": hop.pool,
            "protocol": hop.protocol.value,
            "token_in": hop.token_in,
            "token_out": hop.token_out,
            "amount_in": str(hop.amount_in),
            "amount_out": str(hop.amount_out),
        }
        for hop in opportunity.hops
    ]


def landed_row(arbitrage: LandedArbitrage) -> dict[str, Any]:
    """A searcher's arbitrage, without our side."""
    return {
        "tx": arbitrage.tx,
        "tx_index": arbitrage.tx_index,
        "cycle": [
            {
                "pool": swap.pool,
                "protocol": swap.protocol,
                "token_in": swap.token_in,
                "token_out": swap.token_out,
                "amount_in": str(swap.amount_in),
                "amount_out": str(swap.amount_out),
            }
            for swap in arbitrage.cycle
        ],
        "base_token": arbitrage.base_token,
        "profit_wei": str(arbitrage.profit),
        "net": {token: str(amount) for token, amount in arbitrage.net.items() if amount},
    }


def totals_of(blocks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Sums over the blocks; profits by base token, in its base units, before gas."""
    rows = [row for block in blocks for row in block["landed_arbitrages"]]
    profits: dict[str, dict[str, int]] = {"searchers": {}, "same_pools": {}, "any": {}}
    matched = 0
    for row in rows:
        _add(profits["searchers"], row["base_token"], int(row["profit_wei"]))
        for scope in ("same_pools", "any"):
            ours = row["ours"][scope]
            if ours is not None:
                _add(profits[scope], row["base_token"], int(ours["realised_wei"]))
        same = row["ours"]["same_pools"]
        matched += same is not None and int(same["realised_wei"]) >= int(row["profit_wei"])
    return {
        "blocks": len(blocks),
        "transactions": sum(block["transactions"] for block in blocks),
        "pools": sum(block["pools"] for block in blocks),
        "landed_arbitrages": len(rows),
        "ours_landed": sum(row["ours"]["same_pools"] is not None for row in rows),
        "ours_at_least_searcher": matched,
        "profit_wei": {
            who: {token: str(amount) for token, amount in by_token.items()}
            for who, by_token in profits.items()
        },
    }


def print_report(report: Mapping[str, Any], console: Console, bases: Sequence[Token]) -> None:
    """One line per landed arbitrage and per block without one; amounts in whole tokens of `bases`, cut to
    eight places, other tokens' in base units."""
    shown = _Amounts({token.address: token for token in bases})
    title = "Profit before gas, landed by searchers and by us"
    table = Table(title=title, box=SIMPLE, show_edge=False, padding=0)
    for name in ("block", "txs", "pools", "tx"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("cycle", overflow="fold", min_width=14)
    for name in ("searcher", "same pools", "any pools"):
        table.add_column(name, justify="right", no_wrap=True)
    remarks = []
    for block in report["blocks"]:
        head = [str(block["number"]), str(block["transactions"]), str(block["pools"])]
        for row in block["landed_arbitrages"]:
            table.add_row(*head, str(row["tx_index"]), *_cells(row, shown))
            remarks += [f"{block['number']}, tx {row['tx_index']}: {text}" for text in _remarks(row)]
        if not block["landed_arbitrages"]:
            table.add_row(*head, "", *_at_start(block, shown))
    console.print(table)
    for text in remarks:
        console.print(text, soft_wrap=True)
    totals = report["totals"]
    console.print(
        f"{totals['landed_arbitrages']} landed arbitrages in {totals['blocks']} blocks: "
        f"ours landed on the same pools in {totals['ours_landed']}, "
        f"with at least the searcher's profit in {totals['ours_at_least_searcher']}.",
        soft_wrap=True,
    )


@dataclass(frozen=True, slots=True)
class _Amounts:
    """Amounts as people read them."""

    tokens: Mapping[str, Token]

    def number(self, amount: str, token: str) -> str:
        known = self.tokens.get(token)
        return amount if known is None else show_amount(int(amount), known.decimals, _PLACES)

    def unit(self, token: str) -> str:
        known = self.tokens.get(token)
        return f"{token[:8]}…" if known is None else known.symbol


def _cells(row: Mapping[str, Any], shown: _Amounts) -> list[str]:
    base, ours = row["base_token"], row["ours"]
    landed = [ours[scope] and ours[scope]["realised_wei"] for scope in ("same_pools", "any")]
    hops = " ".join(_SHORT.get(swap["protocol"], swap["protocol"]) for swap in row["cycle"])
    return [
        f"{shown.unit(base)}: {hops}",
        shown.number(row["profit_wei"], base),
        *("–" if amount is None else shown.number(amount, base) for amount in landed),
    ]


def _remarks(row: Mapping[str, Any]) -> list[str]:
    why_not = row["ours"]["why_not"]
    return [*([f"ours did not land on these pools: {why_not}"] if why_not else []), *row["notes"]]


def _at_start(block: Mapping[str, Any], shown: _Amounts) -> list[str]:
    best = block.get("best_at_start")
    if not best:
        return ["none landed", "", "", ""]
    unit = shown.unit(best["base_token"])
    return [f"{unit}: at its start", "", "", shown.number(best["realised_wei"], best["base_token"])]


def _add(sums: dict[str, int], token: str, amount: int) -> None:
    sums[token] = sums.get(token, 0) + amount
