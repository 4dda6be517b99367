"""Where the project's node-side tools and build products are: anvil, the Solidity compiler, artefacts."""

from __future__ import annotations

import json
import os
import platform
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from engine.domain.errors import ConfigError

_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


@cache
def project_root() -> Path:
    """The checkout that holds `node_modules/` and `out/`; `ROUNDTRIP_HOME` overrides it.

    Raises ConfigError when neither the override nor the installed package lies in a checkout.
    """
    override = os.environ.get("ROUNDTRIP_HOME")
    root = Path(override) if override else Path(__file__).resolve().parents[2]
    if not (root / "foundry.toml").is_file():
        raise ConfigError(
            f"{root} is not a Roundtrip checkout (no foundry.toml): "
            "set ROUNDTRIP_HOME to one and run `make setup` there"
        )
    return root


def foundry_tool(name: str) -> Path:
    """Path of the native `anvil`, `forge` or `cast`.

    The launcher in `node_modules/.bin` is passed over: a signal to it would orphan the real process.
    Raises ConfigError when the tool is installed neither by npm nor on PATH.
    """
    arch = _ARCHITECTURES.get(platform.machine().lower(), platform.machine().lower())
    native = (
        project_root()
        / "node_modules"
        / "@foundry-rs"
        / f"{name}-{platform.system().lower()}-{arch}"
        / "bin"
        / name
    )
    if native.is_file():
        return native
    found = shutil.which(name)
    if found:
        return Path(found)
    raise ConfigError(f"{name} is not installed: run `make setup` in {project_root()}")


@dataclass(frozen=True, slots=True)
class Artifact:
    """A compiled contract: `abi`, creation code and runtime code as bytes (runtime may be empty)."""

    name: str
    abi: list[dict[str, Any]]
    bytecode: bytes
    runtime: bytes = b""


def _hex_bytes(value: str | dict[str, Any] | None) -> bytes:
    if isinstance(value, dict):
        value = value.get("object")
    if not value:
        return b""
    return bytes.fromhex(value.removeprefix("0x"))


def load_artifact(path: Path, name: str) -> Artifact:
    """Read a compiler output file of forge, hardhat or truffle form. Raises ConfigError when it is absent."""
    try:
        raw = json.loads(path.read_text())
    except FileNotFoundError:
        raise ConfigError(f"{path} is missing: run `make setup`") from None
    evm = raw.get("evm") or raw.get("compilerOutput", {}).get("evm") or {}
    creation = raw.get("bytecode") or evm.get("bytecode")
    runtime = raw.get("deployedBytecode") or evm.get("deployedBytecode")
    return Artifact(name, raw.get("abi") or [], _hex_bytes(creation), _hex_bytes(runtime))


def forge_artifact(name: str, file: str | None = None) -> Artifact:
    """A contract compiled by `forge build`: `out/<file or name>.sol/<name>.json`."""
    return load_artifact(project_root() / "out" / f"{file or name}.sol" / f"{name}.json", name)


def npm_artifact(package: str, path: str, name: str) -> Artifact:
    """A contract whose published bytecode an npm package ships."""
    return load_artifact(project_root() / "node_modules" / package / path, name)
