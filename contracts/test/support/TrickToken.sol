// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @dev A token that plays one trick on whoever buys it. Its owner is spared, so that pools can be furnished.
contract TrickToken {
    enum Trick {
        None,
        BlocksSales,
        TaxesSales,
        TaxesPurchases,
        TaxesEverything,
        TaxesSenderOnTop,
        BlocksBuyer,
        SellsForChosenOnly,
        LimitsAmounts,
        LimitsHoldings,
        SellsWithoutCoinbaseOnly,
        SellsWithoutGasPriceOnly,
        SellsWithoutBaseFeeOnly,
        BlocksOrigin,
        SellsForOneOriginOnly,
        BlocksOddSeconds,
        BlocksEvenBlocks,
        ClosesLater,
        BlocksAfterTransfers,
        BlocksWithinBlock,
        Paused,
        ReturnsFalse,
        MovesNothing,
        GrowsWithTime,
        SpendsAllGas,
        AnswersBomb,
        BlocksApproval,
        MintsOnTransfer,
        SellsWithMuchGasOnly,
        DestroysOnSale
    }

    string public constant name = "Trick";
    string public constant symbol = "TRK";
    uint8 public constant decimals = 18;
    Trick public trick;
    address public owner;
    address public victim;
    uint256 public totalSupply;
    uint256 private _born;
    uint256 private _fee;
    mapping(address => uint256) private _balances;
    mapping(address => mapping(address => uint256)) public allowance;
    mapping(address => bool) public market;
    mapping(address => bool) private _bought;
    mapping(address => uint256) private _sent;
    mapping(address => uint256) private _boughtIn;

    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);

    constructor(Trick trick_, address victim_) {
        initialize(trick_, victim_);
    }

    /// @dev For proxies, too.
    function initialize(Trick trick_, address victim_) public {
        require(owner == address(0));
        (trick, owner, victim, _born) = (trick_, msg.sender, victim_, block.timestamp);
    }

    function setMarket(address pool) external {
        market[pool] = true;
    }

    function setFee(uint256 bps) external {
        _fee = bps;
    }

    function paused() external view returns (bool) {
        return trick == Trick.Paused;
    }

    function mint(address to, uint256 amount) external {
        totalSupply += amount;
        _balances[to] += amount;
        emit Transfer(address(0), to, amount);
    }

    function balanceOf(address account) public view returns (uint256) {
        if (trick != Trick.GrowsWithTime) return _balances[account];
        return _balances[account] + _balances[account] * (block.timestamp - _born) / 1_000_000;
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        require(trick != Trick.BlocksApproval || msg.sender == owner, "no approval");
        allowance[msg.sender][spender] = amount;
        emit Approval(msg.sender, spender, amount);
        return true;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        return _move(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        allowance[from][msg.sender] -= amount;
        return _move(from, to, amount);
    }

    function _move(address from, address to, uint256 amount) private returns (bool) {
        if (from == owner || to == owner) return _book(from, to, amount, 0);
        bool sale = market[to];
        if (_isBlocked(from, sale)) revert("blocked");
        if (trick == Trick.LimitsAmounts) require(amount <= totalSupply / 10_000, "too much");
        if (trick == Trick.LimitsHoldings && !sale) {
            require(_balances[to] + amount <= totalSupply / 10_000, "too rich");
        }
        if (trick == Trick.ReturnsFalse && sale) return false;
        if (trick == Trick.MovesNothing && sale) return true;
        if (trick == Trick.SpendsAllGas && sale) while (true) _sent[from] += 1;
        if (trick == Trick.AnswersBomb && sale) {
            assembly {
                revert(0, 1000000)
            }
        }
        if (market[from]) (_bought[to], _boughtIn[to]) = (true, block.number);
        ++_sent[from];
        if (trick == Trick.MintsOnTransfer) {
            (totalSupply, _balances[owner]) = (totalSupply + 1, _balances[owner] + 1);
        }
        if (trick == Trick.TaxesSenderOnTop) _balances[from] -= 1;
        if (trick == Trick.DestroysOnSale && sale) _balances[to] -= _balances[to] / 1_000;
        return _book(from, to, amount, _feeOf(from, sale));
    }

    function _isBlocked(address from, bool sale) private view returns (bool) {
        Trick played = trick;
        if (played == Trick.Paused) return true;
        if (played == Trick.BlocksBuyer) return _bought[from];
        if (played == Trick.BlocksOrigin) return tx.origin == victim;
        if (played == Trick.BlocksAfterTransfers) return _sent[from] >= 5;
        if (played == Trick.BlocksWithinBlock) return _boughtIn[from] == block.number && _bought[from];
        if (!sale) return false;
        if (played == Trick.BlocksSales) return true;
        if (played == Trick.SellsForChosenOnly) return !market[from];
        if (played == Trick.SellsWithoutCoinbaseOnly) return block.coinbase != address(0);
        if (played == Trick.SellsWithoutGasPriceOnly) return tx.gasprice != 0;
        if (played == Trick.SellsWithoutBaseFeeOnly) return block.basefee != 0;
        if (played == Trick.SellsForOneOriginOnly) return tx.origin != victim;
        if (played == Trick.BlocksOddSeconds) return block.timestamp % 2 == 1;
        if (played == Trick.BlocksEvenBlocks) return block.number % 2 == 0;
        if (played == Trick.ClosesLater) return block.timestamp > _born + 3_600;
        if (played == Trick.SellsWithMuchGasOnly) return gasleft() < 5_000_000;
        return false;
    }

    function _feeOf(address from, bool sale) private view returns (uint256) {
        if (trick == Trick.TaxesSales && sale) return 500;
        if (trick == Trick.TaxesPurchases && market[from]) return 500;
        if (trick == Trick.TaxesEverything) return 1;
        return _fee;
    }

    function _book(address from, address to, uint256 amount, uint256 feeBps) private returns (bool) {
        _balances[from] -= amount;
        uint256 fee = amount * feeBps / 10_000;
        _balances[to] += amount - fee;
        _balances[owner] += fee;
        emit Transfer(from, to, amount - fee);
        return true;
    }
}

/// @dev Forwards everything to where EIP-1967's slot points; whoever asks may point it elsewhere.
contract TrickProxy {
    bytes32 private constant _IMPLEMENTATION =
        bytes32(uint256(keccak256("eip1967.proxy.implementation")) - 1);

    constructor(address implementation, bytes memory call_) {
        point(implementation);
        (bool fine,) = implementation.delegatecall(call_);
        require(fine);
    }

    function point(address implementation) public {
        bytes32 slot = _IMPLEMENTATION;
        assembly {
            sstore(slot, implementation)
        }
    }

    fallback() external {
        bytes32 slot = _IMPLEMENTATION;
        assembly {
            calldatacopy(0, 0, calldatasize())
            let fine := delegatecall(gas(), sload(slot), 0, calldatasize(), 0, 0)
            returndatacopy(0, 0, returndatasize())
            if fine { return(0, returndatasize()) }
            revert(0, returndatasize())
        }
    }
}
