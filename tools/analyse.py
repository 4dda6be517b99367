"""Static and symbolic analysis of the contracts: slither's findings against those explained, halmos's proofs.

The tools live in an environment of their own, `.build/analyse/`, made from `tools/analyse.lock`. A finding
without an explanation in `tools/slither.json`, or an explanation without its finding, is a failure. Standard
library only.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / ".build" / "analyse"
LOCK = ROOT / "tools" / "analyse.lock"
EXPLAINED = ROOT / "tools" / "slither.json"
OUT = ROOT / ".build" / "slither"
# Detectors of style, and those that any assembly sets off.
SKIPPED = ("--exclude-informational", "--exclude-optimization")


def install() -> None:
    """Make the environment unless it is there and of this lock file."""
    stamp, wanted = HOME / "lock.sha256", hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "venv", "-q", "--clear", "--python", sys.executable, HOME], check=True)
    python = HOME / "bin" / "python"
    pip = [uv, "pip", "install", "-q", "--python", python, "--require-hashes", "-r", LOCK]
    subprocess.run(pip, check=True)
    stamp.write_text(wanted)


def environment(forge: Path) -> dict[str, str]:
    return os.environ | {"PATH": os.pathsep.join([str(forge.parent), os.environ.get("PATH", "")])}


def name(finding: dict) -> str:
    """The detector and what it points at first: `check: Contract.function`."""
    element = finding["elements"][0]
    names = [element["name"]]
    parent = element.get("type_specific_fields", {}).get("parent")
    while parent:
        names.append(parent["name"])
        parent = parent.get("type_specific_fields", {}).get("parent")
    return f"{finding['check']}: {'.'.join(reversed(names))}"


def slither(forge: Path) -> list[str]:
    """What is wrong: findings that nobody explained, and explanations of nothing."""
    build = [
        forge,
        "build",
        "--build-info",
        "--out",
        OUT / "out",
        "--cache-path",
        OUT / "cache",
        "contracts/src",
    ]
    subprocess.run(build, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    report = OUT / "report.json"
    report.unlink(missing_ok=True)
    command = [HOME / "bin" / "slither", ".", "--ignore-compile", "--foundry-out-directory", OUT / "out"]
    # The probe is never deployed.
    passed_over = "node_modules|contracts/test|contracts/world|contracts/src/probe"
    command += [*SKIPPED, "--filter-paths", passed_over, "--json", report]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(forge), capture_output=True, text=True, check=False
    )
    if not report.is_file():
        return [f"slither did not finish: {done.stderr[-2000:]}"]
    found = {name(each) for each in json.loads(report.read_text())["results"].get("detectors", [])}
    explained = json.loads(EXPLAINED.read_text())
    wrong = [f"slither, unexplained: {each}" for each in sorted(found - explained.keys())]
    wrong += [
        f"tools/slither.json explains what slither does not find: {each}"
        for each in sorted(explained.keys() - found)
    ]
    print(f"slither: {len(found)} findings, {len(found & explained.keys())} of them explained")
    return wrong


def halmos(forge: Path) -> list[str]:
    """Prove contracts/proof."""
    command = [
        HOME / "bin" / "halmos",
        "--forge-build-out",
        ".build/proof/out",
        "--solver-timeout-assertion",
        "900000",
    ]
    # A busy machine must not make a branch undecided, nor a loop of three look endless.
    command += ["--contract", "ArbitrageRouterProof", "--loop", "8", "--solver-timeout-branching", "2000"]
    settings = environment(forge) | {"FOUNDRY_PROFILE": "proof"}
    done = subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if "check_" in line or "Symbolic test result" in line]
    print("\n".join(lines))
    return [] if done.returncode == 0 else [f"halmos: {(done.stdout + done.stderr)[-3000:]}"]


def main() -> int:
    sys.path.insert(0, str(ROOT))
    from engine.app.toolchain import foundry_tool

    began = time.monotonic()
    install()
    forge = foundry_tool("forge")
    wrong = slither(forge) + halmos(forge)
    print(*wrong, sep="\n")
    print(f"analysed in {time.monotonic() - began:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
