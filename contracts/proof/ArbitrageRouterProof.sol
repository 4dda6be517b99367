// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ArbitrageRouter} from "../src/ArbitrageRouter.sol";
import {IArbitrageRouter} from "../src/interfaces/IArbitrageRouter.sol";

interface IVm {
    function assume(bool condition) external;
    function prank(address sender, address origin) external;
}

interface ISymbols {
    function createUint256(string calldata name) external returns (uint256);
    function createInt256(string calldata name) external returns (int256);
    function createBool(string calldata name) external returns (bool);
    function createBytes(uint256 size, string calldata name) external returns (bytes memory);
}

/// @dev Plain enough that every path through it can be followed.
contract ProofToken {
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        allowance[msg.sender][spender] = amount;
        return true;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        balanceOf[msg.sender] -= amount;
        balanceOf[to] += amount;
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        allowance[from][msg.sender] -= amount;
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
        return true;
    }
}

/// @dev A pool that does anything a pool can: pays what it likes, asks for what it likes, calls back or does not.
contract ProofPool {
    ISymbols private constant SYMBOLS = ISymbols(0xF3993A62377BCd56AE39D773740A5390411E8BC9);

    ProofToken private immutable _token;

    constructor(ProofToken token) {
        _token = token;
    }

    function swap(address, bool, int256, uint160, bytes calldata data) external returns (int256, int256) {
        _act(true, data);
        return (0, 0);
    }

    function swap(uint256, uint256, address, bytes calldata data) external {
        _act(false, data);
    }

    function _act(bool v3, bytes calldata data) private {
        uint256 paid = SYMBOLS.createUint256("paid");
        if (paid < 2 ** 128) _token.mint(msg.sender, paid);
        if (!SYMBOLS.createBool("calls back")) return;
        bytes memory call = v3
            ? abi.encodeWithSelector(
                bytes4(0xfa461e33), SYMBOLS.createInt256("amount0"), SYMBOLS.createInt256("amount1"), data
            )
            : abi.encodeWithSelector(bytes4(0x10d1e85c), msg.sender, uint256(1), uint256(1), data);
        (bool ok,) = msg.sender.call(call);
        require(ok, "refused");
    }
}

/// @dev Proven by halmos for all values, not sampled: `make analyse`.
contract ArbitrageRouterProof {
    IVm private constant VM = IVm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);
    ISymbols private constant SYMBOLS = ISymbols(0xF3993A62377BCd56AE39D773740A5390411E8BC9);
    address private constant OPERATOR = address(0x0badc0de);
    address private constant VAULT = address(0x0badbabe);
    uint256 private constant INVENTORY = 1000e18;

    ProofToken private token;
    ProofPool private pool;
    ArbitrageRouter private router;

    function setUp() public {
        token = new ProofToken();
        pool = new ProofPool(token);
        router = new ArbitrageRouter(OPERATOR, VAULT, address(token), address(0), address(0), address(0));
        token.mint(address(router), INVENTORY);
    }

    /// @dev No caller but operator and vault moves anything, by any function or callback, with whatever data.
    function check_onlyTheOperatorMovesAnything(address caller, bytes4 selector) public {
        _stranger(caller, bytes.concat(selector, SYMBOLS.createBytes(32, "arguments")));
    }

    function check_noStrangersCallbackV3(address caller, int256 amount0, int256 amount1) public {
        bytes4[3] memory selectors = [bytes4(0xfa461e33), 0x23a69e75, 0x2c8958f6];
        for (uint256 i = 0; i < 3; i++) {
            bytes memory data = SYMBOLS.createBytes(21, "data");
            _stranger(caller, abi.encodeWithSelector(selectors[i], amount0, amount1, data));
        }
    }

    function check_noStrangersCallbackV2(address caller, uint256 amount) public {
        bytes4[3] memory selectors = [bytes4(0x10d1e85c), 0x84800812, 0x9a7bff79];
        for (uint256 i = 0; i < 3; i++) {
            bytes memory data = SYMBOLS.createBytes(35, "data");
            _stranger(caller, abi.encodeWithSelector(selectors[i], caller, amount, amount, data));
        }
    }

    function check_noStrangersCallbackOfLocks(address caller) public {
        _stranger(caller, abi.encodeWithSelector(bytes4(0x91dd7346), SYMBOLS.createBytes(96, "frame")));
        _stranger(caller, bytes.concat(bytes4(0x357b29df), SYMBOLS.createBytes(128, "frame")));
    }

    function check_noStrangersCallbackOfLenders(address caller, uint256 amount, uint256 fee) public {
        bytes memory data = SYMBOLS.createBytes(53, "data");
        _stranger(caller, abi.encodeWithSelector(bytes4(0x31f57072), amount, data));
        _stranger(caller, abi.encodeWithSelector(bytes4(0x1b11d0ff), address(token), amount, fee, caller, data));
        address[] memory tokens = new address[](1);
        uint256[] memory amounts = new uint256[](1);
        uint256[] memory fees = new uint256[](1);
        (tokens[0], amounts[0], fees[0]) = (address(token), amount, fee);
        _stranger(caller, abi.encodeWithSelector(bytes4(0xf04f2707), tokens, amounts, fees, data));
    }

    /// @dev Whatever the pools do, a run that lands has left the router with the minimum more than it had.
    function check_minimumOverOneV3Pool(uint112 minimum, uint112 amount) public {
        _runs(minimum, abi.encodePacked(uint8(2 << 2), address(pool), amount));
    }

    function check_minimumOverOneV2Pair(uint112 minimum, uint112 out, uint112 owed) public {
        _runs(minimum, abi.encodePacked(uint8(1 << 2), address(pool), out, owed));
    }

    function check_minimumOverV3AndV2(uint112 minimum, uint112 amount, uint112 owed) public {
        bytes memory first = abi.encodePacked(uint8(2 << 2), address(pool), amount);
        _runs(minimum, bytes.concat(first, abi.encodePacked(uint8(1 << 2), address(pool), owed)));
    }

    function check_minimumOverV2AndV3(uint112 minimum, uint112 out, uint112 owed) public {
        bytes memory first = abi.encodePacked(uint8(1 << 2), address(pool), out, owed);
        _runs(minimum, bytes.concat(first, abi.encodePacked(uint8(2 << 2), address(pool))));
    }

    function _stranger(address caller, bytes memory data) private {
        VM.assume(caller != OPERATOR && caller != VAULT && caller != address(0) && caller != address(token));
        VM.prank(caller, caller);
        (bool ok, bytes memory returned) = address(router).call(data);
        assert(token.balanceOf(address(router)) == INVENTORY);
        assert(token.allowance(address(router), caller) == 0);
        // Only the views answer, with one word.
        assert(!ok || returned.length == 32);
    }

    function _runs(uint112 minimum, bytes memory commands) private {
        bytes memory stream = bytes.concat(abi.encodePacked(uint8(0x20), type(uint32).max, minimum), commands);
        VM.prank(OPERATOR, OPERATOR);
        (bool ok,) = address(router).call(stream);
        uint256 held = token.balanceOf(address(router));
        if (ok) assert(held >= INVENTORY + minimum);
        else assert(held == INVENTORY);
        assert(token.allowance(address(router), address(pool)) == 0);
    }
}
