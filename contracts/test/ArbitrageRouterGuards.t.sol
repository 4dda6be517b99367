// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ArbitrageRouter} from "../src/ArbitrageRouter.sol";
import {IArbitrageRouter} from "../src/interfaces/IArbitrageRouter.sol";
import {WorldToken} from "../world/WorldToken.sol";
import {Cycle} from "./support/Cycle.sol";
import {Stream} from "./support/Stream.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";

/// @dev Who may do what, and what is refused before any pool is called.
contract ArbitrageRouterGuardsTest is Cycle {
    uint256 private constant INVENTORY = 7e18;

    function setUp() public {
        deployCycleWorld();
        WorldToken(tokens[0]).mint(address(router), INVENTORY);
    }

    function test_zeroAddressesAreRefused() public {
        vm.expectRevert(IArbitrageRouter.ZeroAddress.selector);
        new ArbitrageRouter(address(0), vault, address(0), address(0), address(0), address(0));
        vm.expectRevert(IArbitrageRouter.ZeroAddress.selector);
        new ArbitrageRouter(operator, address(0), address(0), address(0), address(0), address(0));
    }

    function test_immutables() public view {
        assertEq(router.OPERATOR(), operator);
        assertEq(router.VAULT(), vault);
    }

    /// @dev Every function of the router, as everyone: operator, vault and strangers.
    function test_functionsByCaller() public {
        address stranger = makeAddr("stranger");
        vm.expectRevert(abi.encodeWithSelector(IArbitrageRouter.NotAllowed.selector, stranger));
        vm.prank(stranger);
        router.sweep(tokens[0]);

        address[2] memory allowed = [operator, vault];
        for (uint256 i = 0; i < allowed.length; i++) {
            uint256 start = vm.snapshotState();
            vm.prank(allowed[i]);
            assertEq(router.sweep(tokens[0]), INVENTORY);
            assertEq(WorldToken(tokens[0]).balanceOf(vault), INVENTORY);
            vm.revertToState(start);
        }

        Hop[] memory hops = buildCycle(new Kind[](2), 1e18, 1000e18, 1500);
        bytes memory stream = encode(hops, 0);
        address[2] memory refused = [stranger, vault];
        for (uint256 i = 0; i < refused.length; i++) {
            vm.prank(refused[i], refused[i]);
            (bool ok, bytes memory returned) = address(router).call(stream);
            assertFalse(ok);
            assertEq(returned, abi.encodeWithSelector(IArbitrageRouter.UnexpectedCallback.selector));
        }
        (bool accepted,) = run(stream);
        assertTrue(accepted);
    }

    function testFuzz_strangersMoveNothing(address caller, bytes calldata data) public {
        vm.assume(caller != operator && caller != vault);
        _nothingMoves(caller, data);
    }

    /// @dev Every callback selector in the wild, with data that asks for the router's balance.
    function testFuzz_callbacksOutOfTheBlue(address caller, uint256 index, int256 amount, bytes calldata data)
        public
    {
        vm.assume(caller != vault);
        bytes4[12] memory selectors = [
            bytes4(0x10d1e85c),
            0x84800812,
            0x9a7bff79,
            0xfa461e33,
            0x23a69e75,
            0x2c8958f6,
            0x3a1c453c,
            0x91dd7346,
            0xf04f2707,
            0x1b11d0ff,
            0x31f57072,
            0xe9cbafb0
        ];
        bytes4 selector = selectors[bound(index, 0, selectors.length - 1)];
        _nothingMoves(caller, abi.encodeWithSelector(selector, amount, amount, data));
        _nothingMoves(caller, abi.encodeWithSelector(selector, caller, amount, amount, data));
    }

    function test_etherIsRefused() public {
        vm.deal(operator, 2 ether);
        vm.startPrank(operator);
        (bool plain,) = address(router).call{value: 1 ether}("");
        (bool withStream,) =
            address(router).call{value: 1 ether}(encode(buildCycle(new Kind[](2), 1e18, 1000e18, 1500), 0));
        vm.stopPrank();
        assertFalse(plain);
        assertFalse(withStream);
    }

    function test_deadlineIsTheLastSecond() public {
        Hop[] memory hops = buildCycle(new Kind[](2), 1e18, 1000e18, 1500);
        bytes memory stream = encode(hops, 0);
        vm.warp(block.timestamp + 1);
        (bool late, bytes memory returned) = run(stream);
        assertFalse(late);
        assertEq(returned, abi.encodeWithSelector(IArbitrageRouter.Expired.selector));
        vm.warp(block.timestamp - 1);
        (bool inTime,) = run(stream);
        assertTrue(inTime);
    }

    function testFuzz_otherVersions(uint8 version) public {
        vm.assume(version >> 4 != 2);
        bytes memory stream = bytes.concat(Stream.header(block.timestamp, 0), "rest");
        stream[0] = bytes1(version);
        // A version that happens to spell another function's selector is that function.
        bytes4 selector = bytes4(stream);
        vm.assume(selector != router.OPERATOR.selector && selector != router.VAULT.selector);
        (bool ok, bytes memory returned) = run(stream);
        assertFalse(ok);
        assertEq(returned, abi.encodeWithSelector(IArbitrageRouter.UnsupportedVersion.selector, version));
    }

    function testFuzz_unknownKinds(uint8 first) public {
        vm.assume(first >> 2 > 13);
        bytes memory command = abi.encodePacked(first, address(this), uint112(1), uint112(1));
        _malformed(command);
        Hop[] memory hops = buildCycle(new Kind[](2), 1e18, 1000e18, 1500);
        _malformed(bytes.concat(_firstCommand(hops), command));
    }

    /// @dev A stream cut anywhere is refused, or pays too little where the cut falls between two commands.
    function test_streamsCutShort() public {
        for (uint256 code = 0; code < 9; code++) {
            uint256 start = vm.snapshotState();
            Kind[] memory kinds = new Kind[](3);
            (kinds[0], kinds[1], kinds[2]) = (Kind(code % 3), Kind(code / 3), Kind(code % 2));
            bytes memory stream = encode(buildCycle(kinds, 1e18, 1000e18, 1500), 1);
            for (uint256 size = 0; size < stream.length; size++) {
                (bool ok,) = run(_prefix(stream, size));
                assertFalse(ok);
                assertEq(held(0), INVENTORY);
            }
            vm.revertToState(start);
        }
    }

    function test_emptyAndHeaderOnlyStreams() public {
        _malformed("");
        (bool ok, bytes memory returned) = run("");
        assertFalse(ok);
        assertEq(returned, abi.encodeWithSelector(IArbitrageRouter.UnsupportedVersion.selector, 0));
    }

    /// @dev What a pool or a token says reaches the sender of a failed run unchanged.
    function test_reasonsOfOthersAreKept() public {
        Hop[] memory hops = buildCycle(new Kind[](2), 1e18, 1000e18, 1500);
        hops[1].amountIn -= 1;
        hops[0].amountOut -= 1;
        (bool ok, bytes memory returned) = run(encode(hops, 0));
        assertFalse(ok);
        assertEq(returned, abi.encodeWithSignature("Error(string)", "UniswapV2: K"));

        size(hops, 1e18);
        vm.prank(operator);
        router.sweep(tokens[0]);
        // Nothing to pay with, as the first pool's output is less than what the second is owed.
        hops[0].amountIn = hops[1].amountOut + 1;
        (ok, returned) = run(encode(hops, 0));
        assertFalse(ok);
        assertEq(bytes4(returned), IERC20Errors.ERC20InsufficientBalance.selector);
    }

    function _malformed(bytes memory tail) private {
        (bool ok, bytes memory returned) =
            run(bytes.concat(Stream.header(block.timestamp, 0), tail, Stream.end(tokens[0])));
        assertFalse(ok);
        assertEq(returned, abi.encodeWithSelector(IArbitrageRouter.MalformedStream.selector));
    }

    function _firstCommand(Hop[] memory hops) private pure returns (bytes memory) {
        Hop memory last = hops[hops.length - 1];
        return Stream.topV2(last.pool, last.zeroForOne, last.amountOut, last.amountIn);
    }

    function _nothingMoves(address caller, bytes memory data) private {
        vm.prank(caller);
        (bool ok,) = address(router).call(data);
        // Only the views may answer.
        if (ok) {
            bytes4 selector = bytes4(data);
            assertTrue(selector == router.OPERATOR.selector || selector == router.VAULT.selector);
        }
        assertEq(held(0), INVENTORY);
    }

    function _prefix(bytes memory data, uint256 size) private pure returns (bytes memory part) {
        part = new bytes(size);
        for (uint256 i = 0; i < size; i++) {
            part[i] = data[i];
        }
    }
}
