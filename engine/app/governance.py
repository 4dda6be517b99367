"""Whether a deployment is governed as it must be: roles, delays, a deployer that is nobody."""

from __future__ import annotations

from collections.abc import Mapping

from engine.chain.access import DELAYED, Access, read_access
from engine.chain.calls import View, read_view
from engine.chain.deployments import ACCESS_MANAGER, ROUTER, Manifest
from engine.chain.wire import quantity
from engine.domain.ports import Node

_OPERATOR = View.of("OPERATOR()", "address")


async def examine_governance(node: Node, manifests: Mapping[str, Manifest]) -> tuple[Access, list[str]]:
    """Who holds which role at the node's head, and what is not as it must be, a sentence each.

    Checked: the registries obey the recorded AccessManager; every restricted function is for its role; every
    role has a holder; roles that add risk wait; the deployer holds none; holders and delays are the recorded
    ones; the router obeys somebody who is operator. Raises NodeError when the node fails.
    """
    manager = manifests[ACCESS_MANAGER]
    head = quantity(await node.request("eth_blockNumber", ()), "block number")
    addresses = {name: manifest.address for name, manifest in manifests.items()}
    access = await read_access(node, manager.address, addresses, manager.block, head)
    findings = access.findings(manager.address, str(manager.raw.get("deployer", "")).lower())
    recorded = manager.raw.get("roles")
    if isinstance(recorded, Mapping):
        for role, wanted in recorded.items():
            held = access.holders.get(role, {}).get(wanted["holder"])
            if held is None:
                findings.append(f"{wanted['holder']} is not {role}, as {manager.path} records")
            elif held != wanted["delay_s"]:
                findings.append(
                    f"{role} {wanted['holder']} waits {held} s and not {wanted['delay_s']} s as recorded"
                )
    else:
        findings.append(f"{manager.path} records no roles: the deployment was not finished")
    router = manifests[ROUTER].address
    (operator,) = await read_view(node, router, _OPERATOR, (), hex(head))
    if str(operator).lower() not in access.holders["operator"]:
        findings.append(f"the router {router} obeys {operator}, who is not operator")
    return access, findings


def describe(access: Access) -> str:
    """The roles in one line."""

    def one(role: str, holder: str, delay: int) -> str:
        return f"{role} {holder}" + (f" after {delay} s" if role in DELAYED else "")

    held = [(role, *entry) for role, holders in access.holders.items() for entry in holders.items()]
    return "; ".join(one(*entry) for entry in held)
