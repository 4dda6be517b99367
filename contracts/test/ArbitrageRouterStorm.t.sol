// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IArbitrageRouter} from "../src/interfaces/IArbitrageRouter.sol";
import {WorldToken} from "../world/WorldToken.sol";
import {Attempts} from "./support/Attempts.sol";
import {Cycle} from "./support/Cycle.sol";
import {HostilePool} from "./support/HostilePool.sol";
import {HostileVenue} from "./support/HostileVenue.sol";
import {RouterProbe} from "./support/RouterProbe.sol";
import {Stream} from "./support/Stream.sol";
import {WeirdToken} from "./support/WeirdToken.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @dev Calls at random by strangers, pools, tokens and an operator whose streams lead through hostile pools. After
/// every round of them: balances of router and vault have not fallen, no allowance is left, no callback is awaited.
contract ArbitrageRouterStormTest is Cycle {
    uint256 private constant INVENTORY = 1000e18;
    uint256 private constant GAS = 400_000;
    /// Calls of a round by strangers, pools and tokens; two of the operator are added.
    uint256 private constant STRANGERS = 30;

    RouterProbe private probe;
    HostilePool private pool;
    HostileVenue private venue;
    WeirdToken private middle;
    address[] private spenders;
    WeirdToken.Mode[] private modes;
    uint256 private random;
    uint256 private leastBase;
    uint256 private leastMiddle;
    uint256 private landed;

    function setUp() public {
        tokens.push(address(new WorldToken("Base", "BASE", 18)));
        middle = new WeirdToken();
        tokens.push(address(middle));
        probe = new RouterProbe(operator, vault, tokens[0]);
        router = IArbitrageRouter(address(probe));
        (pool, venue) = (new HostilePool(), new HostileVenue());
        spenders = [address(pool), address(venue), vault, tokens[0], tokens[1]];
        modes = [
            WeirdToken.Mode.Good,
            WeirdToken.Mode.ReturnsNothing,
            WeirdToken.Mode.ReturnsFalse,
            WeirdToken.Mode.RevertsOnZeroTransfer,
            WeirdToken.Mode.TakesFee,
            WeirdToken.Mode.CallsBack,
            WeirdToken.Mode.ReturnsBomb,
            WeirdToken.Mode.RevertsWithBomb,
            WeirdToken.Mode.MovesNothing,
            WeirdToken.Mode.KeepsAllowance
        ];
        for (uint256 i = 0; i < 2; i++) {
            WorldToken(tokens[i]).mint(address(probe), INVENTORY);
            WorldToken(tokens[i]).mint(vault, INVENTORY);
            WorldToken(tokens[i]).mint(address(pool), 1e30);
            WorldToken(tokens[i]).mint(address(venue), 1e30);
        }
        middle.setCalls(address(probe), Attempts.all(tokens[0], INVENTORY, address(pool)));
        venue.setAttempts(Attempts.all(tokens[0], INVENTORY, address(pool)));
        (leastBase, leastMiddle) = (INVENTORY, INVENTORY);
    }

    /// @dev Campaigns set the number of runs, of calls in each, and the seed.
    /// forge-config: default.fuzz.runs = 16
    function testFuzz_storm(uint256 seed) public {
        random = seed;
        uint256 runs = vm.envOr("ROUNDTRIP_STORM_ROUNDS", uint256(30));
        for (uint256 run_ = 0; run_ < runs; run_++) {
            uint256 free;
            assembly {
                free := mload(64)
            }
            for (uint256 i = 0; i < STRANGERS; i++) {
                _stranger(_draw(11));
            }
            _operatorMeetsPool();
            if (_draw(4) == 0) _operatorBabbles();
            else _operatorMeetsVenue();
            _check();
            // Memory that nobody will look at again.
            assembly {
                mstore(64, free)
            }
        }
    }

    /// @dev The streams of the storm do land where the pools let them.
    function test_stormLands() public {
        uint256 seed = 1;
        random = seed;
        for (uint256 i = 0; i < 400; i++) {
            _operatorMeetsPool();
            _operatorMeetsVenue();
            _check();
        }
        assertGt(landed, 20);
    }

    function _stranger(uint256 what) private {
        address caller = what == 0
            ? address(pool)
            : what == 1
                ? tokens[1]
                : what == 2 ? address(venue) : address(uint160(uint256(keccak256(abi.encode(random)))));
        bytes memory data;
        if (what < 8) {
            bytes4[] memory selectors = Attempts.callbacks();
            bytes4 selector = selectors[_draw(selectors.length)];
            data = Attempts.callback(selector, tokens[_draw(2)], _amount(), _bytes(_draw(120)));
        } else if (what == 8) {
            data = abi.encodeCall(IArbitrageRouter.sweep, (tokens[_draw(2)]));
        } else {
            data = what == 9 ? _bytes(_draw(200)) : _poolStream(false);
        }
        vm.prank(caller, caller);
        (bool ok, bytes memory returned) = address(probe).call{gas: GAS}(data);
        // Views answer with a word; nothing else answers.
        assertTrue(!ok || returned.length == 32, "a stranger was served");
        assertTrue(!ok || data.length >= 4, "a stranger was heard");
    }

    function _operatorMeetsPool() private {
        pool.forge(_bytes(_draw(60)), address(pool));
        pool.set(
            HostilePool.Trick(_draw(15)), IERC20(tokens[_draw(2)]), _draw(3) * 1e18, int256(_draw(3) * 1e18)
        );
        _send(_poolStream(_draw(2) == 0));
    }

    function _operatorMeetsVenue() private {
        uint256 toBase = _draw(2);
        venue.set(
            HostileVenue.Trick(_draw(15)), IERC20(tokens[toBase]), IERC20(tokens[1 - toBase]), _draw(4) * 1e18
        );
        middle.setMode(modes[_draw(modes.length)]);
        bool lends = _draw(3) == 0;
        pool.set(HostilePool.Trick.None, IERC20(tokens[1]), 1e18, 5e17);
        uint8 kind = uint8(5 + _draw(3));
        bytes memory hop = Stream.pull(
            kind, uint8(lends ? 0 : _draw(3)), address(venue), 1e18, uint8(4 + _draw(2)), tokens[1], tokens[0]
        );
        bytes memory first = lends
            ? Stream.loan(uint8(11 + _draw(2)), address(venue), 1e18, tokens[0])
            : Stream.topV3Out(address(pool), true, 1e18);
        bytes memory last = lends || _draw(2) == 0 ? Stream.hold() : bytes("");
        _send(bytes.concat(_head(), first, hop, last));
        middle.setMode(WeirdToken.Mode.Good);
    }

    /// @dev Well-begun streams of nonsense.
    function _operatorBabbles() private {
        bytes memory nonsense = _bytes(20 + _draw(120));
        // A first byte that is a command.
        nonsense[0] = bytes1(uint8(_draw(56)));
        _send(bytes.concat(_head(), nonsense));
    }

    function _poolStream(bool nested) private returns (bytes memory) {
        bytes memory first = _draw(2) == 0
            ? Stream.topV2(address(pool), true, 1e18, _draw(2) * 1e18)
            : Stream.topV3(address(pool), true, 1e18);
        if (!nested) return bytes.concat(_head(), first);
        bytes memory second = _draw(2) == 0
            ? Stream.nestedV2(address(pool), true, 1e18)
            : Stream.nestedV3(address(pool), false);
        return bytes.concat(_head(), first, second);
    }

    function _head() private view returns (bytes memory) {
        address[] memory guards = new address[](1);
        guards[0] = tokens[1];
        return bytes.concat(Stream.flagged(4, block.timestamp, 0), Stream.guarded(guards));
    }

    function _send(bytes memory stream) private {
        vm.prank(operator, operator);
        (bool ok,) = address(probe).call{gas: GAS}(stream);
        if (ok) landed++;
    }

    function _check() private {
        uint256 base = WorldToken(tokens[0]).balanceOf(address(probe));
        uint256 other = middle.honestBalanceOf(address(probe));
        assertGe(base, leastBase, "the base token fell");
        assertGe(other, leastMiddle, "the token in between fell");
        (leastBase, leastMiddle) = (base, other);
        assertEq(probe.awaited(), 0, "a callback is still awaited");
        for (uint256 k = 0; k < 2; k++) {
            assertGe(WorldToken(tokens[k]).balanceOf(vault), INVENTORY, "the vault lost");
            for (uint256 i = 0; i < spenders.length; i++) {
                assertEq(
                    WorldToken(tokens[k]).allowance(address(probe), spenders[i]), 0, "an allowance is left"
                );
            }
        }
        assertEq(venue.attemptsServed() + venue.callbacksServed(), 0, "the router served a venue");
        assertFalse(middle.served(), "the router served a token");
    }

    function _draw(uint256 below) private returns (uint256 drawn) {
        uint256 word = random;
        assembly ("memory-safe") {
            mstore(0, word)
            word := keccak256(0, 32)
            drawn := mod(word, below)
        }
        random = word;
    }

    function _amount() private returns (uint256) {
        uint256 kind = _draw(4);
        return kind == 0 ? _draw(type(uint256).max) : kind == 1 ? INVENTORY : _draw(1e20);
    }

    function _bytes(uint256 size) private returns (bytes memory data) {
        data = new bytes(size + 32);
        for (uint256 i = 32; i <= size + 32; i += 32) {
            uint256 word = _draw(type(uint256).max);
            assembly ("memory-safe") {
                mstore(add(data, i), word)
            }
        }
        assembly ("memory-safe") {
            mstore(data, size)
        }
    }
}
