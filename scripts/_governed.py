"""Doing what the AccessManager guards: at once, or announced now and done when its delay has passed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import click
from ape import networks
from ape.api import AccountAPI
from ape.contracts import ContractInstance

from engine.chain.access import ROLES
from engine.domain.errors import DeploymentError
from scripts._announced import Announcement
from scripts._registries import RegistryCall
from scripts._send import clock, encode, now, send


class Standing(Enum):
    """Where a call stands for one caller."""

    READY = "ready"
    UNANNOUNCED = "unannounced"
    WAITING = "waiting"
    FORBIDDEN = "forbidden"


@dataclass(slots=True)
class Progress:
    """What `Authority.perform` did: calls done, announced or waiting, and those that take another's role."""

    done: list[RegistryCall] = field(default_factory=list)
    pending: list[RegistryCall] = field(default_factory=list)
    forbidden: list[RegistryCall] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do."""
        return not self.pending and not self.forbidden


@dataclass(frozen=True, slots=True)
class Authority:
    """Acts on the AccessManager for `caller`. With an account it sends; without, it prints what the caller
    (a multisig) has to send."""

    manager: ContractInstance
    caller: str
    account: AccountAPI | None

    @classmethod
    def of(cls, manager: ContractInstance, account: AccountAPI, multisig: str | None) -> Authority:
        """For a multisig when one is named, else for the account."""
        return cls(manager, multisig, None) if multisig else cls(manager, account.address, account)

    def perform(self, calls: Sequence[RegistryCall]) -> Progress:
        """Do what may be done, announce what must be announced; in one transaction each. Says what it did.

        Raises DeploymentError when the caller may do none of it.
        """
        progress = Progress()
        standing = {id(call): self._standing(call) for call in calls}

        def those(which: Standing) -> list[RegistryCall]:
            return [call for call in calls if standing[id(call)][0] is which]

        progress.forbidden = those(Standing.FORBIDDEN)
        if progress.forbidden and len(progress.forbidden) == len(calls):
            wanted = "; ".join(str(call) for call in calls[:3])
            raise DeploymentError(
                f"{self.caller} has no role for this ({wanted}): pass the --account or --multisig that has"
            )
        if ready := those(Standing.READY):
            self._send([encode(self.manager.execute, call.target, call.data) for call in ready])
            progress.done = ready
            self._say("done", ready)
        if fresh := those(Standing.UNANNOUNCED):
            self._send([encode(self.manager.schedule, call.target, call.data, 0) for call in fresh])
            self._say("announced", fresh)
        for call in those(Standing.WAITING):
            click.echo(f"waiting: {call}; possible from {clock(standing[id(call)][1])}")
        progress.pending = [*fresh, *those(Standing.WAITING)]
        for call in progress.forbidden:
            click.echo(f"needs another role: {call}", err=True)
        if fresh and self.account is not None:
            latest = max(self._announced_for(call) for call in fresh)
            click.echo(f"run the same command again from {clock(latest)} on to do it")
        return progress

    def may_call_off(self, one: Announcement) -> bool:
        """Whether the caller announced it, administers, or guards those whose function it is."""
        role = self.manager.getTargetFunctionRole(one.target, one.data[:4])
        may = (ROLES["admin"], self.manager.getRoleGuardian(role))
        return one.caller == self.caller or any(self.manager.hasRole(each, self.caller)[0] for each in may)

    def call_off(self, announced: Sequence[Announcement]) -> None:
        """Cancel announced calls, in one transaction. Raises DeploymentError when the caller may not."""
        if barred := [one for one in announced if not self.may_call_off(one)]:
            raise DeploymentError(
                f"{self.caller} may not call off {barred[0]}: the administrator may, who announced it, and"
                " the guardian what is the curator's or the upgrader's"
            )
        if not announced:
            raise DeploymentError(f"{self.caller} may call off nothing of what is announced")
        self._send([encode(self.manager.cancel, one.caller, one.target, one.data) for one in announced])
        self._say("called off", announced)

    def _standing(self, call: RegistryCall) -> tuple[Standing, int]:
        immediate, delay = self.manager.canCall(self.caller, call.target, call.data[:4])
        if immediate:
            return Standing.READY, 0
        if not delay:
            return Standing.FORBIDDEN, 0
        ready_at = self._announced_for(call)
        if not ready_at:
            return Standing.UNANNOUNCED, 0
        return (Standing.READY if ready_at <= now() else Standing.WAITING), ready_at

    def _announced_for(self, call: RegistryCall) -> int:
        """When an announced call may be done, unix seconds; zero when it is not announced or has expired."""
        operation = self.manager.hashOperation(self.caller, call.target, call.data)
        return int(self.manager.getSchedule(operation))

    def _send(self, calls: list[bytes]) -> None:
        data = calls[0] if len(calls) == 1 else encode(self.manager.multicall, calls)
        if self.account is not None:
            send(self.account, self.manager.address, data)
            return
        transaction: dict[str, Any] = {
            "chain_id": int(networks.provider.chain_id),
            "from": self.caller,
            "to": self.manager.address,
            "value": 0,
            "data": "0x" + data.hex(),
        }
        click.echo(json.dumps(transaction))

    def _say(self, what: str, calls: Sequence[RegistryCall | Announcement]) -> None:
        what = what if self.account is not None else "to be sent by the multisig"
        for call in calls:
            click.echo(f"{what}: {call}", err=self.account is None)
