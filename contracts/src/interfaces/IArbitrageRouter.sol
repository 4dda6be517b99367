// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title The contract that executes cycles of swaps, or nothing at all
/// @notice Cycles are sent by the operator as raw calldata without a selector (the "stream"). All numbers are
/// big-endian and packed:
///
/// `[version 2 << 4 | flags : 1][pin:4][minProfit:14][extras][commands]`
///
/// The pin is the last timestamp at which the stream is valid, or, if the flags say so (2), the only block. Flag 1:
/// the base token is not the pinned one and stands in the last 20 bytes. Flag 4: `[extras:1]` follows, whose bits
/// announce `[parentHash:8]` (1), `[bid:14]` (2), and, in the upper half, the number of guarded tokens `[token:20]`.
/// Flag 8: several cycles, each behind its `[length:2]`.
///
/// The commands are those of one cycle, the last hop that can pay before it is paid first, then the hops behind it,
/// then those before it from the last to the first. A command is `[kind << 2 | bits : 1]` and its arguments:
///
/// | kind | command                | first                                    | nested                        |
/// |------|------------------------|------------------------------------------|-------------------------------|
/// | 0    | end, pays the base     |                                          | `[base:20]`                   |
/// | 1    | V2-type (1: sells 0)   | `[pool:20][amountOut:14][amountIn:14]`   | `[pool:20][amountIn:14]`      |
/// | 2    | V3-type (1: sells 0)   | `[pool:20][amount:14]` (2: the output)   | `[pool:20]`                   |
/// | 3    | Uniswap V4             | `[amount:14][run]` (2: the output)       | `[run]` (1: already unlocked) |
/// | 4    | Balancer V3            | `[amount:14][pool:20][in:20][out:20]`    | `[pool:20][in:20][out:20]`    |
/// | 5-7  | Curve, ERC-4626, wstETH|                                          | see PullCommands              |
/// | 8    | wrapped native         |                                          | `[amountIn:14][form:1]`       |
/// | 9    | Balancer V2            |                                          | see PullCommands              |
/// | 10   | Balancer V2 flash loan | `[amount:14]`, (1: `[token:20]`)         |                               |
/// | 11   | Morpho flash loan      | `[lender:20][amount:14]` (1: `[token:20]`)|                              |
/// | 12   | Aave flash loan        | `[lender:20][amount:14]` (1: `[token:20]`)|                              |
/// | 13   | hold: pays nothing     |                                          |                               |
///
/// The first command takes its output in advance. Each nested one buys exactly what the pool before it is owed and
/// has it delivered there; at the end of the commands the router pays what is owed in the pinned base token.
/// @dev A successful run returns the profit as one abi-encoded uint256, in base units of the base token.
interface IArbitrageRouter {
    /// @notice The balance of `token` (zero: of ether) went to the vault.
    event Swept(address indexed token, uint256 amount);

    /// @notice Neither operator nor vault may be zero.
    error ZeroAddress();
    /// @notice Only the operator and the vault may do this; streams must come from the operator's transaction itself.
    error NotAllowed(address caller);
    /// @notice The stream's first byte names a version this router does not speak.
    error UnsupportedVersion(uint256 version);
    /// @notice The block is not one that the stream is meant for.
    error Expired();
    /// @notice The parent block is not the one that the stream was made on.
    error OtherParent();
    /// @notice A command is of an unknown kind or reaches past the end of the stream.
    error MalformedStream();
    /// @notice Called by someone who is not the pool, with the data and in the form, that the router is waiting for.
    error UnexpectedCallback();
    /// @notice A pool returned without the callback it was called for.
    error CallbackNotSpent();
    /// @notice A pool asked for no payment, or gave nothing.
    error NothingOwed();
    /// @notice A token refused a transfer or an approval, by returning something else than nothing or true.
    error TransferRefused(address token);
    /// @notice A token did not answer for the router's balance.
    error BalanceUnknown(address token);
    /// @notice The router would hold less of a guarded token than before.
    error BalanceFell(address token);
    /// @notice `spender` did not take what it was allowed to.
    error AllowanceLeft(address token, address spender);
    /// @notice The block's fee recipient did not take the bid.
    error BuilderRefused();
    /// @notice Streams come without ether.
    error EtherRefused();
    /// @notice The base-token balance grew by `got` (zero if it fell), less than `wanted`.
    error ProfitTooLow(uint256 got, uint256 wanted);
    /// @notice The only account whose streams are executed.
    function OPERATOR() external view returns (address);

    /// @notice The only account to which balances are swept.
    function VAULT() external view returns (address);

    /// @notice The base token of streams that name none, and the token that wraps the chain's own coin.
    function WRAPPED_NATIVE() external view returns (address);

    /// @notice Uniswap V4's pool manager, zero where there is none.
    function POOL_MANAGER() external view returns (address);

    /// @notice Balancer V2's vault, zero where there is none.
    function BALANCER_VAULT() external view returns (address);

    /// @notice Balancer V3's vault, zero where there is none.
    function BALANCER_VAULT_V3() external view returns (address);

    /// @notice Send the router's whole balance of `token` (zero: of ether) to the vault. Operator or vault only.
    /// @return amount What was sent, in base units.
    function sweep(address token) external returns (uint256 amount);
}
