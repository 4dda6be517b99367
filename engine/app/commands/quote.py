"""`roundtrip quote`: one exact quote on one pool of a snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.amm.layout import STATUS_NAMES
from engine.amm.quote import QuoteRefused, quote_exact_in, quote_exact_out
from engine.domain.errors import UsageError
from engine.market.market import Market
from engine.market.snapshot import load

_MAX_DIGITS = 78


@dataclass(frozen=True, slots=True)
class PoolQuote:
    """An exact quote: what the pool's contract would take and give, base units."""

    pool: str
    protocol: str
    token_in: str
    token_out: str
    amount_in: int
    amount_out: int
    block: int


def quote(
    snapshot: Annotated[Path, typer.Option("--snapshot", help="Market snapshot file.")],
    pool: Annotated[str, typer.Option("--pool", help="Pool address.")],
    token_in: Annotated[str, typer.Option("--token-in", help="Address of the token sold.")],
    amount_in: Annotated[str | None, typer.Option("--amount-in", help="Base units sold.")] = None,
    amount_out: Annotated[str | None, typer.Option("--amount-out", help="Base units bought.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
) -> None:
    """Quote a swap exactly as the pool's contract would execute it."""
    if (amount_in is None) == (amount_out is None):
        raise UsageError("quote needs exactly one of --amount-in N and --amount-out N")
    sells = amount_in is not None
    text = amount_in if amount_in is not None else amount_out
    assert text is not None
    amount = _parse_amount(text, "--amount-in" if sells else "--amount-out")
    market, _ = load(snapshot)
    found = quote_pool(market, pool, token_in, amount, sells)
    if as_json:
        typer.echo(orjson.dumps(_to_json(found)))
    else:
        _render(found, market)


def quote_pool(market: Market, pool: str, token_in: str, amount: int, sells: bool) -> PoolQuote:
    """Quote selling exactly `amount` of `token_in` (`sells`) or buying exactly `amount` with it.

    Raises UsageError for a pool or token that is not there and where the contract would revert.
    """
    row = market.pool_row.get(pool.lower())
    if row is None:
        raise UsageError(f"--pool {pool} is not a pool of this snapshot that can be quoted")
    record = market.pools[row]
    if token_in.lower() not in record.tokens:
        traded = " and ".join(record.tokens)
        raise UsageError(
            f"--token-in {token_in} is not a token of pool {record.address}, which trades {traded}"
        )
    zero_for_one = token_in.lower() == record.tokens[0]
    exact = quote_exact_in if sells else quote_exact_out
    try:
        other = exact(market.arrays, row, zero_for_one, amount)
    except QuoteRefused as error:
        reason = STATUS_NAMES[error.status]
        raise UsageError(
            f"pool {record.address} cannot swap {amount} base units: {reason}; try another amount"
        ) from error
    head = market.head
    return PoolQuote(
        pool=record.address,
        protocol=record.protocol.value,
        token_in=record.tokens[0 if zero_for_one else 1],
        token_out=record.tokens[1 if zero_for_one else 0],
        amount_in=amount if sells else other,
        amount_out=other if sells else amount,
        block=head.number if head else 0,
    )


def _parse_amount(text: str, option: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS) or int(text) == 0:
        raise UsageError(f"{option} {text[:90]} is not a positive whole number of base units")
    return int(text)


def _to_json(found: PoolQuote) -> dict[str, str | int]:
    return {
        "pool": found.pool,
        "token_in": found.token_in,
        "token_out": found.token_out,
        "amount_in": str(found.amount_in),
        "amount_out": str(found.amount_out),
        "protocol": found.protocol,
        "block": found.block,
    }


def _render(found: PoolQuote, market: Market) -> None:
    table = Table(title=f"{found.protocol} {found.pool} at block {found.block}")
    for name in ("", "token"):
        table.add_column(name, overflow="fold")
    for name in ("base units", "amount"):
        table.add_column(name, justify="right", overflow="fold")
    for side, address, amount in (
        ("in", found.token_in, found.amount_in),
        ("out", found.token_out, found.amount_out),
    ):
        token = market.tokens[market.token_row[address]]
        whole, rest = divmod(amount, 10**token.decimals)
        shown = f"{whole}.{rest:0{token.decimals}d}" if token.decimals else str(whole)
        table.add_row(side, Text(f"{token.symbol} {address}"), str(amount), shown)
    Console().print(table)
