"""Mainnet's own tricrypto-NG, from a stored block: the one CryptoSwap bytecode there is here.

The pool of crvUSD, WETH and CRV, the contract of its mathematics and WETH stand as they were; tokens of ours
stand at the addresses of the other coins. Each case writes a whole state into the pool's storage, asks
`exchange`, and undoes it. What comes after the trade was judged is kept from failing: the oracles are up to
date, and no profit is enough to move the price scale.
"""

from __future__ import annotations

import os
import random
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path

import pyrevm
import pytest
from eth_abi import encode
from exact_build import driver_code
from exact_campaign import Family, Mismatch, Round
from exact_chain import OWNER, UINT256, Chain, Reverted, mapping_slot, selector
from exact_cryptoswap import quoted_trades

from engine.amm.layout import KIND_TRICRYPTO, OK
from engine.app.simulate.blocks import load_block

sys.path.append(str(Path(__file__).resolve().parents[1] / "amm"))  # where the twins are
_reference, _trades = import_module("cryptoswap_reference"), import_module("cryptoswap_trades")
Revert = import_module("amm_reference").Revert

DATA = Path(os.environ.get("ROUNDTRIP_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
BLOCK, TRADES_PER_KIND = 19933597, 500
_POOL, _MATH = "0x4ebdf703948ddcea3b11f675b4d1fba9d2414a14", "0xcbff3004a20dbfe2731543aa38599a526e0fd6ee"
_COINS = "0xf939e0a03fb07f59a73314e73794be0e57ac1b4e", "0xd533a949740bb3306d119cc777fa900ba034cd52"
_WETH = "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2"
_WETH_BALANCES, _WETH_ALLOWANCES = 3, 4  # slots
_EXCHANGE = selector("exchange(uint256,uint256,uint256,uint256)")
_HELD = 2**254
# The pool's storage. A and gamma share a word, as do the prices, and the three numbers of the fee.
_PRICE_SCALE, _PRICE_ORACLE, _LAST_PRICES, _LAST_TIME = 3, 4, 5, 6
_INITIAL, _INITIAL_TIME, _FUTURE, _FUTURE_TIME = 7, 8, 9, 10
_BALANCES, _D, _PROFIT, _VIRTUAL, _FEES, _SUPPLY = 11, 14, 15, 17, 20, 25
_NEVER_ENOUGH = 10**30
_ROOM = 8
_RAMP = 100  # seconds before and after the block


class World:
    def __init__(self, blocks: Path) -> None:
        block = load_block(blocks / str(BLOCK))
        self.chain = Chain(block.timestamp)
        for address in (_POOL, _MATH):
            account = block.state[address]
            self._place(address, account.code)
            for slot, value in account.storage.items():
                self.chain.store(address, slot, value)
        made = self.chain.deploy(driver_code("CampaignToken") + encode(["uint8"], [18]))
        token = bytes(self.chain.evm.get_code(made))
        for coin in _COINS:
            self._place(coin, token)
            for holder in (_POOL, OWNER):
                self.chain.call(coin, "set(address,uint256)", holder, _HELD)
        # The pool unwraps what it is paid, and wraps what it pays.
        self._place(_WETH, block.state[_WETH].code)
        self.chain.store(_WETH, mapping_slot(int(OWNER, 16), _WETH_BALANCES), _HELD)
        allowance = mapping_slot(int(_POOL, 16), mapping_slot(int(OWNER, 16), _WETH_ALLOWANCES))
        self.chain.store(_WETH, allowance, UINT256)
        for holder in (_POOL, _WETH):
            self.chain.evm.set_balance(holder, _HELD)

    def _place(self, address: str, code: bytes) -> None:
        self.chain.evm.insert_account_info(address, pyrevm.AccountInfo(nonce=1, code=code))

    def write(self, pool) -> None:
        now = self.chain.time
        prices = pool.price_scale[0] | pool.price_scale[1] << 128
        ramp_end = now + _RAMP if pool.ramping else now if pool.may_lose else 0
        words = {
            **dict.fromkeys((_PRICE_SCALE, _PRICE_ORACLE, _LAST_PRICES), prices),
            **dict.fromkeys((_INITIAL, _FUTURE), pool.a << 128 | pool.gamma),
            **{_BALANCES + k: balance for k, balance in enumerate(pool.balances)},
            _LAST_TIME: now,
            _INITIAL_TIME: now - _RAMP,
            _FUTURE_TIME: ramp_end,
            _D: pool.d,
            _PROFIT: _NEVER_ENOUGH,
            _VIRTUAL: pool.virtual_price,
            _FEES: pool.mid_fee << 128 | pool.out_fee << 64 | pool.fee_gamma,
            _SUPPLY: pool.total_supply,
        }
        for slot, value in words.items():
            self.chain.store(_POOL, slot, value)

    def check_written(self, pool) -> None:
        """The slots are what the getters read."""

        def read(name: str, *argument: int) -> int:
            return self.chain.call(_POOL, name, *argument, returns=("uint256",))

        named = "A", "gamma", "D", "virtual_price", "totalSupply", "mid_fee", "out_fee", "fee_gamma"
        said = [read(f"{name}()") for name in named]
        said += [read("balances(uint256)", k) for k in range(3)] + [
            read("price_scale(uint256)", k) for k in (0, 1)
        ]
        assert said == [
            *(pool.a, pool.gamma, pool.d, pool.virtual_price, pool.total_supply),
            *(pool.mid_fee, pool.out_fee, pool.fee_gamma, *pool.balances, *pool.price_scale),
        ]

    def paid(self, trade) -> int | None:
        """By the contract, None where it reverts; undone."""
        pool, i, j, amount = trade
        self.write(pool)
        before = self.chain.evm.snapshot()
        call = _EXCHANGE + encode(["uint256"] * 4, [i, j, amount, 0])
        try:
            return int.from_bytes(self.chain.raw(_POOL, call), "big")
        except Reverted:
            return None
        finally:
            self.chain.evm.revert(before)

    def round(self, seed: int) -> Counter[str]:
        rng = random.Random(seed)
        trades = []
        for draw in (_trades.random_trade, _trades.barely_paying_trade):
            drawn = (fitted(rng, draw(rng, (_reference.TRI,))) for _ in range(TRADES_PER_KIND))
            trades += [trade for trade in drawn if trade is not None]
        statuses, amounts = quoted_trades(KIND_TRICRYPTO, trades)
        self.write(trades[0][0])
        self.check_written(trades[0][0])
        for trade, status, amount in zip(trades, statuses, amounts, strict=True):
            if self.paid(trade) != (amount if status == OK else None):
                raise Mismatch(trade, status, amount)
        paid = statuses.count(OK)
        return Counter({"swaps": len(trades), "paid": paid, "refused": len(trades) - paid})


def fitted(rng: random.Random, trade):
    """The trade on a pool of three coins of 18 decimals whose virtual price is plausible; None where the pool
    could not have one."""
    pool, i, j, amount = trade
    amount = min(amount * pool.precisions[i], UINT256)
    pool.balances = [balance * unit for balance, unit in zip(pool.balances, pool.precisions, strict=True)]
    pool.precisions, pool.may_lose = [1, 1, 1], pool.may_lose or pool.ramping
    try:
        before = pool.price_of(pool.d)
        _trades.fit_supply(rng, pool)
        fitting = pool.price_of(pool.d)
        held = _reference.newton_d(pool.a, pool.gamma, pool.scaled(pool.balances), 0, pool.version)
        pool.price_of(
            _ROOM * max(pool.d, held)
        )  # the oracle's spot price, which is not computed, overflows later
    except (Revert, ZeroDivisionError):
        return None
    if before == 0 or fitting == 0:
        return None
    if pool.virtual_price > 1:
        pool.virtual_price = pool.virtual_price * fitting // before
    return pool, i, j, amount


def _open() -> Round:
    blocks = DATA / "evm_blocks"
    if not (blocks / str(BLOCK)).is_dir():
        pytest.skip(f"no stored block at {blocks}: set ROUNDTRIP_DATA")
    return World(blocks).round


FAMILIES = [
    Family(
        "tricrypto-mainnet",
        "Curve tricrypto-NG, mainnet's",
        f"of the stored block {BLOCK}, with its contract of mathematics",
        "families.cryptoswap3",
        100_000,
        _open,
        1_000,
        ("paid", "refused"),
    )
]
