// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IObservedPool, TwapSource} from "../../src/feeds/TwapSource.sol";
import {IPriceSource, QuoteStatus} from "../../src/interfaces/IPriceSource.sol";
import {V3Callee} from "../../world/V3Callee.sol";
import {WorldToken} from "../../world/WorldToken.sol";
import {Sourced} from "../support/Sourced.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

interface IV3 {
    function createPool(address a, address b, uint24 fee) external returns (address);
    function initialize(uint160 sqrtPriceX96) external;
    function increaseObservationCardinalityNext(uint16 next) external;
}

/// @dev On the published bytecode of Uniswap V3.
contract TwapSourceTest is Sourced {
    uint32 private constant WINDOW = 30 minutes;
    uint128 private constant DEPTH = 1e18;
    /// 12 base decimals apart, as ether and a dollar token are.
    uint256 private constant PRICE = 2000e18;

    V3Callee private callee;
    WorldToken private ether_;
    WorldToken private dollar;
    IV3 private pool;
    bool private etherFirst;

    function setUp() public {
        vm.warp(NOW);
        ether_ = new WorldToken("Ether", "ETH", 18);
        dollar = new WorldToken("Dollar", "USD", 6);
        etherFirst = address(ether_) < address(dollar);
        callee = new V3Callee();
        pool = IV3(IV3(_factory()).createPool(address(ether_), address(dollar), 3000));
        pool.initialize(_sqrtPriceX96(PRICE));
        pool.increaseObservationCardinalityNext(64);
        _mint(DEPTH);
    }

    function test_flatPriceBothWays() public {
        vm.warp(NOW + WINDOW);
        _near(_source(address(ether_), address(dollar)), PRICE);
        _near(_source(address(dollar), address(ether_)), 1e36 / PRICE);
        (, uint256 updatedAt,) = _source(address(ether_), address(dollar)).read();
        assertEq(updatedAt, NOW + WINDOW);
    }

    /// @dev The geometric mean over the window: half of it at the first price, half at the second.
    function test_averagesOverTheWindow() public {
        vm.warp(NOW + WINDOW);
        uint160 limit = _sqrtPriceX96(PRICE * 4);
        // Buying ether with dollars until it costs four times as much.
        callee.swap(address(pool), address(this), !etherFirst, 1e30, limit);
        vm.warp(NOW + WINDOW + WINDOW / 2);
        _near(_source(address(ether_), address(dollar)), PRICE * 2);
        vm.warp(NOW + 2 * WINDOW);
        _near(_source(address(ether_), address(dollar)), PRICE * 4);
    }

    /// @dev One block's manipulation barely shows.
    function test_aSpikeOfOneBlockBarelyShows() public {
        vm.warp(NOW + WINDOW);
        callee.swap(address(pool), address(this), !etherFirst, 1e30, _sqrtPriceX96(PRICE * 4));
        vm.warp(NOW + WINDOW + 12);
        callee.swap(address(pool), address(this), etherFirst, 1e30, _sqrtPriceX96(PRICE));
        (uint256 price,,) = _source(address(ether_), address(dollar)).read();
        assertGt(price, PRICE);
        assertLt(price, PRICE * 101 / 100);
    }

    function test_windowThePoolDoesNotRememberIsRefused() public {
        TwapSource source = _source(address(ether_), address(dollar));
        vm.warp(NOW + WINDOW - 1);
        assertRead(source, 0, QuoteStatus.CALL_FAILED);
        vm.warp(NOW + WINDOW);
        _near(source, PRICE);
    }

    function test_thinLiquidityIsRefused() public {
        vm.warp(NOW + WINDOW);
        _near(new TwapSource(address(ether_), address(dollar), address(pool), WINDOW, DEPTH - 1e3), PRICE);
        IPriceSource deeper =
            new TwapSource(address(ether_), address(dollar), address(pool), WINDOW, DEPTH + 1e3);
        assertRead(deeper, 0, QuoteStatus.OUT_OF_BOUNDS);
        // Added now, it does not count for the past: the harmonic mean stays near the thin half.
        _mint(100 * DEPTH);
        vm.warp(NOW + WINDOW + WINDOW / 2);
        IPriceSource twice =
            new TwapSource(address(ether_), address(dollar), address(pool), WINDOW, 2 * DEPTH);
        assertRead(twice, 0, QuoteStatus.OUT_OF_BOUNDS);
    }

    function test_poolThatMisbehaves() public {
        TwapSource source = _source(address(ether_), address(dollar));
        bytes[5] memory code = [
            bytes(hex"5f5ffd"), // reverts
            hex"5b5f56", // never ends
            hex"60205ff3", // too short
            hex"6101005ff3", // zeroes
            hex"620f42405ff3" // a megabyte
        ];
        for (uint256 i = 0; i < code.length; i++) {
            vm.etch(address(pool), code[i]);
            assertRead(source, 0, QuoteStatus.CALL_FAILED);
            assertCostsAtMost(source, 280_000);
        }
    }

    function test_bounds_everyArgument() public {
        (address e, address d, address p) = (address(ether_), address(dollar), address(pool));
        _invalid(e, d, dai, WINDOW, 1, "pool");
        _invalid(dai, d, p, WINDOW, 1, "base");
        _invalid(e, dai, p, WINDOW, 1, "quote");
        _invalid(e, e, p, WINDOW, 1, "quote");
        _invalid(e, d, p, WINDOW - 1, 1, "window");
        _invalid(e, d, p, 7 days + 1, 1, "window");
        _invalid(e, d, p, WINDOW, 0, "minLiquidity");
        vm.mockCall(d, abi.encodeWithSignature("decimals()"), abi.encode(19));
        _invalid(e, d, p, WINDOW, 1, "decimals");
    }

    /// @dev Over every tick a pool can have, either way round: a price or a refusal, never a revert.
    function testFuzz_everyTick(int24 tick, bool etherIsBase, uint160 secondsPerLiquidity) public {
        tick = int24(bound(tick, -887272, 887272));
        TwapSource source = etherIsBase
            ? _source(address(ether_), address(dollar))
            : _source(address(dollar), address(ether_));
        int56[] memory ticks = new int56[](2);
        ticks[1] = int56(tick) * int56(uint56(WINDOW));
        uint160[] memory seconds_ = new uint160[](2);
        seconds_[0] = type(uint160).max - 5;
        unchecked {
            seconds_[1] = seconds_[0] + uint160(bound(secondsPerLiquidity, 0, 1e30));
        }
        vm.mockCall(
            address(pool), abi.encodeWithSelector(IObservedPool.observe.selector), abi.encode(ticks, seconds_)
        );
        (uint256 price,, uint8 status) = source.read();
        assertEq(status, price == 0 ? QuoteStatus.OUT_OF_BOUNDS : QuoteStatus.OK);
        if (etherIsBase == etherFirst && tick == 0) assertEq(price, etherIsBase ? 1e30 : 1e6);
    }

    function testFuzz_neverRevertsOnAnyAnswer(uint256[8] memory words) public {
        TwapSource source = _source(address(ether_), address(dollar));
        if (words[0] % 2 == 0) (words[0], words[1], words[2], words[5]) = (64, 160, 2, 2);
        vm.mockCall(
            address(pool), abi.encodeWithSelector(IObservedPool.observe.selector), abi.encodePacked(words)
        );
        (uint256 price,, uint8 status) = source.read();
        assertEq(price != 0, status == QuoteStatus.OK);
    }

    function _source(address base, address quote) private returns (TwapSource) {
        return new TwapSource(base, quote, address(pool), WINDOW, 1);
    }

    function _invalid(
        address base,
        address quote,
        address pool_,
        uint32 window,
        uint128 minLiquidity,
        string memory field
    ) private {
        vm.expectRevert(invalid(field));
        new TwapSource(base, quote, pool_, window, minLiquidity);
    }

    /// @dev Within a tick, which is one part in ten thousand.
    function _near(IPriceSource source, uint256 wanted) private view {
        (uint256 price,, uint8 status) = source.read();
        assertEq(status, QuoteStatus.OK);
        assertApproxEqRel(price, wanted, 0.0001e18 + 1e13);
    }

    /// @dev For a price of dollars per ether with 18 decimals.
    function _sqrtPriceX96(uint256 priceE18) private view returns (uint160) {
        // Dollar base units per ether base unit are price / 1e12 (that is, priceE18 / 1e30).
        uint256 ratioX192 =
            etherFirst ? Math.mulDiv(priceE18, 1 << 192, 1e30) : Math.mulDiv(1e30, 1 << 192, priceE18);
        return uint160(Math.sqrt(ratioX192));
    }

    function _mint(uint128 liquidity) private {
        ether_.mint(address(this), 1e36);
        dollar.mint(address(this), 1e36);
        ether_.approve(address(callee), type(uint256).max);
        dollar.approve(address(callee), type(uint256).max);
        callee.mint(address(pool), address(this), -887220, 887220, liquidity);
    }

    function _factory() private returns (address made) {
        string memory path = "@uniswap/v3-core/artifacts/contracts/UniswapV3Factory.sol/UniswapV3Factory.json";
        string memory json = vm.readFile(string.concat("node_modules/", path));
        bytes memory code = vm.parseBytes(vm.parseJsonString(json, ".bytecode"));
        assembly ("memory-safe") {
            made := create(0, add(code, 32), mload(code))
        }
    }
}
