"""What runs for a token: its code, where a proxy points, and what both can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eth_utils import keccak

from engine.chain.calls import at_block
from engine.chain.wire import octets, selector
from engine.domain.errors import NodeError
from engine.domain.market import ZERO_ADDRESS
from engine.domain.ports import Node
from engine.domain.token_safety import TokenCode

EMPTY_CODE_HASH = "0x" + keccak(b"").hex()


def _slot(name: str, less: int = 0) -> str:
    return f"0x{int.from_bytes(keccak(text=name), 'big') - less:064x}"


# EIP-1967's implementation and beacon, EIP-1822's, and the one that USDC's generation of proxies uses.
_IMPLEMENTATION = _slot("eip1967.proxy.implementation", 1)
_BEACON = _slot("eip1967.proxy.beacon", 1)
PROXY_SLOTS = (_IMPLEMENTATION, _BEACON, _slot("PROXIABLE"), _slot("org.zeppelinos.proxy.implementation"))
_BEACON_CALL = "0x" + selector("implementation()").hex()
# ERC-1167: the address stands between these.
_CLONE_HEAD = bytes.fromhex("363d3d373d3d3d363d73")
_CLONE_TAIL = bytes.fromhex("5af43d82803e903d91602b57fd5bf3")
_FEATURES = {
    "pausable": ("pause()", "paused()", "setPaused(bool)", "enableTrading()", "tradingEnabled()"),
    "blacklist": (
        "blacklist(address)",
        "isBlacklisted(address)",
        "isBlackListed(address)",
        "addBlackList(address)",
        "setBlacklist(address,bool)",
        "freeze(address)",
        "isFrozen(address)",
        "setBots(address[])",
    ),
    "fee": (
        "setParams(uint256,uint256)",
        "setFee(uint256)",
        "setFees(uint256,uint256)",
        "setTax(uint256)",
        "excludeFromFee(address)",
    ),
    "limits": (
        "setMaxTxAmount(uint256)",
        "setMaxTxPercent(uint256)",
        "_maxTxAmount()",
        "setMaxWallet(uint256)",
    ),
    "rebasing": (
        "rebase(uint256,int256)",
        "sharesOf(address)",
        "scaledBalanceOf(address)",
        "gonsForBalance(uint256)",
    ),
    "mintable": ("mint(address,uint256)", "issue(uint256)"),
    "upgradeable": ("upgradeTo(address)", "upgradeToAndCall(address,bytes)"),
}
# As it stands in compiled code: PUSH4 and the selector.
_NEEDLES = {
    feature: tuple(b"\x63" + selector(signature) for signature in signatures)
    for feature, signatures in _FEATURES.items()
}
FEATURES = (*_FEATURES, "proxy")


async def read_codes(node: Node, tokens: Sequence[str], block_hash: str) -> dict[str, TokenCode]:
    """The code of each token as of a block; one whose answers are malformed is left out.

    Raises NodeError when the node fails.
    """
    if not tokens:
        return {}
    where = at_block(block_hash)
    codes = await _codes(node, tokens, block_hash)
    slots = await node.batch(
        [("eth_getStorageAt", [token, slot, where]) for token in tokens for slot in PROXY_SLOTS]
    )
    targets: dict[str, str] = {}
    beacons: dict[str, str] = {}
    for at, token in enumerate(tokens):
        own = slots[at * len(PROXY_SLOTS) : (at + 1) * len(PROXY_SLOTS)]
        found = {slot: _address(value) for slot, value in zip(PROXY_SLOTS, own, strict=True)}
        if beacon := found.pop(_BEACON):
            beacons[token] = beacon
        target = next((each for each in found.values() if each), "") or clone_of(codes.get(token, b""))
        if target:
            targets[token] = target
    targets |= await _behind_beacons(node, beacons, block_hash)
    behind = await _codes(node, sorted(set(targets.values())), block_hash)
    return {token: token_code(code, targets.get(token, ""), behind) for token, code in codes.items()}


def token_code(code: bytes, target: str, behind: Mapping[str, bytes]) -> TokenCode:
    """What is known of a token with this code that points to `target`, if to anything."""
    other = behind.get(target, b"") if target else b""
    features = [name for name, needles in _NEEDLES.items() if any(n in code or n in other for n in needles)]
    if target:
        features.append("proxy")
    return TokenCode(
        "0x" + keccak(code).hex(),
        target,
        "0x" + keccak(other).hex() if target else "",
        tuple(features),
    )


def clone_of(code: bytes) -> str:
    """The contract that ERC-1167 code forwards to, "" for other code."""
    if code.startswith(_CLONE_HEAD) and code[30:45] == _CLONE_TAIL:
        return "0x" + code[10:30].hex()
    return ""


async def _codes(node: Node, addresses: Sequence[str], block_hash: str) -> dict[str, bytes]:
    answers = await node.batch([("eth_getCode", [each, at_block(block_hash)]) for each in addresses])
    found = {}
    for each, answer in zip(addresses, answers, strict=True):
        if isinstance(answer, NodeError):
            raise answer
        found[each] = octets(answer, "code")
    return found


async def _behind_beacons(node: Node, beacons: Mapping[str, str], block_hash: str) -> dict[str, str]:
    calls = [{"to": beacon, "data": _BEACON_CALL} for beacon in beacons.values()]
    answers = await node.batch([("eth_call", [each, at_block(block_hash)]) for each in calls])
    # A beacon that does not say is itself what is watched.
    return {
        token: _address(answer) or beacon
        for (token, beacon), answer in zip(beacons.items(), answers, strict=True)
    }


def _address(word: object) -> str:
    """The address in a storage word or answer, "" for none."""
    try:
        if not isinstance(word, str) or len(word) != 66 or int(word, 16) >> 160:
            return ""
    except ValueError:
        return ""
    found = "0x" + word[26:].lower()
    return "" if found == ZERO_ADDRESS else found
