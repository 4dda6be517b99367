// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPriceSource, QuoteStatus} from "../interfaces/IPriceSource.sol";
import {Bounded} from "./Bounded.sol";

/// @title Another source the other way round
contract InverseSource is IPriceSource {
    address public immutable base;
    address public immutable quote;
    address public immutable inner;

    constructor(address inner_) {
        if (inner_.code.length == 0) revert InvalidSource("inner");
        inner = inner_;
        (base, quote) = (IPriceSource(inner_).quote(), IPriceSource(inner_).base());
    }

    /// @inheritdoc IPriceSource
    function read() external view returns (uint256 priceE18, uint256 updatedAt, uint8 status) {
        (priceE18, updatedAt, status) = Bounded.source(inner);
        if (status != QuoteStatus.OK) return (0, updatedAt, status);
        priceE18 = 1e36 / priceE18;
        if (priceE18 == 0) status = QuoteStatus.OUT_OF_BOUNDS;
    }
}
