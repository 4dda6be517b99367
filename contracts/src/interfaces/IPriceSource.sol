// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @dev Whether and why a price can be believed; the numbers are part of the interface.
library QuoteStatus {
    uint8 internal constant OK = 0;
    /// Nobody quotes this.
    uint8 internal constant MISSING = 1;
    /// Too old, or from the future.
    uint8 internal constant STALE = 2;
    /// Not positive, beyond what is plausible, or where the source clamps its answers.
    uint8 internal constant OUT_OF_BOUNDS = 3;
    /// The source reverted, ran out of its gas or answered in another form.
    uint8 internal constant CALL_FAILED = 4;
    /// Sources that should agree do not.
    uint8 internal constant DISAGREE = 5;
    /// The chain's sequencer is down, or was until just now.
    uint8 internal constant SEQUENCER_DOWN = 6;
    /// What the source was approved as is no longer what stands behind it.
    uint8 internal constant CHANGED = 7;
}

/// @title One immutable way to a price
/// @notice Fixed for life to one base, one quote and one origin; to change anything is to deploy another.
interface IPriceSource {
    /// @notice A constructor argument cannot have this value.
    error InvalidSource(string field);

    /// @notice The token that is priced.
    function base() external view returns (address);

    /// @notice What it is priced in: a token, or 0x348 for US dollars (ISO 4217 number 840).
    function quote() external view returns (address);

    /// @notice The price of one whole `base` in `quote`. Does not revert, whatever its origin does.
    /// @return priceE18 With 18 decimals; zero unless the status is 0.
    /// @return updatedAt When the origin took it, in unix seconds; zero where that is unknown.
    /// @return status One of `QuoteStatus`.
    function read() external view returns (uint256 priceE18, uint256 updatedAt, uint8 status);
}
