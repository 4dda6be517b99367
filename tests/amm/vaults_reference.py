"""ERC-4626 vaults and wstETH in plain integers, with the stETH shares of a wallet."""

from __future__ import annotations

from dataclasses import dataclass

from amm_reference import UINT256, mul_div, mul_div_rounding_up, require


@dataclass
class Vault:
    """`virtual_shares` and `virtual_assets` are 10**offset and 1 at OpenZeppelin's, 0 and 0 at solmate's."""

    supply: int
    assets: int
    virtual_shares: int
    virtual_assets: int

    def _convert(self, amount: int, numerator: int, denominator: int, round_up: bool) -> int:
        if self.virtual_assets == 0:
            if self.supply == 0:
                return amount
            require(amount * numerator <= UINT256)
        require(numerator <= UINT256 and denominator <= UINT256)
        return (mul_div_rounding_up if round_up else mul_div)(amount, numerator, denominator)

    def shares_of(self, assets: int, round_up: bool = False) -> int:
        total = self.supply + self.virtual_shares
        return self._convert(assets, total, self.assets + self.virtual_assets, round_up)

    def assets_of(self, shares: int, round_up: bool = False) -> int:
        total = self.assets + self.virtual_assets
        return self._convert(shares, total, self.supply + self.virtual_shares, round_up)

    def _enter(self, assets: int, shares: int) -> None:
        self.assets += assets
        self.supply += shares
        require(self.assets <= UINT256 and self.supply <= UINT256)

    def _leave(self, assets: int, shares: int) -> None:
        self.assets -= assets
        self.supply -= shares
        require(self.assets >= 0 and self.supply >= 0)

    def deposit(self, assets: int) -> int:
        shares = self.shares_of(assets)
        require(shares > 0 or self.virtual_assets > 0)
        self._enter(assets, shares)
        return shares

    def mint(self, shares: int) -> int:
        assets = self.assets_of(shares, True)
        self._enter(assets, shares)
        return assets

    def redeem(self, shares: int) -> int:
        assets = self.assets_of(shares)
        require(assets > 0 or self.virtual_assets > 0)
        self._leave(assets, shares)
        return assets

    def withdraw(self, assets: int) -> int:
        shares = self.shares_of(assets, True)
        self._leave(assets, shares)
        return shares


@dataclass
class StakedEther:
    """stETH and its wrapper, and one wallet's stETH shares."""

    total_shares: int
    pooled_ether: int
    wrapped_supply: int
    held_shares: int

    def ether_of(self, shares: int) -> int:
        require(shares * self.pooled_ether <= UINT256)
        return shares * self.pooled_ether // self.total_shares

    def shares_of(self, ether: int) -> int:
        require(ether * self.total_shares <= UINT256)
        return ether * self.total_shares // self.pooled_ether

    def wrap(self, ether: int) -> tuple[int, int]:
        """(stETH the wallet loses, wstETH it gets)."""
        require(ether > 0)
        shares = self.shares_of(ether)
        require(shares <= self.held_shares)
        lost = self.ether_of(self.held_shares) - self.ether_of(self.held_shares - shares)
        return lost, shares

    def unwrap(self, wrapped: int) -> int:
        """stETH the wallet gets."""
        require(0 < wrapped <= self.wrapped_supply)
        shares = self.shares_of(self.ether_of(wrapped))
        return self.ether_of(self.held_shares + shares) - self.ether_of(self.held_shares)
