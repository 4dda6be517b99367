// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title What a token does when it is bought, passed on and sold
/// @notice Never deployed. Calls lay its code, by state override, over the addresses that would act: our router,
/// a stranger, and the pools that cannot lend by themselves. All of it happens in one call, which keeps nothing.
/// @dev Findings leave the pool's callback as a revert, so that no pool has to be paid back.
contract TokenProbe {
    /// @dev How `source` gives out its tokens; any other kind: its code is this contract's.
    uint8 internal constant PAIR = 0;
    uint8 internal constant FLASH = 1;

    /// @dev What first went wrong. The stage after one that moves tokens is the same with wrong amounts.
    uint8 internal constant FINE = 0;
    uint8 internal constant UNREADABLE = 1;
    uint8 internal constant BUY = 2;
    uint8 internal constant BUY_INEXACT = 3;
    uint8 internal constant PASS = 4;
    uint8 internal constant SELL = 6;
    uint8 internal constant APPROVE = 8;
    uint8 internal constant PULL = 9;
    uint8 internal constant SUPPLY = 11;

    uint256 private constant _KEPT_ANSWER = 2_048;
    uint256 private constant _KEPT_REASON = 128;

    /// @param token judged token
    /// @param source pool that holds it
    /// @param kind how the source gives it out
    /// @param second whether the token is the source's second one
    /// @param stranger whom the token is passed to and back; has this contract's code
    /// @param sink pool that it is sold to
    /// @param amount base units bought
    /// @param rounds how often it is passed on and back
    struct Job {
        address token;
        address source;
        uint8 kind;
        bool second;
        address stranger;
        address sink;
        uint256 amount;
        uint256 rounds;
    }

    /// @param stage what failed first
    /// @param wanted the balance or supply that was to be, base units
    /// @param got what it was
    /// @param gasUsed by the dearest transfer
    /// @param reason beginning of the revert data of what failed
    struct Finding {
        uint8 stage;
        uint256 wanted;
        uint256 got;
        uint256 gasUsed;
        bytes reason;
    }

    /// @dev What the token could see of the call, and what it said before it was touched.
    struct Context {
        address origin;
        uint256 gasPrice;
        address coinbase;
        uint256 timestamp;
        uint256 number;
        uint256 baseFee;
        uint256 sourceBalance;
        uint256 supply;
    }

    error Found(Finding finding);

    Job private _job;
    uint256 private _held;
    uint256 private _source;
    uint256 private _supply;

    /// @notice Buy from the source, pass on and back, sell to the sink, let the rest be pulled there, and say what came of it.
    function probe(Job calldata job) external returns (Finding memory finding, Context memory context) {
        bool known;
        (known, context) = _context(job);
        (bool knowsOurs, uint256 held) = _balance(job.token, address(this));
        if (!known || !knowsOurs || context.sourceBalance < job.amount) {
            (finding.stage, finding.wanted, finding.got) = (UNREADABLE, job.amount, context.sourceBalance);
            return (finding, context);
        }
        (_job, _held, _source, _supply) = (job, held, context.sourceBalance, context.supply);
        (bool done, bytes memory answer) = _ask(job.source, _buying(job), _KEPT_ANSWER);
        if (!done && answer.length > 4 && bytes4(answer) == Found.selector) {
            return (abi.decode(_behindSelector(answer), (Finding)), context);
        }
        (finding.stage, finding.reason) = (BUY, _short(answer));
    }

    /// @notice Send tokens that this address holds: how a stranger passes them back.
    function pass(address token, address to, uint256 amount) external {
        _must(_transfer(token, to, amount));
    }

    /// @notice Send tokens that `from` has allowed this address.
    function pull(address token, address from, address to, uint256 amount) external {
        _must(_called(token, abi.encodeWithSelector(0x23b872dd, from, to, amount)));
    }

    /// @notice Send tokens that this address holds and call the receiver back, as a flash swap does.
    function lend(address token, address to, uint256 amount) external {
        _must(_transfer(token, to, amount));
        (bool fine, bytes memory answer) = _ask(to, hex"00000000", _KEPT_ANSWER);
        _must(fine ? bytes("") : answer);
    }

    /// @notice The source's callback under whatever name. Hooks of tokens end here too, and nothing comes of them.
    fallback() external payable {
        if (msg.sender == _job.source && _job.token != address(0)) revert Found(_measured());
    }

    receive() external payable {}

    function _measured() private returns (Finding memory found) {
        Job memory job = _job;
        // A second callback finds nothing to do.
        _job.token = address(0);
        address here = address(this);
        if (!_holds(found, BUY_INEXACT, job.token, here, _held + job.amount)) return found;
        if (!_holds(found, BUY_INEXACT, job.token, job.source, _source - job.amount)) return found;
        uint256 part = job.amount / 4;
        for (uint256 round; round < job.rounds; ++round) {
            bytes memory back = abi.encodeCall(TokenProbe.pass, (job.token, here, part));
            if (!_moves(found, PASS, job.token, here, job.stranger, part, "")) return found;
            if (!_moves(found, PASS, job.token, job.stranger, here, part, back)) return found;
        }
        if (!_moves(found, SELL, job.token, here, job.sink, job.amount - part, "")) return found;
        bytes memory refusal = _called(job.token, abi.encodeWithSelector(0x095ea7b3, job.stranger, part));
        if (refusal.length != 0) {
            (found.stage, found.reason) = (APPROVE, _short(refusal));
            return found;
        }
        bytes memory pulling = abi.encodeCall(TokenProbe.pull, (job.token, here, job.sink, part));
        if (!_moves(found, PULL, job.token, here, job.sink, part, pulling, job.stranger)) return found;
        (bool known, uint256 supply) = _number(job.token, abi.encodeWithSelector(0x18160ddd));
        if (known && supply != _supply) {
            (found.stage, found.wanted, found.got) = (SUPPLY, _supply, supply);
        }
    }

    function _moves(
        Finding memory found,
        uint8 stage,
        address token,
        address from,
        address to,
        uint256 amount,
        bytes memory order
    ) private returns (bool) {
        return _moves(found, stage, token, from, to, amount, order, from);
    }

    /// @dev Moves `amount` by our own transfer, or by what `actor` does when it is ordered to.
    function _moves(
        Finding memory found,
        uint8 stage,
        address token,
        address from,
        address to,
        uint256 amount,
        bytes memory order,
        address actor
    ) private returns (bool) {
        (bool knowsFrom, uint256 before) = _balance(token, from);
        (bool knowsTo, uint256 beforeTo) = _balance(token, to);
        if (!knowsFrom || !knowsTo) {
            found.stage = UNREADABLE;
            return false;
        }
        uint256 gasBefore = gasleft();
        bytes memory refusal;
        if (order.length == 0) {
            refusal = _transfer(token, to, amount);
        } else {
            (bool fine, bytes memory answer) = _ask(actor, order, _KEPT_ANSWER);
            refusal = fine ? bytes("") : answer.length == 0 ? bytes("-") : answer;
        }
        uint256 gasUsed = gasBefore - gasleft();
        if (gasUsed > found.gasUsed) found.gasUsed = gasUsed;
        if (refusal.length != 0) {
            (found.stage, found.reason) = (stage, _short(refusal));
            return false;
        }
        return _holds(found, stage + 1, token, to, beforeTo + amount)
            && _holds(found, stage + 1, token, from, before - amount);
    }

    function _holds(Finding memory found, uint8 stage, address token, address account, uint256 wanted)
        private
        view
        returns (bool)
    {
        (bool known, uint256 got) = _balance(token, account);
        if (known && got == wanted) return true;
        (found.stage, found.wanted, found.got) = (stage, wanted, got);
        return false;
    }

    function _context(Job calldata job) private view returns (bool known, Context memory context) {
        context.origin = tx.origin;
        context.gasPrice = tx.gasprice;
        context.coinbase = block.coinbase;
        context.timestamp = block.timestamp;
        context.number = block.number;
        context.baseFee = block.basefee;
        (known, context.sourceBalance) = _balance(job.token, job.source);
        (, context.supply) = _number(job.token, abi.encodeWithSelector(0x18160ddd));
    }

    function _buying(Job calldata job) private view returns (bytes memory) {
        (uint256 first, uint256 second) = job.second ? (uint256(0), job.amount) : (job.amount, uint256(0));
        if (job.kind == PAIR) {
            return abi.encodeWithSignature(
                "swap(uint256,uint256,address,bytes)", first, second, address(this), bytes("-")
            );
        }
        if (job.kind == FLASH) {
            return abi.encodeWithSignature(
                "flash(address,uint256,uint256,bytes)", address(this), first, second, bytes("")
            );
        }
        return abi.encodeCall(TokenProbe.lend, (job.token, address(this), job.amount));
    }

    function _balance(address token, address account) private view returns (bool, uint256) {
        return _number(token, abi.encodeWithSelector(0x70a08231, account));
    }

    function _number(address token, bytes memory call_) private view returns (bool known, uint256 value) {
        assembly ("memory-safe") {
            known := staticcall(gas(), token, add(call_, 32), mload(call_), 0, 32)
            known := and(known, gt(returndatasize(), 31))
            if known { value := mload(0) }
        }
    }

    function _transfer(address token, address to, uint256 amount) private returns (bytes memory) {
        return _called(token, abi.encodeWithSelector(0xa9059cbb, to, amount));
    }

    /// @dev Empty when the token agreed, by returning true or nothing; else why not, never empty.
    function _called(address token, bytes memory call_) private returns (bytes memory) {
        (bool done, bytes memory answer) = _ask(token, call_, _KEPT_ANSWER);
        if (!done) return answer.length == 0 ? bytes("-") : answer;
        if (answer.length == 0) return token.code.length == 0 ? bytes("no code") : answer;
        if (answer.length < 32 || abi.decode(answer, (uint256)) != 1) return bytes("false");
        return bytes("");
    }

    /// @dev A call of whose answer no more than `kept` bytes are copied: an answer may be made to cost.
    function _ask(address to, bytes memory call_, uint256 kept)
        private
        returns (bool done, bytes memory answer)
    {
        assembly ("memory-safe") {
            done := call(gas(), to, 0, add(call_, 32), mload(call_), 0, 0)
            let size := returndatasize()
            if gt(size, kept) { size := kept }
            answer := mload(0x40)
            mstore(answer, size)
            returndatacopy(add(answer, 32), 0, size)
            mstore(0x40, add(answer, and(add(size, 63), not(31))))
        }
    }

    function _must(bytes memory refusal) private pure {
        if (refusal.length == 0) return;
        assembly ("memory-safe") {
            revert(add(refusal, 32), mload(refusal))
        }
    }

    function _short(bytes memory text) private pure returns (bytes memory) {
        if (text.length > _KEPT_REASON) {
            assembly ("memory-safe") {
                mstore(text, _KEPT_REASON)
            }
        }
        return text;
    }

    function _behindSelector(bytes memory answer) private pure returns (bytes memory body) {
        assembly ("memory-safe") {
            let size := sub(mload(answer), 4)
            body := mload(0x40)
            mstore(body, size)
            mcopy(add(body, 32), add(answer, 36), size)
            mstore(0x40, add(body, and(add(size, 63), not(31))))
        }
    }
}
