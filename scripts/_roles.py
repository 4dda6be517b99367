"""The first setting up of roles, functions, router, venues and feeds, and the deployer's leaving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import click
from ape.api import AccountAPI
from ape.contracts import ContractInstance
from eth_utils import function_signature_to_4byte_selector as selector

from engine.chain.access import FUNCTIONS, ROLES
from engine.domain.errors import DeploymentError
from scripts._registries import RegistryCall
from scripts._send import encode, multicall

_ADMIN = ROLES["admin"]
# What the deployer needs while it fills the registries.
_LENT = ("curator", "upgrader")
# One transaction stays far below a block's gas: adding a venue takes about 200,000.
_CALLS_PER_TRANSACTION = 40


@dataclass(frozen=True, slots=True)
class Holder:
    """Who gets a role, and how long it waits between announcing and doing, in seconds."""

    address: str
    delay_s: int


@dataclass(frozen=True, slots=True)
class SetUp:
    """Everything the deployer does as the AccessManager's first administrator, before it leaves."""

    account: AccountAPI
    manager: ContractInstance
    targets: Mapping[str, ContractInstance]
    holders: Mapping[str, Holder]

    def finish(self, registry_calls: Sequence[RegistryCall]) -> bool:
        """Send what is missing; whether anything was. The last thing sent makes the deployer nobody.

        Raises DeploymentError when the account no longer administers and something is missing.
        """
        is_admin, _ = self.manager.hasRole(_ADMIN, self.account.address)
        if not is_admin:
            self._require_handed_over()
            for one in registry_calls:
                click.echo(f"differs: {one}")
            if registry_calls:
                click.echo("the curator and upgrader apply differences with `ape run configure`")
            return False
        calls = [*self._functions(), *self._lend()]
        calls += [encode(self.manager.execute, one.target, one.data) for one in registry_calls]
        calls += [*self._take_back(), *self._grant(), *self._leave()]
        sent = multicall(self.account, self.manager, calls, _CALLS_PER_TRANSACTION)
        click.echo(
            f"set up {len(registry_calls)} registry entries and {len(self.holders)} roles"
            f" in {sent} transactions; the deployer holds no role"
        )
        return True

    def _require_handed_over(self) -> None:
        for role, holder in self.holders.items():
            held, delay = self.manager.hasRole(ROLES[role], holder.address)
            if not held or delay != holder.delay_s:
                raise DeploymentError(
                    f"{holder.address} is not {role} with a delay of {holder.delay_s} s, and"
                    f" {self.account.address} does not administer the AccessManager {self.manager.address}:"
                    " let the administrator change roles, or use another --out"
                )

    def _functions(self) -> list[bytes]:
        calls = []
        for name, functions in FUNCTIONS.items():
            target = self.targets[name].address
            for role in dict.fromkeys(functions.values()):
                selectors = [selector(one) for one, of in functions.items() if of == role]
                unset = [
                    one for one in selectors if self.manager.getTargetFunctionRole(target, one) != ROLES[role]
                ]
                if unset:
                    calls.append(encode(self.manager.setTargetFunctionRole, target, unset, ROLES[role]))
        return calls

    def _lend(self) -> list[bytes]:
        return [encode(self.manager.grantRole, ROLES[role], self.account.address, 0) for role in _LENT]

    def _take_back(self) -> list[bytes]:
        return [encode(self.manager.revokeRole, ROLES[role], self.account.address) for role in _LENT]

    def _grant(self) -> list[bytes]:
        calls = []
        for role, holder in self.holders.items():
            number = ROLES[role]
            if role != "admin":
                calls.append(encode(self.manager.labelRole, number, role))
                calls.append(encode(self.manager.grantRole, number, holder.address, holder.delay_s))
        for role in _LENT:
            # What was announced can be called off by the guardian.
            calls.append(encode(self.manager.setRoleGuardian, ROLES[role], ROLES["guardian"]))
        return calls

    def _leave(self) -> list[bytes]:
        admin = self.holders["admin"]
        delay = admin.delay_s
        calls = [
            encode(self.manager.setTargetAdminDelay, one.address, delay) for one in self.targets.values()
        ]
        calls += [encode(self.manager.setGrantDelay, ROLES[role], delay) for role in (*_LENT, "guardian")]
        calls.append(encode(self.manager.grantRole, _ADMIN, admin.address, delay))
        calls.append(encode(self.manager.renounceRole, _ADMIN, self.account.address))
        return calls
