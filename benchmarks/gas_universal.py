"""Uniswap's UniversalRouter 2.1 of published bytecode, on the cycles it can express.

It cannot start with a flash swap: the cycle's first amount comes with the transaction as ether, is wrapped,
and what comes back is unwrapped to the sender. A hop pays the next one's pair directly where that spares a
transfer. Either each hop is a command, or, what is leanest, neighbouring hops of one family are one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from eth_abi import encode
from eth_utils import keccak

from benchmarks.gas_market import GasMarket, calldata, factory_of
from benchmarks.gas_venues import builds
from engine.app.world.dexes import published
from engine.domain.market import PoolRecord, Protocol
from engine.domain.opportunity import Opportunity
from engine.domain.pool_details import UniswapV4Details

PACKAGE = "@uniswap/universal-router@2.1.0"
NAME = "UniversalRouter 2.1"
_ARTIFACT = "artifacts/contracts/UniversalRouter.sol/UniversalRouter.json"
_V3_POOL = "artifacts/contracts/UniswapV3Pool.sol/UniswapV3Pool.json"
_V3, _V2, _WRAP, _UNWRAP, _V4 = 0x00, 0x08, 0x0B, 0x0C, 0x10
_SWAP_IN, _SETTLE, _TAKE = 0x06, 0x0B, 0x0E
_SENDER, _ROUTER = "0x" + "00" * 19 + "01", "0x" + "00" * 19 + "02"
_WHOLE_BALANCE, _PAID_ALREADY, _OPEN_DELTA = 1 << 255, 0, 0
_COMMANDS = {Protocol.UNISWAP_V2: _V2, Protocol.UNISWAP_V3: _V3, Protocol.UNISWAP_V4: _V4}
_V4_SWAP = "((address,address,uint24,int24,address),bool,uint128,uint128,bytes)"
_SWAP = ["address", "uint256", "uint256"]


def expressible(market: GasMarket, pools: Sequence[str]) -> bool:
    """Whether it knows all families of the cycle. It knows one V2 factory."""
    families = {market.pools[name].protocol for name in pools}
    return families <= _COMMANDS.keys() and len(_factories(market, pools)) <= 1


def _factories(market: GasMarket, pools: Sequence[str]) -> set[str]:
    return {factory_of(name) for name in pools if market.pools[name].protocol is Protocol.UNISWAP_V2}


class UniversalRouter:
    """One router for each V2 factory that a cycle may be of."""

    def __init__(self, market: GasMarket) -> None:
        self._market = market
        self._routers = {name: self._deploy(market.factories[name]) for name in ("first", "second")}

    def _deploy(self, factory: str) -> str:
        market = self._market
        pair = keccak(published("UniswapV2Pair").bytecode)
        pool = keccak(builds().npm_code("@uniswap/v3-core", _V3_POOL))
        # It refuses to be made without a Permit2, which no cycle of these needs.
        unused = market.owner
        facts = (
            unused, market.tokens[0], factory, market.factories["v3"], pair, pool,
            market.pinned.pool_manager, unused, unused, unused,
        )  # fmt: skip
        kinds = ["address"] * 4 + ["bytes32"] * 2 + ["address"] * 4
        code = builds().published_code(PACKAGE, _ARTIFACT)
        return market.deploy(code + encode([f"({','.join(kinds)})"], [facts]))

    def transaction(
        self, sender: str, pools: Sequence[str], cycle: Opportunity, merged: bool
    ) -> dict[str, Any]:
        """That which runs the cycle with at least one wei of profit; `merged`: a command takes all it can."""
        hops = [(self._market.pools[name], hop) for name, hop in zip(pools, cycle.hops, strict=True)]
        runs = [list(run) for _, run in groupby(hops, key=lambda each: each[0].protocol)]
        if not merged:
            runs = [[hop] for hop in hops]
        commands, inputs = [_WRAP], [encode(["address", "uint256"], [_ROUTER, cycle.amount_in])]
        amount = cycle.amount_in
        for run, following in zip(runs, [*runs[1:], []], strict=True):
            commands.append(_COMMANDS[run[0][0].protocol])
            pays_pair = bool(following) and following[0][0].protocol is Protocol.UNISWAP_V2
            payee = following[0][0].address if pays_pair else _ROUTER
            inputs.append(_input(run, payee, amount))
            amount = _PAID_ALREADY if pays_pair else _WHOLE_BALANCE
        commands.append(_UNWRAP)
        inputs.append(encode(["address", "uint256"], [_SENDER, cycle.amount_in + 1]))
        factories = _factories(self._market, pools)
        data = calldata("execute(bytes,bytes[])", bytes(commands), inputs)
        to = self._routers[next(iter(factories), "first")]
        return {"from": sender, "to": to, "value": hex(cycle.amount_in), "data": "0x" + data.hex()}


def _input(run: list[tuple[PoolRecord, Any]], payee: str, amount: int) -> bytes:
    """The input of one command: neighbouring hops of one family, paid by the router."""
    protocol = run[0][0].protocol
    tokens = [run[0][1].token_in, *(hop.token_out for _, hop in run)]
    if protocol is Protocol.UNISWAP_V2:
        return encode([*_SWAP, "address[]", "bool"], [payee, amount, 0, tokens, False])
    if protocol is Protocol.UNISWAP_V3:
        fees = [record.fee_pips.to_bytes(3, "big") for record, _ in run]
        raw = [bytes.fromhex(token[2:]) for token in tokens]
        path = raw[0] + b"".join(fee + token for fee, token in zip(fees, raw[1:], strict=True))
        return encode([*_SWAP, "bytes", "bool"], [payee, amount, 0, path, False])
    swaps = []
    for record, hop in run:
        details = record.details
        assert isinstance(details, UniswapV4Details)
        key = (*record.tokens, details.key_fee, details.tick_spacing, details.hooks)
        swaps.append(encode([_V4_SWAP], [(key, hop.zero_for_one, _OPEN_DELTA, 0, b"")]))
    actions = bytes([_SETTLE, *[_SWAP_IN] * len(swaps), _TAKE])
    settle = encode(["address", "uint256", "bool"], [tokens[0], amount, False])
    take = encode(["address", "address", "uint256"], [tokens[-1], payee, _OPEN_DELTA])
    return encode(["bytes", "bytes[]"], [actions, [settle, *swaps, take]])
