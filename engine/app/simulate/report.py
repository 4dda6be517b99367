"""The simulation report: its JSON form, its totals, and the table people read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from engine.app.simulate.acting import Act
from engine.app.simulate.arbitrages import LandedArbitrage
from engine.domain.opportunity import Opportunity


def result_of(act: Act | None) -> dict[str, str] | None:
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


def print_report(report: Mapping[str, Any], console: Console) -> None:
    """One line per landed arbitrage and per block without one."""
    table = Table(
        title="Real blocks: the searcher's landed profit and ours, before gas", title_justify="left"
    )
    for name, justify in (
        ("block", "right"),
        ("txs", "right"),
        ("pools", "right"),
        ("at tx", "right"),
        ("cycle", "left"),
        ("searcher", "right"),
        ("ours, same pools", "right"),
        ("ours, any pools", "right"),
        ("remark", "left"),
    ):
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for block in report["blocks"]:
        head = [str(block["number"]), str(block["transactions"]), str(block["pools"])]
        rows = block["landed_arbitrages"]
        if not rows:
            table.add_row(*head, "", "no landed arbitrage", "", "", *_at_start(block))
        for row in rows:
            table.add_row(*head, *_cells(row))
    console.print(table)
    totals = report["totals"]
    console.print(
        f"{totals['landed_arbitrages']} landed arbitrages in {totals['blocks']} blocks: "
        f"ours landed on the same pools in {totals['ours_landed']}, "
        f"with at least the searcher's profit in {totals['ours_at_least_searcher']}."
    )


def _cells(row: Mapping[str, Any]) -> list[str]:
    base, ours = row["base_token"], row["ours"]
    path = " ".join(f"{swap['protocol']}" for swap in row["cycle"])
    remarks = [ours["why_not"]] if ours["why_not"] else []
    remarks += row.get("notes", [])
    return [
        str(row["tx_index"]),
        f"{base[:8]}…: {path}",
        _amount(row["profit_wei"]),
        _amount(ours["same_pools"] and ours["same_pools"]["realised_wei"]),
        _amount(ours["any"] and ours["any"]["realised_wei"]),
        "; ".join(remarks),
    ]


def _at_start(block: Mapping[str, Any]) -> list[str]:
    best = block.get("best_at_start")
    if not best:
        return ["", ""]
    return [_amount(best["realised_wei"]), f"at the block's start, in {best['base_token'][:8]}…"]


def _amount(text: str | None) -> str:
    return "–" if text is None else f"{int(text):,}".replace(",", " ")


def _add(sums: dict[str, int], token: str, amount: int) -> None:
    sums[token] = sums.get(token, 0) + amount
