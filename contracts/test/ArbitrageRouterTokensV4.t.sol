// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Attempts} from "./support/Attempts.sol";
import {Stream} from "./support/Stream.sol";
import {V4Pools} from "./support/V4Pools.sol";
import {WeirdToken} from "./support/WeirdToken.sol";

/// @dev Every misbehaviour of a token, at both places of a cycle over a V4 pool and a V3 pool: the run is undone, or the
/// router has gained at least the minimum and lost nothing else.
contract ArbitrageRouterTokensV4Test is V4Pools {
    uint256 private constant INVENTORY = 50e18;
    uint256 private constant MINIMUM = 1e16;

    bool private sellsBase;

    function setUp() public {
        deployCycleWorld();
        for (uint256 i = 0; i < 2; i++) {
            tokens[i] = address(new WeirdToken());
        }
        deployV4();
        for (uint256 i = 0; i < 2; i++) {
            WeirdToken(tokens[i]).mint(address(router), INVENTORY);
        }
        fillV4(500, 10, address(0));
        sellsBase = tokens[0] < tokens[1];
    }

    /// @dev What the router itself hands to the manager is guarded, as the engine writes it.
    function test_v4LastByPlaceAndMode() public {
        address[] memory guards = new address[](1);
        guards[0] = tokens[1];
        address honest = fill(Kind.UniswapV3, 0, tokens[0], tokens[1], sellsBase ? 125e16 : 8e17, 1000e18);
        _everyMode(
            bytes.concat(
                Stream.flagged(4, block.timestamp, MINIMUM),
                Stream.guarded(guards),
                Stream.firstV4(1e18),
                Stream.hopV4Paid(tokens[0], tokens[1], 500, 10),
                Stream.nestedV3(honest, sellsBase)
            )
        );
    }

    function test_v4FirstByPlaceAndMode() public {
        address honest = fill(Kind.UniswapV3, 0, tokens[0], tokens[1], sellsBase ? 8e17 : 125e16, 1000e18);
        _everyMode(
            bytes.concat(
                Stream.flagged(0, block.timestamp, MINIMUM),
                Stream.topV3(honest, !sellsBase, 1e18),
                Stream.nestedV4(),
                Stream.hopV4Plain(tokens[1], tokens[0], 500, 10)
            )
        );
    }

    function _everyMode(bytes memory stream) private {
        (uint256 landed, uint256 refused) = (0, 0);
        for (uint256 place = 0; place < 2; place++) {
            for (uint256 mode = 0; mode <= uint256(type(WeirdToken.Mode).max); mode++) {
                uint256 start = vm.snapshotState();
                if (_run(stream, WeirdToken(tokens[place]), WeirdToken.Mode(mode))) landed++;
                else refused++;
                vm.revertToState(start);
            }
        }
        assertGt(landed, 2);
        assertGt(refused, 2);
    }

    function _run(bytes memory stream, WeirdToken weird, WeirdToken.Mode mode) private returns (bool ok) {
        weird.setCalls(address(router), Attempts.all(tokens[0], INVENTORY, address(weird)));
        weird.setMode(mode);
        vm.prank(operator, operator);
        (ok,) = address(router).call{gas: 20_000_000}(stream);
        weird.setMode(WeirdToken.Mode.Good);
        assertFalse(weird.served(), "nothing was done at a token's bidding");
        assertGe(held(0), INVENTORY + (ok ? MINIMUM : 0));
        assertGe(held(1), INVENTORY);
        if (mode == WeirdToken.Mode.Good) assertTrue(ok, "lands with good tokens");
    }
}
