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
    pool: Annotated[str, typer.Option("--pool", help="Pool address, or Uniswap V4 pool id.")],
    token_in: Annotated[str, typer.Option("--token-in", help="Address of the token sold.")],
    token_out: Annotated[
        str | None, typer.Option("--token-out", help="Address of the token bought, where there are several.")
    ] = None,
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
    found = quote_pool(market, pool, token_in, amount, sells, token_out)
    if as_json:
        typer.echo(orjson.dumps(_to_json(found)))
    else:
        _render(found, market)


def quote_pool(
    market: Market, pool: str, token_in: str, amount: int, sells: bool, token_out: str | None = None
) -> PoolQuote:
    """Quote selling exactly `amount` of `token_in` (`sells`) or buying exactly `amount` with it.

    Where the protocol cannot buy an exact amount, the least input is found that buys at least so much.
    Raises UsageError for a pool or token that is not there and where the contract would revert.
    """
    first = _pool_row(market, pool, {token_in.lower()} | ({token_out.lower()} if token_out else set()))
    record = market.pools[first]
    row, zero_for_one = _row_of(market, first, token_in, token_out)
    edge = 2 * row + (not zero_for_one)
    exact = quote_exact_in if sells else quote_exact_out
    try:
        other = exact(market.arrays, row, zero_for_one, amount)
    except QuoteRefused as error:
        reason = STATUS_NAMES[error.status]
        raise UsageError(
            f"pool {record.key} cannot swap {amount} base units: {reason}; try another amount"
        ) from error
    head = market.head
    return PoolQuote(
        pool=record.key,
        protocol=record.protocol.value,
        token_in=market.token_in(edge),
        token_out=market.token_in(edge ^ 1),
        amount_in=amount if sells else other,
        amount_out=other if sells else amount,
        block=head.number if head else 0,
    )


def _pool_row(market: Market, pool: str, traded: set[str]) -> int:
    """First row of the pool of that key, or of the only one at that address that trades these tokens."""
    row = market.pool_row.get(pool.lower())
    if row is not None:
        return row
    found = [row for row in market.pool_row.values() if market.pools[row].address == pool.lower()]
    fitting = [row for row in found if traded <= set(market.pools[row].tokens)]
    if len(fitting) == 1:
        return fitting[0]
    if len(found) > 1:
        raise UsageError(f"--pool {pool} is the manager of {len(found)} pools: give a pool id")
    if not found:
        raise UsageError(f"--pool {pool} is not a pool of this snapshot that can be quoted")
    return found[0]


def _row_of(market: Market, first: int, token_in: str, token_out: str | None) -> tuple[int, bool]:
    """(row, zero_for_one) of the pool's row that trades these tokens."""
    record = market.pools[first]
    traded = " and ".join(record.tokens)
    for option, token in (("--token-in", token_in), ("--token-out", token_out)):
        if token is not None and token.lower() not in record.tokens:
            raise UsageError(f"{option} {token} is not a token of pool {record.key}, which trades {traded}")
    sold, bought = token_in.lower(), token_out and token_out.lower()
    if bought == sold:
        raise UsageError(f"--token-out {token_out} is the token sold: give another one")
    edges = [edge for row in market.rows_of(first) for edge in (2 * row, 2 * row + 1)]
    fitting = [
        edge
        for edge in edges
        if market.token_in(edge) == sold and bought in (None, market.token_in(edge ^ 1))
    ]
    if len(fitting) > 1:
        raise UsageError(f"pool {record.key} trades {traded}: say with --token-out which one is bought")
    return fitting[0] >> 1, fitting[0] & 1 == 0


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
