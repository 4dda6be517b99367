// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Attempts} from "./support/Attempts.sol";
import {Cycle} from "./support/Cycle.sol";
import {HostileVenue} from "./support/HostileVenue.sol";
import {Stream} from "./support/Stream.sol";
import {WeirdToken} from "./support/WeirdToken.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @dev Every misbehaviour of a token, at every place of a cycle, over every kind of hop: the run is undone, or the
/// router has gained at least the minimum and lost nothing else.
contract ArbitrageRouterTokensTest is Cycle {
    uint256 private constant INVENTORY = 50e18;
    uint256 private constant MINIMUM = 1e16;
    uint256 private constant MODES = uint256(WeirdToken.Mode.KeepsAllowance);

    function setUp() public {
        deployCycleWorld();
        for (uint256 i = 0; i < 3; i++) {
            tokens[i] = address(new WeirdToken());
        }
        router = deployRouter(vault, tokens[0]);
        for (uint256 i = 0; i < 3; i++) {
            WeirdToken(tokens[i]).mint(address(router), INVENTORY);
        }
    }

    function test_flashPoolsByPlaceAndMode() public {
        for (uint256 code = 0; code < 9; code++) {
            Kind[] memory mix = new Kind[](2);
            (mix[0], mix[1]) = (Kind(code % 3), Kind(code / 3));
            uint256 start = vm.snapshotState();
            bytes memory stream = encode(buildCycle(mix, 1e18, 1000e18, 1500), MINIMUM);
            _everyMode(stream, 2);
            vm.revertToState(start);
        }
    }

    function test_threeHopsByPlaceAndMode() public {
        Kind[] memory mix = new Kind[](3);
        mix[1] = Kind.UniswapV3;
        _everyMode(encode(buildCycle(mix, 1e18, 1000e18, 1500), MINIMUM), 3);
    }

    /// @dev A venue that pulls or is pushed to, first or last, beside a V3 pool.
    function test_pullVenuesByPlaceAndMode() public {
        address pool = fill(Kind.UniswapV3, 0, tokens[0], tokens[1], 1e18, 1000e18);
        HostileVenue venue = new HostileVenue();
        bool sellsBase = tokens[0] < tokens[1];
        for (uint256 i = 0; i < 2; i++) {
            WeirdToken(tokens[i]).mint(address(venue), 1000e18);
        }
        address[] memory guards = new address[](1);
        guards[0] = tokens[1];
        bytes memory head = bytes.concat(Stream.flagged(4, block.timestamp, MINIMUM), Stream.guarded(guards));
        for (uint8 kind = 5; kind <= 7; kind++) {
            venue.set(HostileVenue.Trick.None, IERC20(tokens[1]), IERC20(tokens[0]), 12e17);
            bytes memory last = Stream.pull(kind, 0, address(venue), 1e18, 4, tokens[1], address(0));
            _everyMode(bytes.concat(head, Stream.topV3Out(pool, sellsBase, 1e18), last), 2);
            venue.set(HostileVenue.Trick.None, IERC20(tokens[0]), IERC20(tokens[1]), 12e17);
            bytes memory first = Stream.pull(kind, 2, address(venue), 1e18, 4, tokens[0], tokens[1]);
            _everyMode(bytes.concat(head, Stream.topV3(pool, !sellsBase, 11e17), first, Stream.hold()), 2);
        }
        bytes memory pushed = Stream.pull(5, 1, address(venue), 1e18, 2, tokens[0], tokens[1]);
        _everyMode(bytes.concat(head, Stream.topV3(pool, !sellsBase, 11e17), pushed), 2);
    }

    function _everyMode(bytes memory stream, uint256 places) private {
        (uint256 landed, uint256 refused) = (0, 0);
        for (uint256 place = 0; place < places; place++) {
            for (uint256 mode = 0; mode <= MODES; mode++) {
                uint256 start = vm.snapshotState();
                bool ok = _run(stream, WeirdToken(tokens[place]), WeirdToken.Mode(mode));
                vm.revertToState(start);
                if (ok) landed++;
                else refused++;
            }
        }
        assertGt(landed, places);
        assertGt(refused, places);
    }

    function _run(bytes memory stream, WeirdToken weird, WeirdToken.Mode mode) private returns (bool ok) {
        weird.setCalls(address(router), Attempts.all(tokens[0], INVENTORY, address(weird)));
        weird.setMode(mode);
        vm.prank(operator, operator);
        (ok,) = address(router).call{gas: 20_000_000}(stream);
        weird.setMode(WeirdToken.Mode.Good);
        assertFalse(weird.served(), "nothing was done at a token's bidding");
        for (uint256 i = 0; i < 3; i++) {
            uint256 holding = WeirdToken(tokens[i]).balanceOf(address(router));
            if (i == 0 && ok) assertGe(holding, INVENTORY + MINIMUM);
            else assertGe(holding, INVENTORY);
        }
        if (mode == WeirdToken.Mode.Good) assertTrue(ok, "lands with good tokens");
    }
}
