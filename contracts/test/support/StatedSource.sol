// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPriceSource} from "../../src/interfaces/IPriceSource.sol";

/// @dev A source that answers what it was told to, or misbehaves.
contract StatedSource is IPriceSource {
    enum Manner {
        Answer,
        Revert,
        BurnGas,
        ShortAnswer,
        LongAnswer
    }

    address public base;
    address public quote;
    Manner public manner;
    uint256 public priceE18 = 1e18;
    uint256 public updatedAt = 1;
    uint256 public status;

    constructor(address base_, address quote_) {
        (base, quote) = (base_, quote_);
    }

    function set(uint256 priceE18_, uint256 updatedAt_, uint256 status_) external {
        (manner, priceE18, updatedAt, status) = (Manner.Answer, priceE18_, updatedAt_, status_);
    }

    function misbehave(Manner manner_) external {
        manner = manner_;
    }

    function read() external view returns (uint256, uint256, uint8) {
        if (manner == Manner.Revert) revert("no");
        if (manner == Manner.BurnGas) {
            while (true) {}
        }
        uint256 size = manner == Manner.ShortAnswer ? 64 : manner == Manner.LongAnswer ? 5e5 : 96;
        (uint256 price, uint256 since, uint256 how) = (priceE18, updatedAt, status);
        assembly ("memory-safe") {
            let answer := mload(64)
            mstore(answer, price)
            mstore(add(answer, 32), since)
            mstore(add(answer, 64), how)
            return(answer, size)
        }
    }
}
