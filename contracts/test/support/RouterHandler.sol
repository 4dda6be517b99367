// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {WorldToken} from "../../world/WorldToken.sol";
import {Cycle} from "./Cycle.sol";
import {HostilePool} from "./HostilePool.sol";
import {Stream} from "./Stream.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @dev Everything that may happen to a router, at random: good runs, bad runs, hostile pools, strangers, sweeps.
contract RouterHandler is Cycle {
    uint256 private constant TOKENS = 2;

    Hop[] private _cycle;
    HostilePool private _hostile;

    /// What the router must hold at least, and what was sent to the vault.
    mapping(uint256 token => uint256) public floor;
    mapping(uint256 token => uint256) public swept;
    uint256 public landed;
    uint256 public strangersServed;

    constructor() {
        deployCycleWorld();
        Kind[] memory kinds = new Kind[](3);
        kinds[1] = Kind.UniswapV3;
        kinds[2] = Kind.PancakeV3;
        Hop[] memory hops = buildCycle(kinds, 1e18, 1000e18, 500);
        for (uint256 i = 0; i < hops.length; i++) {
            _cycle.push(hops[i]);
        }
        _hostile = new HostilePool();
        WorldToken(tokens[0]).mint(address(_hostile), 1e30);
    }

    function trade(uint256 amount, uint256 minProfit) external {
        Hop[] memory hops = _cycle;
        size(hops, bound(amount, 1e9, 50e18));
        minProfit = bound(minProfit, 0, 1e17);
        uint256 before = held(0);
        (bool ok,) = run(encode(hops, minProfit));
        if (ok) {
            landed++;
            require(held(0) >= before + minProfit, "less than the minimum");
            require(int256(held(0) - before) == gain(hops), "not what was quoted");
        }
        _raiseFloor();
    }

    /// @dev Somebody else moves the prices, so that there is something to earn again.
    function move(uint256 amount, bool zeroForOne) external {
        amount = bound(amount, 1e15, 100e18);
        Hop memory hop = _cycle[1];
        (address token0, address token1) =
            tokens[1] < tokens[2] ? (tokens[1], tokens[2]) : (tokens[2], tokens[1]);
        address token = zeroForOne ? token0 : token1;
        WorldToken(token).mint(address(this), amount);
        WorldToken(token).approve(address(callee), amount);
        callee.swap(hop.pool, address(this), zeroForOne, int256(amount), 0);
    }

    function hostile(uint256 trick, uint256 delivered, int256 owed, bool v2, bytes calldata forged) external {
        _hostile.forge(forged, address(_hostile));
        _hostile.set(
            HostilePool.Trick(bound(trick, 0, 14)), IERC20(tokens[0]), bound(delivered, 0, 10e18), owed
        );
        uint256 asked = uint256(owed) % 10e18;
        run(
            bytes.concat(
                Stream.header(block.timestamp, 0),
                v2
                    ? Stream.topV2(address(_hostile), true, 1, asked)
                    : Stream.topV3(address(_hostile), true, asked),
                Stream.end(tokens[0])
            )
        );
        _raiseFloor();
    }

    function stranger(address caller, bytes calldata data) external {
        if (caller == operator || caller == vault) return;
        vm.prank(caller);
        (bool ok,) = address(router).call(data);
        if (ok && data.length > 4) strangersServed++;
    }

    function strangerSendsStream(address caller, uint256 amount) external {
        if (caller == operator) return;
        Hop[] memory hops = _cycle;
        size(hops, bound(amount, 1e9, 50e18));
        vm.prank(caller);
        (bool ok,) = address(router).call(encode(hops, 0));
        if (ok) strangersServed++;
    }

    function strangerCallsBack(address caller, uint256 selector, int256 amount, bytes calldata data)
        external
    {
        bytes4[4] memory known = [bytes4(0xfa461e33), 0x23a69e75, 0x10d1e85c, 0x84800812];
        vm.prank(caller);
        (bool ok,) = address(router).call(abi.encodeWithSelector(known[selector % 4], amount, amount, data));
        if (ok) strangersServed++;
    }

    function donate(uint256 token, uint256 amount) external {
        WorldToken(tokens[token % TOKENS]).mint(address(router), bound(amount, 0, 1e24));
        _raiseFloor();
    }

    function sweep(uint256 token, bool byVault) external {
        token %= TOKENS;
        uint256 before = WorldToken(tokens[token]).balanceOf(vault);
        vm.prank(byVault ? vault : operator);
        uint256 amount = router.sweep(tokens[token]);
        require(WorldToken(tokens[token]).balanceOf(vault) == before + amount, "swept elsewhere");
        swept[token] += amount;
        floor[token] = 0;
    }

    function routerAddress() external view returns (address) {
        return address(router);
    }

    function vaultAddress() external view returns (address) {
        return vault;
    }

    function tokenAt(uint256 index) external view returns (address) {
        return tokens[index];
    }

    function heldOf(uint256 token) external view returns (uint256) {
        return held(token);
    }

    function _raiseFloor() private {
        for (uint256 i = 0; i < TOKENS; i++) {
            if (held(i) > floor[i]) floor[i] = held(i);
        }
    }
}
