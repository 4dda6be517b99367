// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPriceSource, QuoteStatus} from "../interfaces/IPriceSource.sol";

/// @dev Calls of contracts that may revert, burn what gas they get, or return a megabyte.
library Bounded {
    /// Enough for a proxied aggregator or a pool's observations.
    uint256 internal constant ORIGIN_GAS = 200_000;
    /// Enough for a source that reads two others, each of which reads its origin.
    uint256 internal constant SOURCE_GAS = 1_000_000;

    /// @dev The first `words` (1 to 8) words of the answer; not ok unless there are at least as many.
    function view_(address to, bytes memory request, uint256 words)
        internal
        view
        returns (bool ok, uint256[8] memory answer)
    {
        (ok, answer) = _call(to, request, words, ORIGIN_GAS);
    }

    /// @dev Another source's price, with a status of its own or CALL_FAILED; zero unless OK.
    function source(address from) internal view returns (uint256 priceE18, uint256 updatedAt, uint8 status) {
        (bool ok, uint256[8] memory answer) =
            _call(from, abi.encodeCall(IPriceSource.read, ()), 3, SOURCE_GAS);
        if (!ok || answer[2] > QuoteStatus.CHANGED) return (0, 0, QuoteStatus.CALL_FAILED);
        // forge-lint: disable-next-line(unsafe-typecast)
        status = uint8(answer[2]);
        if (status == QuoteStatus.OK && (answer[0] == 0 || answer[0] > type(uint128).max)) {
            status = QuoteStatus.OUT_OF_BOUNDS;
        }
        return (status == QuoteStatus.OK ? answer[0] : 0, answer[1], status);
    }

    function _call(address to, bytes memory request, uint256 words, uint256 allowed)
        private
        view
        returns (bool ok, uint256[8] memory answer)
    {
        assembly ("memory-safe") {
            ok := staticcall(allowed, to, add(request, 32), mload(request), answer, mul(words, 32))
            ok := and(ok, gt(returndatasize(), sub(mul(words, 32), 1)))
        }
    }
}
