// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title The contract that executes a cycle of swaps, or nothing at all
/// @notice A cycle is sent by the operator as raw calldata without a selector (the "stream"). All numbers are
/// big-endian and packed:
///
/// `[version:1][deadline:5][minProfit:16][baseToken:20]` and then one command per hop, the last hop of the
/// cycle first. A command is `[kind << 1 | zeroForOne : 1][pool:20]` and its arguments:
///
/// | position | V2-type (kind 1)               | V3-type (kind 2) |
/// |----------|--------------------------------|------------------|
/// | first    | `[amountOut:16][amountIn:16]`  | `[amountIn:16]`  |
/// | nested   | `[amountIn:16]`                | none             |
///
/// The first command takes its output in advance. Each further one buys exactly what the pool before it is owed
/// and has it delivered there; after the last one, the router pays what is owed in the base token.
/// @dev A successful run returns the profit as one abi-encoded uint256, in base units of the base token.
interface IArbitrageRouter {
    /// @notice The balance of `token` went to the vault.
    event Swept(address indexed token, uint256 amount);

    /// @notice Neither address that the router is constructed with may be zero.
    error ZeroAddress();
    /// @notice Only the operator and the vault may do this.
    error NotAllowed(address caller);
    /// @notice The stream's first byte names a version this router does not speak.
    error UnsupportedVersion(uint256 version);
    /// @notice The block's timestamp is past the stream's deadline.
    error Expired();
    /// @notice A command is of an unknown kind or reaches past the end of the stream.
    error MalformedStream();
    /// @notice Called by someone who is not the pool, with the data and in the form, that the router is waiting for.
    error UnexpectedCallback();
    /// @notice A pool returned without the callback it was called for.
    error CallbackNotSpent();
    /// @notice A pool asked for no payment.
    error NothingOwed();
    /// @notice The base token refused a transfer, by returning something else than nothing or true.
    error TransferRefused(address token);
    /// @notice The base token did not answer for the router's balance.
    error BalanceUnknown(address token);
    /// @notice The base-token balance grew by `got` (zero if it fell), less than `wanted`.
    error ProfitTooLow(uint256 got, uint256 wanted);
    /// @notice A stream is being executed.
    error Running();

    /// @notice The only account whose streams are executed.
    function OPERATOR() external view returns (address);

    /// @notice The only account to which balances are swept.
    function VAULT() external view returns (address);

    /// @notice Send the router's whole balance of `token` to the vault. Operator or vault only.
    /// @return amount What was sent, in base units.
    function sweep(address token) external returns (uint256 amount);
}
