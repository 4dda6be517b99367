"""Whether one version of an upgradeable contract may follow another: OpenZeppelin's upgrades-core decides."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import solcx
from solcx.exceptions import SolcError

from engine.app.toolchain import project_root
from engine.domain.errors import ConfigError, DeploymentError

_CHECKER = ("node_modules", "@openzeppelin", "upgrades-core", "dist", "cli", "cli.js")
_TIMEOUT_S = 300
# Settings that change code and no layout; without them compiling takes a tenth of the time.
_CODE_ONLY = ("viaIR", "optimizer", "metadata")


def require_upgradable(
    target: str, new: dict[str, Any], old: dict[str, Any] | None, old_target: str | None = None
) -> None:
    """Validate `target` ("path.sol:Name") of the compiler input `new` against `old_target` (the same unless
    given) of the input `old`, or by itself.

    Raises DeploymentError with the checker's findings in one sentence, ConfigError when it is not installed.
    """
    root = project_root()
    checker = root.joinpath(*_CHECKER)
    node = shutil.which("node")
    if node is None or not checker.is_file():
        raise ConfigError("OpenZeppelin's upgrades-core is not installed: run `make setup`")
    with tempfile.TemporaryDirectory(prefix="roundtrip-layout-") as scratch:
        command = [node, str(checker), "validate", _write_build_info(Path(scratch) / "new", new)]
        command += ["--contract", target]
        if old is not None:
            reference = _write_build_info(Path(scratch) / "old", old)
            command += ["--reference", f"old:{old_target or target}", "--requireReference"]
            command += ["--referenceBuildInfoDirs", reference]
        # In the scratch folder, since the checker writes a cache where it runs.
        done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, timeout=_TIMEOUT_S)
    if done.returncode != 0:
        lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise DeploymentError(f"{target} is not a safe upgrade: {' '.join(lines)}")


def _write_build_info(folder: Path, given: dict[str, Any]) -> str:
    """Compile for what the checker reads: the syntax tree, the layout, and code of any kind."""
    settings = {
        key: value
        for key, value in given["settings"].items()
        if key not in ("viaIR", "optimizer", "metadata")
    }
    settings["outputSelection"] = {
        "*": {
            "*": ["abi", "evm.bytecode", "evm.deployedBytecode", "evm.methodIdentifiers", "storageLayout"],
            "": ["ast"],
        }
    }
    standard = {**given, "settings": settings}
    compiler = _compiler()
    try:
        output = solcx.compile_standard(standard, solc_binary=compiler)
    except SolcError as error:
        said = " ".join(str(error.message or error).split())
        raise DeploymentError(f"the {folder.name} version does not compile: {said}") from error
    folder.mkdir()
    version = compiler.name.removeprefix("solc-v")
    info = {
        "_format": "hh-sol-build-info-1",
        "id": folder.name,
        "solcVersion": version,
        "solcLongVersion": version,
        "input": standard,
        "output": output,
    }
    (folder / "build-info.json").write_text(json.dumps(info))
    return str(folder)


def _compiler() -> Path:
    found = sorted((project_root() / "tools" / "solcx").glob("solc-v*"))
    if not found:
        raise ConfigError("the Solidity compiler is not installed: run `make setup`")
    return found[-1]
