"""The lenders of the settings, with their fees and what they hold, read from the chain."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from engine.app.settings import LenderSettings
from engine.chain.calls import View, at_block, read_view
from engine.domain.errors import ConfigError, NodeError, NodeUnreachable
from engine.domain.execution import Pinned
from engine.domain.market import ZERO_ADDRESS, BlockRef
from engine.domain.ports import Node
from engine.execution.commands import Kind
from engine.execution.lenders import Lender

_BALANCE = View.of("balanceOf(address)", "uint256")
# Aave V3's pool: the premium in 1e-4, and of a reserve's record the place of the token that holds it.
_PREMIUM = View.of("FLASHLOAN_PREMIUM_TOTAL()", "uint128")
_RESERVE = View.of("getReserveData(address)", *["uint256"] * 8, "address")
# Balancer V2's vault keeps its fees, in 1e-18, in another contract.
_COLLECTOR = View.of("getProtocolFeesCollector()", "address")
_LOAN_FEE = View.of("getFlashLoanFeePercentage()", "uint256")


class LenderBook(Sequence[Lender]):
    """The lenders as of the last block looked at: a live view for the planner.

    `pinned`'s Balancer vault lends besides those of the settings.
    """

    def __init__(self, node: Node, settings: Sequence[LenderSettings], pinned: Pinned, bases: Sequence[str]):
        self._node = node
        self._settings = tuple(settings)
        self.pinned = pinned
        self._bases = tuple(bases)
        self._lenders: tuple[Lender, ...] = ()
        # By lender: who holds each base token for it.
        self._holders: tuple[dict[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self._lenders)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        return self._lenders[index]

    async def open(self, pinned: Pinned | None = None) -> None:
        """Read fees and who holds what, for a router that pins `pinned` when given. Raises ConfigError for a
        contract that is no such lender."""
        pinned = pinned or self.pinned
        lenders, holders = [], []
        if pinned.balancer_vault:
            vault = pinned.balancer_vault
            (collector,) = await self._ask(vault, _COLLECTOR)
            (fee,) = await self._ask(str(collector), _LOAN_FEE)
            lenders.append(Lender(Kind.BALANCER_LOAN, fee_wad=int(fee)))
            holders.append(dict.fromkeys(self._bases, vault))
        for one in self._settings:
            if one.kind == "morpho":
                lenders.append(Lender(Kind.MORPHO_LOAN, one.address))
                holders.append(dict.fromkeys(self._bases, one.address))
                continue
            (premium,) = await self._ask(one.address, _PREMIUM)
            lenders.append(Lender(Kind.AAVE_LOAN, one.address, int(premium)))
            holders.append(await self._reserves(one.address))
        self._lenders, self._holders, self.pinned = tuple(lenders), tuple(holders), pinned

    async def refresh(self, block: BlockRef) -> None:
        """What each holds at `block`. Raises NodeError."""
        held = await asyncio.gather(*(self._held(holders, block) for holders in self._holders))
        self._lenders = tuple(
            replace(lender, holds=holds) for lender, holds in zip(self._lenders, held, strict=True)
        )

    async def _held(self, holders: dict[str, str], block: BlockRef) -> dict[str, int]:
        where = at_block(block.hash)
        amounts = await asyncio.gather(
            *(read_view(self._node, base, _BALANCE, (holder,), where) for base, holder in holders.items())
        )
        return {base: int(amount) for base, (amount,) in zip(holders, amounts, strict=True)}

    async def _reserves(self, pool: str) -> dict[str, str]:
        found = {}
        for base in self._bases:
            holder = str((await self._ask(pool, _RESERVE, base))[-1]).lower()
            if holder != ZERO_ADDRESS:
                found[base] = holder
        return found

    async def _ask(self, contract: str, view: View, *arguments: str) -> tuple:
        try:
            return await read_view(self._node, contract, view, arguments, "latest")
        except NodeUnreachable:
            raise
        except NodeError as error:
            raise ConfigError(
                f"{contract} does not answer {view.name}: it is not the lender that execution.lenders names, "
                "or not the Balancer vault that the router pins"
            ) from error
