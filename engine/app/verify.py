"""Whether the code on the chain is what the recorded sources compile to."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import solcx
from eth_utils import keccak
from solcx.exceptions import SolcError, SolcNotInstalled

from engine.app.toolchain import project_root
from engine.chain.deployments import Manifest, read_manifests
from engine.chain.wire import octets, quantity
from engine.domain.errors import ConfigError, DeploymentError
from engine.domain.ports import Node

# ERC-1967: where a proxy keeps the address of its implementation.
_IMPLEMENTATION_SLOT = "0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc"


@dataclass(frozen=True, slots=True)
class Verification:
    """One contract's result: `findings` says what differs, and is empty when everything agrees."""

    contract: str
    address: str
    implementation: str | None
    findings: tuple[str, ...]

    @property
    def verified(self) -> bool:
        return not self.findings


@dataclass(frozen=True, slots=True)
class Compiled:
    """Runtime code with zeroes for immutables, and where each immutable is: (start, length) in bytes."""

    code: bytes
    immutables: tuple[tuple[tuple[int, int], ...], ...]


async def verify_deployments(node: Node, directory: Path, chain_id: int) -> list[Verification]:
    """Recompile what `directory`/<chain id>/ records and compare it with the node's chain.

    Checked for each contract: the recorded code hashes, the runtime code outside its immutables, the value
    of each immutable (a recorded constructor argument or the contract's own address), the compiler's
    settings, and for proxies the proxy's own code and its ERC-1967 implementation slot.

    Raises DeploymentError for a missing or malformed record, ConfigError when the recorded compiler is not
    installed, NodeError when the node fails. A difference is a finding and not an error.
    """
    manifests = read_manifests(directory, chain_id)
    served = quantity(await node.request("eth_chainId", ()), "chain id")
    if served != chain_id:
        raise DeploymentError(
            f"the node serves chain {served} and {directory / str(chain_id)} is of chain {chain_id}:"
            " use the node or the deployment of the right chain"
        )
    return [await _verify(node, manifest) for manifest in manifests.values()]


async def _verify(node: Node, manifest: Manifest) -> Verification:
    raw = manifest.raw
    compiler = _object(raw, "compiler", manifest.path)
    main = _Source.of(manifest, compiler.get("target"), raw.get("standard_json"))
    findings = main.setting_findings(compiler.get("settings_sha256"))
    version = str(compiler.get("version", "")).split("+")[0]
    compiled = await asyncio.to_thread(recompile, main, version)
    arguments = _addresses(raw.get("constructor_args"))
    if manifest.implementation is None:
        findings += await _compare(
            node, "contract", manifest.address, manifest.code_hash, compiled, arguments
        )
    else:
        proxy = _object(raw, "proxy", manifest.path)
        shell = _Source.of(manifest, proxy.get("target"), proxy.get("standard_json"))
        shell_code = await asyncio.to_thread(recompile, shell, version)
        findings += await _compare(node, "proxy", manifest.address, manifest.code_hash, shell_code, arguments)
        findings += await _compare(
            node,
            "implementation",
            manifest.implementation,
            manifest.implementation_code_hash or "",
            compiled,
            frozenset(),
        )
        findings += await _slot_findings(node, manifest)
    return Verification(manifest.contract, manifest.address, manifest.implementation, tuple(findings))


async def _compare(
    node: Node, what: str, address: str, recorded_hash: str, compiled: Compiled, arguments: frozenset[bytes]
) -> list[str]:
    code = octets(await node.request("eth_getCode", [address, "latest"]), "code")
    if not code:
        return [f"there is no code at the {what}'s address {address}"]
    findings = []
    found_hash = "0x" + keccak(code).hex()
    if found_hash != recorded_hash:
        findings.append(f"the {what} at {address} has code hash {found_hash} and not {recorded_hash}")
    masked = bytearray(code)
    allowed = arguments | {bytes.fromhex(address[2:])}
    for places in compiled.immutables:
        values = {bytes(code[start : start + length]) for start, length in places}
        for start, length in places:
            masked[start : start + length] = bytes(len(masked[start : start + length]))
        if len(values) != 1 or not {value[-20:] for value in values} <= allowed:
            shown = ", ".join(sorted("0x" + value.hex() for value in values))
            findings.append(f"the {what} at {address} has an immutable {shown} that was not given to it")
    if bytes(masked) != compiled.code:
        findings.append(f"the {what} at {address} is not what the recorded sources compile to")
    return findings


