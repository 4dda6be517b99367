"""Forge's build output as Ape contracts, and as the compiler input that reproduces it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eth_utils import keccak

from engine.app.toolchain import project_root
from engine.domain.errors import ConfigError

if TYPE_CHECKING:
    from ape.contracts import ContractContainer


@dataclass(frozen=True, slots=True)
class Build:
    """One contract as forge compiled it. `target` is "path/of/source.sol:Name"."""

    name: str
    target: str
    artifact: dict[str, Any]
    compiler: str
    settings_sha256: str
    standard_json: dict[str, Any]
    runtime_code: bytes
    immutables: tuple[tuple[int, int], ...]

    @property
    def container(self) -> ContractContainer:
        """The contract as Ape deploys it."""
        return _container(self.name, self.target.rpartition(":")[0], self.artifact)

    def without_immutables(self, code: bytes) -> bytes:
        """Runtime code with zeroes where this contract has immutables, as `runtime_code` is."""
        plain = bytearray(code)
        for start, length in self.immutables:
            plain[start : start + length] = bytes(len(plain[start : start + length]))
        return bytes(plain)


@cache
def build(name: str) -> Build:
    """The contract `name` from `out/`; raises ConfigError when it is absent or older than its sources."""
    root = project_root()
    path = root / "out" / f"{name}.sol" / f"{name}.json"
    try:
        raw = json.loads(path.read_text())
    except FileNotFoundError:
        raise ConfigError(f"{path} is missing: run `make setup`") from None
    metadata = raw["metadata"]
    ((source, _),) = metadata["settings"]["compilationTarget"].items()
    settings = _settings(metadata["settings"], source, name)
    return Build(
        name=name,
        target=f"{source}:{name}",
        artifact=raw,
        compiler=metadata["compiler"]["version"],
        settings_sha256=hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest(),
        standard_json={
            "language": "Solidity",
            "sources": {
                unit: {"content": _source(root, unit, of)} for unit, of in metadata["sources"].items()
            },
            "settings": settings,
        },
        runtime_code=bytes.fromhex(raw["deployedBytecode"]["object"].removeprefix("0x")),
        immutables=tuple(
            (one["start"], one["length"])
            for places in raw["deployedBytecode"].get("immutableReferences", {}).values()
            for one in places
        ),
    )


def _settings(recorded: dict[str, Any], source: str, name: str) -> dict[str, Any]:
    """The compiler settings of the build, asking for this contract's code and nothing else."""
    settings = {
        key: value for key, value in recorded.items() if key not in ("compilationTarget", "libraries")
    }
    settings["outputSelection"] = {
        source: {
            name: [
                "evm.bytecode.object",
                "evm.deployedBytecode.object",
                "evm.deployedBytecode.immutableReferences",
            ]
        }
    }
    return settings


def _source(root: Path, unit: str, recorded: dict[str, Any]) -> str:
    content = (root / unit).read_text()
    if "0x" + keccak(text=content).hex() != recorded["keccak256"]:
        raise ConfigError(f"{unit} has changed since out/ was built: run `make setup`")
    return content


def _container(name: str, source: str, raw: dict[str, Any]) -> ContractContainer:
    # Here, because importing Ape changes how eth_abi decodes for the whole process.
    from ape.contracts import ContractContainer
    from ethpm_types import ContractType

    return ContractContainer(
        ContractType.model_validate(
            {
                "contractName": name,
                "sourceId": source,
                "abi": raw["abi"],
                "deploymentBytecode": {"bytecode": raw["bytecode"]["object"]},
                "runtimeBytecode": {"bytecode": raw["deployedBytecode"]["object"]},
            }
        )
    )
