"""What was deployed, on disk: one JSON file per contract, written whole or not at all."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_utils import keccak

from engine.app.toolchain import project_root
from engine.domain.errors import ConfigError, DeploymentError
from scripts._artifacts import Build


def code_hash(code: bytes) -> str:
    """keccak256 of runtime code, 0x-hex."""
    return "0x" + keccak(code).hex()


def source_commit() -> str | None:
    """The checkout's commit, with "-dirty" behind it when the contracts differ from it; None outside git."""

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", *words], cwd=project_root(), capture_output=True, text=True, timeout=20
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    if not commit:
        return None
    return commit + ("-dirty" if git("status", "--porcelain", "--", "contracts", "foundry.toml") else "")


@dataclass(frozen=True, slots=True)
class Manifests:
    """The folder `<out>/<chain-id>/`; raises ConfigError, naming the file, when it cannot be used."""

    folder: Path
    chain_id: int

    def prepare(self) -> None:
        """Make sure, before anything is sent, that what is sent can be recorded."""
        probe = self.folder / ".writable"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise ConfigError(
                f"{self.folder} cannot be written to ({error.strerror}): use another --out"
            ) from error

    def read(self, contract: str) -> dict[str, Any] | None:
        """The record of a contract, or None when there is none."""
        path = self.folder / f"{contract}.json"
        try:
            record = json.loads(path.read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path} cannot be read ({error}): repair or remove it") from error
        if not isinstance(record, dict) or not {"address", "chain_id", "code_hash"} <= record.keys():
            raise ConfigError(f"{path} is not a deployment manifest: repair or remove it")
        if record["chain_id"] != self.chain_id:
            raise DeploymentError(
                f"{path} is of chain {record['chain_id']} and the node is of chain {self.chain_id}:"
                " use another --out"
            )
        return record

    def write(self, record: dict[str, Any]) -> None:
        """Store a contract's record."""
        self._replace(f"{record['contract']}.json", record)

    def amend(self, contract: str, **fields: Any) -> None:
        """Change fields of a contract's record; writes only when one differs."""
        record = self.read(contract)
        assert record is not None, contract
        if any(record.get(name) != value for name, value in fields.items()):
            self.write({**record, **fields})

    def amend_role(self, role: str, holder: str) -> None:
        """Record another holder of a role in the AccessManager's manifest."""
        roles = (self.read("AccessManager") or {}).get("roles", {})
        entry = {**roles.get(role, {"delay_s": 0}), "holder": holder}
        self.amend("AccessManager", roles={**roles, role: entry})

    def write_input(self, build: Build) -> str:
        """Store the compiler input that reproduces a contract; returns the file's name."""
        name = f"{build.name}.input.json"
        self._replace(name, build.standard_json)
        return name

    def write_version(self, build: Build, address: str) -> str:
        """Store the compiler input of an implementation beside the one in use; returns the file's name."""
        name = f"{build.name}.{address[2:10].lower()}.input.json"
        self._replace(name, build.standard_json)
        return name

    def keep_input(self, record: dict[str, Any]) -> str:
        """Store the compiler input of a contract that is replaced out of its successor's way; returns the
        file's name."""
        name = f"{record['contract']}.{record['address'][2:10]}.input.json"
        path = self.folder / record["standard_json"]
        try:
            self._replace(name, json.loads(path.read_text()))
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path} cannot be read ({error}): restore it") from error
        return name

    def _replace(self, name: str, value: dict[str, Any]) -> None:
        path = self.folder / name
        draft = path.with_name(f".{name}.draft")
        try:
            with draft.open("w") as file:
                json.dump(value, file, indent=2)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except OSError as error:
            raise ConfigError(f"{path} cannot be written ({error.strerror}): use another --out") from error
