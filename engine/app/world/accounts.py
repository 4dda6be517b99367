"""The world's inhabitants: unlocked accounts with ether, tokens and the approvals they need."""

from __future__ import annotations

from engine.app.world.dexes import Groundwork
from engine.app.world.outbox import Outbox, Sending, calldata
from engine.app.world.tokens import TOKEN_SPECS, TruePrices

# Not anvil's development accounts: whatever is deployed from those finds their nonces untouched.
DEPLOYER = "0x" + "d0" * 20
PROVIDER = "0x" + "d1" * 20
REPORTER = "0x" + "d2" * 20
TRAFFIC = "0x" + "d3" * 20
TRADERS = ("0x" + "e0" * 20, "0x" + "e1" * 20, "0x" + "e2" * 20)

_FORTUNE_WEI = 10**8 * 10**18
_FORTUNE_USD = 2e10
_UNLIMITED = 2**256 - 1
_GAS = 200_000


async def open_accounts(outbox: Outbox) -> None:
    """Unlock every inhabitant and give it ether."""
    for account in (DEPLOYER, PROVIDER, REPORTER, TRAFFIC, *TRADERS):
        await outbox.open(account, _FORTUNE_WEI)


async def endow(outbox: Outbox, ground: Groundwork, prices: TruePrices, fee_wei: int) -> None:
    """Give the liquidity provider and the traders every token, and let routers and callee spend them."""
    sendings = []
    spenders = [*ground.routers.values(), ground.callee]
    for account in (PROVIDER, *TRADERS):
        for spec in TOKEN_SPECS:
            token = ground.token(spec.symbol)
            amount = int(_FORTUNE_USD / prices.est_usd_per_unit(token))
            if spec.wrapped_native:
                sendings.append(
                    Sending("wrap ether", account, token.address, calldata("deposit()"), amount, _GAS)
                )
            else:
                mint = calldata("mint(address,uint256)", account, amount)
                sendings.append(Sending(f"mint {spec.symbol}", account, token.address, mint, gas=_GAS))
            sendings += [approval(account, token.address, spender) for spender in spenders]
    await outbox.settle(sendings, fee_wei)


def approval(owner: str, token: str, spender: str) -> Sending:
    """The owner's transaction that lets `spender` spend any amount of a token."""
    return Sending(
        "approve", owner, token, calldata("approve(address,uint256)", spender, _UNLIMITED), gas=_GAS
    )
