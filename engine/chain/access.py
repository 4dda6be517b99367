"""Who may do what to our contracts: the roles, delays and functions of their AccessManager."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eth_utils import keccak

from engine.chain.calls import View, answered
from engine.chain.deployments import DEX_REGISTRY, PRICE_FEED_REGISTRY
from engine.chain.wire import octets, selector
from engine.domain.errors import NodeError
from engine.domain.ports import Node

ROLES: Mapping[str, int] = {"admin": 0, "curator": 1, "guardian": 2, "operator": 3, "upgrader": 4}
# Roles that can add risk: each must wait between announcing and doing.
DELAYED = ("admin", "curator", "upgrader")

VENUE = "(string,bytes32,address,address,bytes32,bytes32,uint24,bool)"
FEED = "(address,address,uint8,uint16,uint16,address[],address[])"

# Every function that is restricted to a role other than the administrator's.
FUNCTIONS: Mapping[str, Mapping[str, str]] = {
    DEX_REGISTRY: {
        f"addVenue({VENUE})": "curator",
        "enableVenue(uint256)": "curator",
        "unbar(address)": "curator",
        "disableVenue(uint256)": "guardian",
        "bar(address)": "guardian",
        "clearRouter()": "guardian",
        "emergencyStop()": "guardian",
        "setRouter(address)": "upgrader",
        "upgradeToAndCall(address,bytes)": "upgrader",
    },
    PRICE_FEED_REGISTRY: {
        f"setFeed({FEED})": "curator",
        "removeFeed(address,address)": "guardian",
        "removeSource(address,address,address)": "guardian",
        "upgradeToAndCall(address,bytes)": "upgrader",
    },
}

_GRANTED = "0x" + keccak(text="RoleGranted(uint64,address,uint32,uint48,bool)").hex()
_ACCESS = View.of("getAccess(uint64,address)", "uint48", "uint32", "uint32", "uint48")
_FUNCTION_ROLE = View.of("getTargetFunctionRole(address,bytes4)", "uint64")
_CLOSED = View.of("isTargetClosed(address)", "bool")
_AUTHORITY = View.of("authority()", "address")


@dataclass(frozen=True, slots=True)
class Access:
    """What an AccessManager holds: `holders` by role name, each with its execution delay in seconds;
    `functions` by contract and signature the role number; `closed` the contracts that are shut off."""

    holders: dict[str, dict[str, int]]
    functions: dict[str, dict[str, int]]
    authorities: dict[str, str]
    closed: tuple[str, ...]

    def findings(self, manager: str, deployer: str | None) -> list[str]:
        """What is not as a deployment must be, a sentence each."""
        found = []
        for contract, functions in FUNCTIONS.items():
            if self.authorities[contract] != manager:
                found.append(
                    f"{contract} obeys {self.authorities[contract]} and not the AccessManager {manager}"
                )
            for signature, role in functions.items():
                held = self.functions[contract][signature]
                if held != ROLES[role]:
                    found.append(f"{contract}.{signature} is for role {held} and not for the {role}")
            if contract in self.closed:
                found.append(f"{contract} is closed: nobody may change anything")
        for role, number in ROLES.items():
            if not self.holders[role]:
                found.append(f"nobody is {role} (role {number})")
            for holder, delay in self.holders[role].items():
                if role in DELAYED and delay == 0:
                    found.append(f"the {role} {holder} may act without a delay")
                if holder == deployer and role != "operator":
                    found.append(f"the deployer {holder} still is {role}")
        return found


async def read_access(
    node: Node, manager: str, contracts: Mapping[str, str], from_block: int, block: int
) -> Access:
    """The roles' holders and the functions' roles at a block.

    `contracts` are the registries' addresses by name; holders are found in the manager's events since
    `from_block`, which must not be after its creation. Raises NodeError.
    """
    candidates = await _granted(node, manager, from_block, block)
    at = hex(block)

    def ask(to: str, view: View, *arguments: Any) -> tuple[str, list[Any]]:
        return "eth_call", [{"to": to, "data": view.data(*arguments)}, at]

    pairs = [(role, account) for role, number in ROLES.items() for account in candidates.get(number, ())]
    calls = [ask(manager, _ACCESS, ROLES[role], account) for role, account in pairs]
    names = [(name, signature) for name, functions in FUNCTIONS.items() for signature in functions]
    calls += [ask(manager, _FUNCTION_ROLE, contracts[name], selector(signature)) for name, signature in names]
    calls += [ask(contracts[name], _AUTHORITY) for name in FUNCTIONS]
    calls += [ask(manager, _CLOSED, contracts[name]) for name in FUNCTIONS]
    answers = iter(await node.batch(calls))
    holders: dict[str, dict[str, int]] = {role: {} for role in ROLES}
    for role, account in pairs:
        since, delay, _, _ = _ACCESS.decode(answered(next(answers)))
        if since:
            holders[role][account] = delay
    functions: dict[str, dict[str, int]] = {name: {} for name in FUNCTIONS}
    for name, signature in names:
        (functions[name][signature],) = _FUNCTION_ROLE.decode(answered(next(answers)))
    authorities = {name: str(_AUTHORITY.decode(answered(next(answers)))[0]).lower() for name in FUNCTIONS}
    closed = tuple(name for name in FUNCTIONS if _CLOSED.decode(answered(next(answers)))[0])
    return Access(holders, functions, authorities, closed)


async def _granted(node: Node, manager: str, start: int, end: int) -> dict[int, list[str]]:
    """Every account that was ever given a role, by role number."""
    found: dict[int, list[str]] = {}
    for log in await _logs(node, manager, start, end):
        topics = log["topics"]
        role, account = int(topics[1], 16), "0x" + octets(topics[2], "topic", 32)[12:].hex()
        if account not in found.setdefault(role, []):
            found[role].append(account)
    return found


async def _logs(node: Node, manager: str, start: int, end: int) -> Sequence[Mapping[str, Any]]:
    """The manager's RoleGranted logs; a range that a node refuses is halved."""
    wanted = {"address": manager, "topics": [_GRANTED], "fromBlock": hex(start), "toBlock": hex(end)}
    try:
        answer = await node.request("eth_getLogs", [wanted])
    except NodeError:
        if start >= end:
            raise
        middle = (start + end) // 2
        return [*await _logs(node, manager, start, middle), *await _logs(node, manager, middle + 1, end)]
    if not isinstance(answer, list):
        raise NodeError("the node answered eth_getLogs with something that is not a list")
    return answer
