// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPriceSource, QuoteStatus} from "../interfaces/IPriceSource.sol";
import {Bounded} from "./Bounded.sol";

/// @title Two sources in a row: base in something, times that something in quote
/// @notice As old as the older one, and refused with the first refusal.
contract CrossSource is IPriceSource {
    address public immutable base;
    address public immutable quote;
    address public immutable first;
    address public immutable second;

    constructor(address first_, address second_) {
        if (first_.code.length == 0) revert InvalidSource("first");
        if (second_.code.length == 0) revert InvalidSource("second");
        (base, quote) = (IPriceSource(first_).base(), IPriceSource(second_).quote());
        if (IPriceSource(first_).quote() != IPriceSource(second_).base()) revert InvalidSource("second");
        if (base == quote) revert InvalidSource("quote");
        (first, second) = (first_, second_);
    }

    /// @inheritdoc IPriceSource
    function read() external view returns (uint256 priceE18, uint256 updatedAt, uint8 status) {
        uint256 factor;
        uint256 since;
        (priceE18, updatedAt, status) = Bounded.source(first);
        if (status != QuoteStatus.OK) return (0, updatedAt, status);
        (factor, since, status) = Bounded.source(second);
        if (status != QuoteStatus.OK) return (0, since, status);
        // Neither is above 2^128.
        priceE18 = priceE18 * factor / 1e18;
        if (priceE18 == 0) return (0, 0, QuoteStatus.OUT_OF_BOUNDS);
        return (priceE18, since < updatedAt ? since : updatedAt, QuoteStatus.OK);
    }
}
