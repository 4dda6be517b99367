"""The published bytecode of Curve and Balancer, asked in pyrevm as a program would: `get_dy` of the pool, and
the vault's `queryBatchSwap`, calldata ready made."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

from eth_abi import encode
from eth_utils import keccak

from benchmarks.twins import twin
from engine.app.toolchain import project_root

_QUERY = (
    "queryBatchSwap(uint8,(bytes32,uint256,uint256,uint256,bytes)[],address[],(address,bool,address,bool))"
)
_EXACT_IN = 0

Ask = Callable[[int], Callable[[], int]]  # of an amount: the call, ready to be made, and its answer


def is_there() -> bool:
    """Whether `make setup` has fetched the packages."""
    return (project_root() / ".build" / "published").is_dir()


def curve_susd(balances: list[int], amp: int, fee: int) -> Ask:
    """The pool of four coins, coin 0 sold for coin 1."""
    curve = twin("exactness", "exact_curve")
    world = curve.World()
    world.write(balances, amp, fee, 0)
    world.check_written(balances, amp, fee, 0)
    selector = keccak(text="get_dy(int128,int128,uint256)")[:4]

    def ask(amount: int) -> Callable[[], int]:
        data = selector + encode(["int128", "int128", "uint256"], [0, 1, amount])
        return lambda: int.from_bytes(world.chain.raw(world.pool, data), "big")

    return ask


def balancer_weighted(balances: list[int], weights: list[int], fee: int) -> Ask:
    """A weighted pool of 2023, two tokens of 18 decimals."""
    balancer = twin("exactness", "exact_balancer_v2")
    world = balancer.World(None)
    tokens = _ascending(world, [18, 18])
    return _asked(balancer, world, balancer.made_weighted(world, tokens, [18, 18], weights, fee), balances)


def balancer_stable(balances: list[int], decimals: list[int], amp: int, fee: int) -> Ask:
    """A stable pool of 2022."""
    balancer = twin("exactness", "exact_balancer_v2")
    world = balancer.World(None)
    tokens = _ascending(world, decimals)
    return _asked(balancer, world, balancer.made_stable(world, tokens, decimals, amp, fee), balances)


def _ascending(world, decimals: list[int]) -> list[str]:
    """New tokens of these decimals whose addresses ascend in this order."""
    tokens: list[str] = []
    for each in decimals:
        least = int(tokens[-1], 16) if tokens else 0
        while True:
            token = world.chain.driver("CampaignToken", ["uint8"], [each])
            # Room is left for those that follow.
            if 0 < int(token, 16) - least < (2**160 - least) // 2:
                break
        tokens.append(token)
    return tokens


def _asked(balancer: ModuleType, world, pool, balances: list[int]) -> Ask:
    """Token 0 sold for token 1."""
    world.write(pool, balances)
    world.check_written(pool, balances)
    owner, none = balancer.OWNER, b""
    types = ["uint8", "(bytes32,uint256,uint256,uint256,bytes)[]", "address[]", "(address,bool,address,bool)"]

    def ask(amount: int) -> Callable[[], int]:
        swaps = [(pool.pool_id, 0, 1, amount, none)]
        funds = (owner, False, owner, False)
        data = keccak(text=_QUERY)[:4] + encode(types, [_EXACT_IN, swaps, pool.assets, funds])
        # The answer is the vault's change of each asset: paid out is negative.
        return lambda: (1 << 256) - int.from_bytes(world.chain.raw(world.vault, data)[96:128], "big")

    return ask
