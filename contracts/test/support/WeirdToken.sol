// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @dev An ERC-20 token that begins to misbehave when it is told to.
contract WeirdToken {
    enum Mode {
        Good,
        ReturnsNothing,
        ReturnsFalse,
        FalseInsteadOfRevert,
        RevertsOnZeroTransfer,
        RevertsOnZeroApproval,
        NoSecondApproval,
        TakesFee,
        TakesFeeFromSender,
        Blocked,
        Paused,
        GrowsOnTransfer,
        ShrinksOnTransfer,
        CallsBack,
        CallsPayeeBack,
        ReturnsBomb,
        RevertsWithBomb,
        BurnsGas,
        MovesNothing,
        MaximumMeansAll,
        Uint96,
        LiesAboutBalance,
        LiesAboutAllowance,
        KeepsAllowance
    }

    string public constant name = "Weird";
    string public constant symbol = "WRD";
    uint8 public constant decimals = 18;

    Mode public mode;
    uint256 public totalSupply;
    mapping(address => uint256) private _balances;
    mapping(address => mapping(address => uint256)) private _allowances;
    address private _target;
    bytes[] private _calls;
    bool public served;

    function setMode(Mode mode_) external {
        mode = mode_;
    }

    /// @dev What is tried on `target` in the middle of every transfer in the modes that call back.
    function setCalls(address target, bytes[] calldata calls) external {
        (_target, _calls) = (target, calls);
    }

    function mint(address to, uint256 amount) external {
        totalSupply += amount;
        _balances[to] += amount;
    }

    function balanceOf(address account) external view returns (uint256) {
        if (mode == Mode.LiesAboutBalance) return _balances[account] / 2;
        return _balances[account];
    }

    function honestBalanceOf(address account) external view returns (uint256) {
        return _balances[account];
    }

    function allowance(address owner, address spender) external view returns (uint256) {
        if (mode == Mode.LiesAboutAllowance) return 1;
        return _allowances[owner][spender];
    }

    function approve(address spender, uint256 amount) external {
        if (mode == Mode.RevertsOnZeroApproval) require(amount != 0, "zero");
        if (mode == Mode.NoSecondApproval) {
            require(amount == 0 || _allowances[msg.sender][spender] == 0, "again");
        }
        _allowances[msg.sender][spender] = amount;
        _answer();
    }

    function transfer(address to, uint256 amount) external {
        _move(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) external {
        if (mode != Mode.KeepsAllowance) {
            require(_allowances[from][msg.sender] >= amount, "allowance");
            if (_allowances[from][msg.sender] != type(uint256).max) _allowances[from][msg.sender] -= amount;
        }
        _move(from, to, amount);
    }

    function _move(address from, address to, uint256 amount) private {
        if (mode == Mode.MaximumMeansAll && amount == type(uint256).max) amount = _balances[from];
        if (mode == Mode.RevertsOnZeroTransfer) require(amount != 0, "zero");
        if (mode == Mode.Paused || mode == Mode.Blocked) revert("not now");
        if (mode == Mode.Uint96) require(amount < 2 ** 96, "large");
        if (mode == Mode.BurnsGas) while (gasleft() > 0) {}
        if (mode == Mode.CallsBack || mode == Mode.CallsPayeeBack) {
            _callBack(mode == Mode.CallsBack ? _target : to);
        }
        if (mode == Mode.FalseInsteadOfRevert && _balances[from] < amount) {
            _give(abi.encode(false));
        }
        if (mode != Mode.MovesNothing) {
            uint256 fee = mode == Mode.TakesFee ? amount / 100 : 0;
            uint256 extra = mode == Mode.TakesFeeFromSender ? amount / 100 : 0;
            _balances[from] -= amount + extra;
            _balances[to] += amount - fee;
        }
        if (mode == Mode.GrowsOnTransfer) _balances[to] += 1e15;
        if (mode == Mode.ShrinksOnTransfer) _balances[from] -= _balances[from] / 50;
        _answer();
    }

    function _callBack(address target) private {
        for (uint256 i = 0; i < _calls.length; i++) {
            (bool ok, bytes memory returned) = target.call(_calls[i]);
            if (ok && target == _target && returned.length != 32) served = true;
        }
    }

    function _answer() private view {
        if (mode == Mode.ReturnsNothing) _give("");
        if (mode == Mode.ReturnsFalse) _give(abi.encode(false));
        if (mode == Mode.ReturnsBomb) {
            assembly ("memory-safe") {
                mstore(0, 1)
                return(0, 1000000)
            }
        }
        if (mode == Mode.RevertsWithBomb) {
            assembly ("memory-safe") {
                revert(0, 1000000)
            }
        }
        _give(abi.encode(true));
    }

    function _give(bytes memory answer) private pure {
        assembly ("memory-safe") {
            return(add(answer, 32), mload(answer))
        }
    }
}
