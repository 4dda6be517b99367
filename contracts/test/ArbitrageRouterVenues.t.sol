// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IArbitrageRouter} from "../src/interfaces/IArbitrageRouter.sol";
import {WorldToken} from "../world/WorldToken.sol";
import {Attempts} from "./support/Attempts.sol";
import {Cycle} from "./support/Cycle.sol";
import {HostileVenue} from "./support/HostileVenue.sol";
import {Stream} from "./support/Stream.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @dev Hostile venues that pull their input, and hostile lenders, beside an honest V3 pool; the router holds what is
/// worth stealing of both tokens.
contract ArbitrageRouterVenuesTest is Cycle {
    using Stream for *;

    uint256 private constant INVENTORY = 50e18;
    uint256 private constant SOLD = 1e18;

    HostileVenue private venue;
    address private honest;
    bool private sellsBase;
    uint8[5] private kinds = [5, 5, 6, 7, 7];
    uint8[5] private forms = [uint8(4), 5, 4, 4, 4];

    function setUp() public {
        deployCycleWorld();
        router = deployRouter(vault, tokens[0]);
        venue = new HostileVenue();
        honest = fill(Kind.UniswapV3, 0, tokens[0], tokens[1], 1e18, 1000e18);
        sellsBase = tokens[0] < tokens[1];
        for (uint256 i = 0; i < 2; i++) {
            WorldToken(tokens[i]).mint(address(router), INVENTORY);
            WorldToken(tokens[i]).mint(address(venue), 1000e18);
        }
    }

    /// @dev The venue is last: it gets what the V3 pool paid, and its output pays the pool. It gives 1.2 for 1.
    function test_tricksOfTheLastVenue() public {
        for (uint256 kind = 0; kind < kinds.length; kind++) {
            for (uint256 trick = 0; trick <= uint256(HostileVenue.Trick.BurnsGas); trick++) {
                _last(kind, HostileVenue.Trick(trick));
            }
        }
    }

    /// @dev The venue is first: it is paid in the base token and the router passes on what it gives.
    function test_tricksOfTheFirstVenue() public {
        for (uint256 kind = 0; kind < kinds.length; kind++) {
            for (uint8 place = 1; place <= 2; place++) {
                for (uint256 trick = 0; trick <= uint256(HostileVenue.Trick.BurnsGas); trick++) {
                    _first(kind, place, HostileVenue.Trick(trick));
                }
            }
        }
    }

    function test_allowanceThatIsNotUsedUndoesTheRun() public {
        bytes memory stream = _lastStream(0);
        venue.set(HostileVenue.Trick.TakesNothing, IERC20(tokens[1]), IERC20(tokens[0]), 12e17);
        (bool ok, bytes memory returned) = run(stream);
        assertFalse(ok);
        bytes memory left = abi.encodeWithSelector(IArbitrageRouter.AllowanceLeft.selector, tokens[1], venue);
        assertEq(returned, left);
    }

    /// @dev Dust of a token in between cannot be had either: it is guarded.
    function test_guardedTokenThatFellUndoesTheRun() public {
        venue.set(HostileVenue.Trick.GivesHalf, IERC20(tokens[0]), IERC20(tokens[1]), 12e17);
        (bool ok, bytes memory returned) = run(_firstStream(0, 2));
        assertFalse(ok);
        assertEq(returned, abi.encodeWithSelector(IArbitrageRouter.BalanceFell.selector, tokens[1]));
    }

    function test_tricksOfLenders() public {
        HostileVenue other = new HostileVenue();
        WorldToken(tokens[0]).mint(address(other), 1000e18);
        WorldToken(tokens[1]).mint(address(other), 1000e18);
        venue.set(HostileVenue.Trick.None, IERC20(tokens[0]), IERC20(tokens[1]), 11e17);
        for (uint8 kind = 11; kind <= 12; kind++) {
            for (uint256 trick = 0; trick <= uint256(HostileVenue.Trick.DoesNotTakeItBack); trick++) {
                uint256 start = vm.snapshotState();
                HostileVenue lender = new HostileVenue();
                WorldToken(tokens[0]).mint(address(lender), 1000e18);
                lender.set(HostileVenue.Trick(trick), IERC20(tokens[0]), IERC20(tokens[0]), 0);
                lender.setAttempts(Attempts.all(tokens[0], INVENTORY, address(lender)));
                other.set(HostileVenue.Trick.None, IERC20(tokens[1]), IERC20(tokens[0]), 11e17);
                bytes memory stream = bytes.concat(
                    _guardMiddle(5e16),
                    Stream.loan(kind, address(lender), SOLD, tokens[0]),
                    Stream.pull(6, 0, address(venue), SOLD, 4, tokens[0], address(0)),
                    Stream.pull(6, 0, address(other), 11e17, 4, tokens[1], address(0)),
                    Stream.hold()
                );
                (bool ok,) = _kept(stream, 5e16, address(lender));
                bool mayLand = trick == uint256(HostileVenue.Trick.None)
                    || trick == uint256(HostileVenue.Trick.CallbackTwice)
                    || trick == uint256(HostileVenue.Trick.Reenters) || _notALendersTrick(trick);
                assertEq(ok, mayLand, "lands when the lender is honest enough");
                assertEq(lender.callbacksServed() + lender.attemptsServed(), 0);
                vm.revertToState(start);
            }
        }
    }

    /// @dev Anybody may have a lender call the router: it must not listen.
    function test_lendersSentByStrangers() public {
        bytes memory data = abi.encode(tokens[0]);
        vm.expectRevert(IArbitrageRouter.UnexpectedCallback.selector);
        venue.flashLoanSimple(address(router), tokens[0], SOLD, data, 0);
        assertEq(held(0), INVENTORY);
    }

    function _last(uint256 kind, HostileVenue.Trick trick) private {
        uint256 start = vm.snapshotState();
        venue.set(trick, IERC20(tokens[1]), IERC20(tokens[0]), 12e17);
        venue.setAttempts(Attempts.all(tokens[0], INVENTORY, address(venue)));
        (bool ok,) = _kept(_lastStream(kind), 1e17, address(venue));
        assertEq(ok, _harmless(trick));
        assertEq(venue.attemptsServed(), 0);
        vm.revertToState(start);
    }

    function _first(uint256 kind, uint8 place, HostileVenue.Trick trick) private {
        // wstETH and Curve's plain exchange have no receiver.
        if (place == 1 && kinds[kind] != 6) return;
        uint256 start = vm.snapshotState();
        venue.set(trick, IERC20(tokens[0]), IERC20(tokens[1]), 12e17);
        venue.setAttempts(Attempts.all(tokens[0], INVENTORY, address(venue)));
        (bool ok,) = _kept(_firstStream(kind, place), 1e16, address(venue));
        assertEq(ok, _harmless(trick));
        assertEq(venue.attemptsServed(), 0);
        vm.revertToState(start);
    }

    function _harmless(HostileVenue.Trick trick) private pure returns (bool) {
        return trick == HostileVenue.Trick.None || trick == HostileVenue.Trick.Reenters
            || trick == HostileVenue.Trick.ReturnsBomb;
    }

    function _notALendersTrick(uint256 trick) private pure returns (bool) {
        return trick == uint256(HostileVenue.Trick.TakesNothing)
            || trick == uint256(HostileVenue.Trick.GivesNothing)
            || trick == uint256(HostileVenue.Trick.GivesHalf)
            || trick == uint256(HostileVenue.Trick.TakesMore)
            || trick == uint256(HostileVenue.Trick.ReturnsBomb)
            || trick == uint256(HostileVenue.Trick.RevertsWithBomb)
            || trick == uint256(HostileVenue.Trick.BurnsGas);
    }

    function _guardMiddle(uint256 minProfit) private view returns (bytes memory) {
        address[] memory guards = new address[](1);
        guards[0] = tokens[1];
        return bytes.concat(Stream.flagged(4, block.timestamp, minProfit), Stream.guarded(guards));
    }

    function _lastStream(uint256 kind) private view returns (bytes memory) {
        return bytes.concat(
            _guardMiddle(1e17),
            Stream.topV3Out(honest, sellsBase, SOLD),
            Stream.pull(kinds[kind], 0, address(venue), SOLD, forms[kind], tokens[1], address(0))
        );
    }

    function _firstStream(uint256 kind, uint8 place) private view returns (bytes memory) {
        return bytes.concat(
            _guardMiddle(1e16),
            Stream.topV3(honest, !sellsBase, 11e17),
            Stream.pull(kinds[kind], place, address(venue), SOLD, forms[kind], tokens[0], tokens[1]),
            Stream.hold()
        );
    }

    /// @dev Runs; whatever came of it, the router has at least what it had, the base grew by the minimum where the run
    /// landed, and no allowance is left.
    function _kept(bytes memory stream, uint256 minProfit, address spender)
        private
        returns (bool, bytes memory)
    {
        vm.prank(operator, operator);
        (bool ok, bytes memory returned) = address(router).call{gas: 5_000_000}(stream);
        assertGe(held(0), INVENTORY + (ok ? minProfit : 0));
        assertGe(held(1), INVENTORY);
        if (!ok) assertEq(held(0) + held(1), 2 * INVENTORY);
        for (uint256 i = 0; i < 2; i++) {
            assertEq(WorldToken(tokens[i]).allowance(address(router), spender), 0);
            assertEq(WorldToken(tokens[i]).allowance(address(router), address(venue)), 0);
        }
        return (ok, returned);
    }
}
