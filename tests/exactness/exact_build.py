"""Creation code of the contracts under test: published artefacts, and published sources compiled once.

What is compiled lies under `.build/bytecode`, keyed by compiler, settings and every source it read.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from engine.app.toolchain import load_artifact, npm_artifact, project_root
from engine.domain.errors import ConfigError

HERE = Path(__file__).parent
_IMPORT = re.compile(r"""^\s*import\s[^;"']*["']([^"']+)["']""", re.MULTILINE)
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)


def published(package: str) -> Path:
    """The folder of a package of `tools/published.json`, say `solc@0.7.6`; ConfigError if it is absent."""
    folder = project_root() / ".build" / "published" / package
    if not folder.is_dir():
        raise ConfigError(f"{folder} is missing: run `make setup`")
    return folder


def published_code(package: str, path: str) -> bytes:
    """Creation code from an artefact, or from Balancer's older `{"creationCode": …}` files."""
    file = published(package) / path
    raw = json.loads(file.read_text())
    if "creationCode" in raw:
        return bytes.fromhex(raw["creationCode"].removeprefix("0x"))
    return load_artifact(file, path).bytecode


def npm_code(package: str, path: str) -> bytes:
    return npm_artifact(package, path, path).bytecode


@dataclass(frozen=True)
class Build:
    """One compilation: entry files by source name, and where names are looked up, longest prefix first."""

    compiler: str  # a published solc, or "" for the project's own
    entries: tuple[str, ...]
    roots: tuple[tuple[str, Path], ...]
    optimizer_runs: int = 200
    via_ir: bool = False
    evm_version: str = "cancun"

    def locate(self, name: str) -> Path:
        for prefix, folder in sorted(self.roots, key=lambda root: -len(root[0])):
            if name.startswith(prefix):
                return folder / name[len(prefix) :]
        raise FileNotFoundError(f"{name} is under none of {[prefix for prefix, _ in self.roots]}")

    def sources(self) -> dict[str, str]:
        """Every source the entries reach."""
        found: dict[str, str] = {}
        waiting = list(self.entries)
        while waiting:
            name = waiting.pop()
            if name in found:
                continue
            found[name] = self.locate(name).read_text()
            for target in _IMPORT.findall(_COMMENT.sub("", found[name])):
                waiting.append(_resolve(name, target))
        return dict(sorted(found.items()))

    def input(self) -> str:
        settings: dict[str, Any] = {
            "optimizer": {"enabled": True, "runs": self.optimizer_runs},
            "evmVersion": self.evm_version,
            "outputSelection": {
                name: {"*": ["evm.bytecode.object", "storageLayout"]} for name in self.entries
            },
        }
        if self.via_ir:
            settings["viaIR"] = True
        sources = {name: {"content": text} for name, text in self.sources().items()}
        return json.dumps({"language": "Solidity", "sources": sources, "settings": settings})


def _resolve(importer: str, target: str) -> str:
    if not target.startswith("."):
        return target
    parts = importer.split("/")[:-1]
    for piece in target.split("/"):
        if piece == "..":
            parts.pop()
        elif piece != ".":
            parts.append(piece)
    return "/".join(parts)


def compiled(build: Build) -> dict[str, dict[str, Any]]:
    """`{contract: {"code": hex, "slots": {label: slot}}}` of the entries' contracts. Raises RuntimeError with
    the compiler's messages."""
    root = project_root()
    if build.compiler:
        compiler = published(build.compiler) / "soljson.js"
    else:
        compiler = root / "node_modules" / "solc" / "soljson.js"
    text = build.input()
    key = hashlib.sha256(f"{build.compiler or compiler.stat().st_size}\n{text}".encode()).hexdigest()
    kept = root / ".build" / "bytecode" / f"{key}.json"
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            given, made = Path(folder, "input.json"), Path(folder, "output.json")
            given.write_text(text)
            subprocess.run(["node", HERE / "compile.js", compiler, given, made], check=True)
            draft = Path(folder, "kept.json")
            draft.write_text(json.dumps(_contracts(json.loads(made.read_text()))))
            draft.replace(kept)
    return json.loads(kept.read_text())


def _contracts(output: dict[str, Any]) -> dict[str, dict[str, Any]]:
    errors = [e["formattedMessage"] for e in output.get("errors", []) if e["severity"] == "error"]
    if errors:
        raise RuntimeError("\n".join(errors))
    made = {}
    for contracts in output["contracts"].values():
        for name, contract in contracts.items():
            layout = (contract.get("storageLayout") or {}).get("storage") or []
            slots = {entry["label"]: int(entry["slot"]) for entry in layout}
            made[name] = {"code": contract["evm"]["bytecode"]["object"], "slots": slots}
    return made


@cache
def driver_code(name: str) -> bytes:
    """Creation code of one of the tests' own contracts, `drivers/<name>.sol`; they are compiled together."""
    folder = HERE / "drivers"
    roots = (
        ("", folder),
        ("@openzeppelin/contracts/", published("@openzeppelin/contracts@5.4.0")),
        ("solmate/", project_root() / "node_modules" / "@uniswap" / "v4-core" / "lib" / "solmate" / "src"),
    )
    entries = tuple(sorted(file.name for file in folder.glob("*.sol")))
    return bytes.fromhex(compiled(Build("", entries, roots, optimizer_runs=20_000))[name]["code"])
