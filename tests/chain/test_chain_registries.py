"""Curve's own registries as a list of pools: whose each pool is, and which are left alone."""

from __future__ import annotations

from collections.abc import Iterable

from answering import answering, calldata, words
from eth_abi import encode
from eth_utils import keccak
from local_node import LocalNode

from engine.chain.bootstrap import bootstrap
from engine.chain.discovery import find_pools
from engine.chain.rpc import connect
from engine.chain.wire import header
from engine.domain.market import ZERO_ADDRESS, ZERO_HASH, Protocol, Venue
from engine.domain.pool_details import StableSwapVariant
from engine.domain.pool_state import Bootstrap

TOKENS = ["0x" + f"{number:02x}" * 20 for number in (0x11, 0x22)]
PROVIDER, META = "0x" + "c1" * 20, "0x" + "c2" * 20
FACTORY, STRANGER = "0x" + "d1" * 20, "0x" + "d2" * 20
HANDLERS = {FACTORY: "0x" + "e1" * 20, STRANGER: "0x" + "e2" * 20}
MADE, FOREIGN, NAMED, CRYPTO = ("0x" + each * 20 for each in ("a1", "a2", "a3", "a4"))
FOUND_AS = {MADE: FACTORY, FOREIGN: STRANGER, NAMED: STRANGER, CRYPTO: FACTORY}

factory = Venue("factory", Protocol.CURVE_STABLESWAP, FACTORY, FACTORY, ZERO_HASH)
named = Venue("named", Protocol.CURVE_STABLESWAP, NAMED, NAMED, ZERO_HASH)


def put(node: LocalNode, address: str, answers: dict) -> None:
    made = {
        calldata(*asked) if isinstance(asked, tuple) else calldata(asked): (
            answer if isinstance(answer, bytes) else words(answer)
        )
        for asked, answer in answers.items()
    }
    node.rpc("anvil_setCode", address, answering(made))


def pool_answers(**more: int) -> dict:
    answers: dict = {("balances(uint256)", at): 10**24 + at for at in range(2)}
    answers |= {("coins(uint256)", at): token for at, token in enumerate(TOKENS)}
    answers |= {"fee()": 4 * 10**6, "admin_fee()": 5 * 10**9, "A()": 200, "A_precise()": 20_000}
    return answers | {f"{name}()": value for name, value in more.items()}


def build(node: LocalNode) -> None:
    """Two factories behind a MetaRegistry, one of which nobody has named."""
    held = {("balanceOf(address)", pool): 2**200 for pool in FOUND_AS}
    for token in TOKENS:
        put(node, token, {"symbol()": encode(["string"], ["T"]), "decimals()": 18} | held)
    for pool in FOUND_AS:
        # The same contract but for its fee, so that its code differs.
        put(
            node, pool, pool_answers(gamma=10**14) if pool == CRYPTO else pool_answers(fee=int(pool[2:4], 16))
        )
    listed: dict = {("pool_list(uint256)", at): pool for at, pool in enumerate(FOUND_AS)}
    listed |= {("get_n_coins(address)", pool): 2 for pool in FOUND_AS}
    none = [ZERO_ADDRESS] * 9
    listed |= {
        ("get_registry_handlers_from_pool(address)", pool): words(HANDLERS[maker], *none)
        for pool, maker in FOUND_AS.items()
    }
    listed |= {("get_base_registry(address)", handler): maker for maker, handler in HANDLERS.items()}
    put(node, META, listed | {"pool_count()": len(FOUND_AS), "registry_length()": len(HANDLERS)})
    put(node, PROVIDER, {("get_address(uint256)", 7): META})
    own = {("get_n_coins(address)", pool): 2 for pool in (MADE, CRYPTO)}
    put(node, FACTORY, own | {"pool_count()": 0})
    node.mine()


async def read(node: LocalNode, venues: Iterable[Venue]) -> tuple[Bootstrap, dict[str, str]]:
    known = list(venues)
    async with connect(node.http) as connection:
        head = header(node.block()).ref
        pools, refused = await find_pools(connection, known, head.number, head)
        found = await bootstrap(connection, pools, known, head)
    return found, refused | found.refused


def meta(registry: str, code_hash: str | None = None) -> Venue:
    return Venue("curve", Protocol.CURVE_STABLESWAP, registry, registry, ZERO_HASH, code_hash)


async def test_listed_pools_are_those_of_the_factories_behind_the_list(local_node: LocalNode) -> None:
    build(local_node)
    for registry in (META, PROVIDER):
        found, refused = await read(local_node, [meta(registry), factory, named])
        venues = {state.pool.address: state.pool.venue for state in found.pools}
        assert venues == {MADE: "factory", NAMED: "named"}
        assert all(state.pool.details.variant is StableSwapVariant.TEMPLATE for state in found.pools)
        assert refused == {
            FOREIGN: f"it is of an unknown factory: {STRANGER}",
            CRYPTO: "it is a StableSwap pool of an unknown kind",
        }
    disabled = Venue("factory", Protocol.CURVE_STABLESWAP, FACTORY, FACTORY, ZERO_HASH, enabled=False)
    found, refused = await read(local_node, [meta(META), disabled])
    assert found.pools == ()
    assert set(refused) == set(FOUND_AS)


async def test_listed_pools_of_the_code_that_the_venue_names(local_node: LocalNode) -> None:
    build(local_node)
    code = bytes.fromhex(local_node.rpc("eth_getCode", FOREIGN, "latest")[2:])
    for registry in (META, PROVIDER):
        found, refused = await read(local_node, [meta(registry, "0x" + keccak(code).hex())])
        assert [state.pool.address for state in found.pools] == [FOREIGN]
        assert refused == {
            MADE: "its code is not that of a curve pool",
            NAMED: "its code is not that of a curve pool",
            CRYPTO: "it is a StableSwap pool of an unknown kind",
        }


async def test_a_registry_that_lists_without_end_is_not_read(local_node: LocalNode) -> None:
    build(local_node)
    put(local_node, META, {"pool_count()": 2**200, "registry_length()": 1})
    local_node.mine()
    found, refused = await read(local_node, [meta(PROVIDER), named])
    assert [state.pool.address for state in found.pools] == [NAMED]
    assert refused == {PROVIDER: f"curve claims to have {2**200} pools"}
