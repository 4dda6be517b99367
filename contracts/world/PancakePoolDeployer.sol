// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title The CREATE2 deployer that PancakeSwap V3's factory expects beside it
/// @notice Deploys pools from creation code given at construction, so that the published bytecode is used as is.
/// @dev For test chains only. The pool's constructor reads `parameters()` of its creator. The creation code is
/// longer than one contract may be, hence the chunks.
contract PancakePoolDeployer {
    struct Parameters {
        address factory;
        address token0;
        address token1;
        uint24 fee;
        int24 tickSpacing;
    }

    uint256 private constant CHUNK = 24_000;

    address public immutable owner;
    address public factoryAddress;
    bytes32 public immutable initCodeHash;
    Parameters public parameters;
    address[] private _chunks;

    event SetFactoryAddress(address indexed factory);

    error NotFactory(address caller);
    error NotOwner(address caller);
    error FactoryAlreadySet(address factory);
    error DeploymentFailed();

    constructor(bytes memory poolCreationCode) {
        owner = msg.sender;
        initCodeHash = keccak256(poolCreationCode);
        for (uint256 start = 0; start < poolCreationCode.length; start += CHUNK) {
            uint256 size = poolCreationCode.length - start;
            _chunks.push(_store(poolCreationCode, start, size < CHUNK ? size : CHUNK));
        }
    }

    /// @notice Name the one factory that may create pools; once.
    function setFactoryAddress(address factory) external {
        if (msg.sender != owner) revert NotOwner(msg.sender);
        if (factoryAddress != address(0)) revert FactoryAlreadySet(factoryAddress);
        factoryAddress = factory;
        emit SetFactoryAddress(factory);
    }

    /// @notice Deploy the pool of a token pair and fee; salt = keccak256(abi.encode(token0, token1, fee)).
    function deploy(address factory, address token0, address token1, uint24 fee, int24 tickSpacing)
        external
        returns (address pool)
    {
        if (msg.sender != factoryAddress) revert NotFactory(msg.sender);
        parameters = Parameters(factory, token0, token1, fee, tickSpacing);
        bytes memory code = _load();
        bytes32 salt = keccak256(abi.encode(token0, token1, fee));
        assembly ("memory-safe") {
            pool := create2(0, add(code, 32), mload(code), salt)
        }
        if (pool == address(0)) revert DeploymentFailed();
        delete parameters;
    }

    /// @dev A contract whose code is a STOP byte and then the chunk.
    function _store(bytes memory code, uint256 start, uint256 size) private returns (address chunk) {
        bytes memory part = new bytes(size);
        assembly ("memory-safe") {
            mcopy(add(part, 32), add(add(code, 32), start), size)
        }
        // PUSH2 size+1, DUP1, PUSH1 10, PUSH0, CODECOPY, PUSH0, RETURN, then the STOP byte.
        bytes memory creation = abi.encodePacked(hex"61", uint16(size + 1), hex"80600a5f395ff300", part);
        assembly ("memory-safe") {
            chunk := create(0, add(creation, 32), mload(creation))
        }
        if (chunk == address(0)) revert DeploymentFailed();
    }

    function _load() private view returns (bytes memory code) {
        for (uint256 i = 0; i < _chunks.length; i++) {
            address chunk = _chunks[i];
            bytes memory part = new bytes(chunk.code.length - 1);
            assembly ("memory-safe") {
                extcodecopy(chunk, add(part, 32), 1, mload(part))
            }
            code = bytes.concat(code, part);
        }
    }
}
