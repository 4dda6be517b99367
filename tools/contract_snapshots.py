"""Storage layout, size and gas of the contracts, compared with what git has.

    python tools/contract_snapshots.py [--write]

`contracts/snapshots/layout.json`: the fields of each ERC-7201 namespace of the upgradeable contracts, in
order, and plain storage, of which there must be none. `size.json`: bytes of runtime code in `out/`, which
must be built. (`gas.json` beside them is checked by `RegistryGas.t.sol` and `RouterGas.t.sol` in
`contracts/test`.) Without --write, differences are printed and the exit code is 1.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "contracts" / "snapshots"
UPGRADEABLE = ("DexRegistry", "PriceFeedRegistry")
SIZED = (
    "ArbitrageRouter",
    "ArbitrageRouterWithStop",
    *UPGRADEABLE,
    "ChainlinkSource",
    "CrossSource",
    "InverseSource",
    "SequencerSource",
    "TwapSource",
    "VaultRateSource",
)
_LARGEST = 24_576  # EIP-170


def artifact(name: str) -> dict:
    """A contract as forge built it."""
    return json.loads((ROOT / "out" / f"{name}.sol" / f"{name}.json").read_text())


def sizes() -> dict[str, int]:
    """Bytes of runtime code; raises SystemExit for a contract that no chain would take."""
    found = {name: len(artifact(name)["deployedBytecode"]["object"]) // 2 - 1 for name in SIZED}
    for name, size in found.items():
        if size > _LARGEST:
            raise SystemExit(f"{name} has {size} bytes of code, more than the {_LARGEST} a chain takes")
    return found


def layouts() -> dict[str, dict]:
    """Namespaced storage of the upgradeable contracts, from the sources' syntax trees."""
    return {name: {"namespaces": _namespaces(name), "plain": _plain(name)} for name in UPGRADEABLE}


def _namespaces(name: str) -> dict[str, list[str]]:
    """Fields of each struct with a storage-location, "type name" in order, nested structs by name."""
    source = (ROOT / "contracts" / "src" / f"{name}.sol").read_text()
    interface = (ROOT / "contracts" / "src" / "interfaces" / f"I{name}.sol").read_text()
    found = {}
    for chunk in source.split("@custom:storage-location erc7201:")[1:]:
        found[chunk.split()[0]] = _fields(chunk)
    for chunk in interface.split("    struct ")[1:]:
        found[f"struct {chunk.split()[0]}"] = _fields(chunk)
    return found


def _fields(text: str) -> list[str]:
    body = text[text.index("{") + 1 :]
    body = body[: body.index("\n    }")]
    lines = [line.split("//")[0].strip() for line in body.splitlines()]
    return [line.rstrip(";") for line in lines if line.endswith(";")]


def _plain(name: str) -> list[str]:
    """State variables outside namespaces in the sources of the contract: there must be none."""
    source = (ROOT / "contracts" / "src" / f"{name}.sol").read_text()
    body = source[source.index(f"contract {name} ") :]
    depth, found = 0, []
    for line in body.splitlines():
        text = line.split("//")[0].strip()
        declares = depth == 1 and text.endswith(";") and "constant" not in text
        if declares and not text.startswith(("using", "event", "error")):
            found.append(text)
        depth += text.count("{") - text.count("}")
    return found


def compare(name: str, found: object, write: bool) -> bool:
    """Whether a snapshot agrees, or is written."""
    path = FOLDER / f"{name}.json"
    text = json.dumps(found, indent=2) + "\n"
    if write:
        path.write_text(text)
        return True
    if path.is_file() and path.read_text() == text:
        return True
    print(
        f"{path.relative_to(ROOT)} is not what was built: look at the change, then run {sys.argv[0]} --write"
    )
    old = json.loads(path.read_text()) if path.is_file() else {}
    for key, value in dict(found).items():  # type: ignore[call-overload]
        if old.get(key) != value:
            print(f"  {key}: {json.dumps(old.get(key))} -> {json.dumps(value)}")
    return False


def main() -> int:
    """Compare, or write; the exit code."""
    write = "--write" in sys.argv[1:]
    FOLDER.mkdir(exist_ok=True)
    return 0 if all([compare("layout", layouts(), write), compare("size", sizes(), write)]) else 1


if __name__ == "__main__":
    raise SystemExit(main())