async def _slot_findings(node: Node, manifest: Manifest) -> list[str]:
    word = octets(
        await node.request("eth_getStorageAt", [manifest.address, _IMPLEMENTATION_SLOT, "latest"]), "slot", 32
    )
    current = "0x" + word[12:].hex()
    if current == manifest.implementation:
        return []
    return [f"the proxy at {manifest.address} runs {current} and not {manifest.implementation}"]


@dataclass(frozen=True, slots=True)
class _Source:
    """A recorded compiler input and the contract in it."""

    path: Path
    unit: str
    name: str
    standard_json: dict[str, Any]

    @classmethod
    def of(cls, manifest: Manifest, target: object, file: object) -> _Source:
        unit, colon, name = str(target).rpartition(":")
        if not colon or not isinstance(file, str) or Path(file).name != file:
            raise DeploymentError(f"{manifest.path} does not say what it was compiled from: restore it")
        path = manifest.path.with_name(file)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise DeploymentError(f"{path}, named by {manifest.path}, is missing: restore it") from None
        except (OSError, ValueError) as error:
            raise DeploymentError(
                f"{path} cannot be read as JSON ({type(error).__name__}): restore it"
            ) from None
        if not isinstance(content, dict) or not isinstance(content.get("settings"), dict):
            raise DeploymentError(f"{path} is not a compiler input: restore it")
        return cls(path, unit, name, content)

    def setting_findings(self, recorded: object) -> list[str]:
        settings = json.dumps(self.standard_json["settings"], sort_keys=True)
        if hashlib.sha256(settings.encode()).hexdigest() == recorded:
            return []
        return [f"the compiler settings in {self.path.name} are not the recorded ones"]


def recompile(source: _Source, version: str) -> Compiled:
    """Compile a recorded input with py-solc-x.

    `SOLCX_BINARY_PATH` says where the compilers are; without it, the project's own is used. Raises
    ConfigError when there is none of this version, DeploymentError when the input does not compile.
    """
    own = project_root() / "tools" / "solcx" / f"solc-v{version}"
    choice: dict[str, Any] = {"solc_version": version}
    if not os.environ.get("SOLCX_BINARY_PATH") and own.exists():
        choice = {"solc_binary": own}
    try:
        output = solcx.compile_standard(source.standard_json, **choice)
        evm = output["contracts"][source.unit][source.name]["evm"]["deployedBytecode"]
        places = evm.get("immutableReferences", {}).values()
        return Compiled(
            code=bytes.fromhex(evm["object"]),
            immutables=tuple(tuple((at["start"], at["length"]) for at in one) for one in places),
        )
    except (SolcNotInstalled, FileNotFoundError) as error:
        raise ConfigError(f"Solidity compiler {version} is not installed: run `make setup`") from error
    except SolcError as error:
        raise DeploymentError(
            f"{source.path} does not compile ({_first_error(error)}): restore it"
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        raise DeploymentError(f"{source.path} does not compile to {source.name}: restore it") from error


def _first_error(error: SolcError) -> str:
    try:
        found = json.loads(error.stdout_data or "")["errors"]
        return next(one["message"] for one in found if one["severity"] == "error")
    except (ValueError, KeyError, TypeError, StopIteration):
        return "the compiler gave no reason"


def _object(raw: Mapping[str, Any], field: str, path: Path) -> dict[str, Any]:
    value = raw.get(field)
    if not isinstance(value, dict):
        raise DeploymentError(f"{path} has no valid {field}: restore it")
    return value


def _addresses(arguments: object) -> frozenset[bytes]:
    """The addresses among recorded constructor arguments."""
    if not isinstance(arguments, list):
        return frozenset()
    plain = [str(one).removeprefix("0x") for one in arguments]
    return frozenset(
        bytes.fromhex(one) for one in plain if len(one) == 40 and not set(one) - set("0123456789abcdef")
    )
