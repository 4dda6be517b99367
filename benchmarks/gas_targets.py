"""What the gas of each kind of cycle has to keep to, and whether it does.

Over the floor of unavoidable gas: 4 % for pools of V2's and V3's kind, 6 % with V4 or venues that lock or
pull. Beside UniversalRouter 2.1 hop by hop, the form of its published figures, run live from the same state:
a fifth less. Beside the best public executor, whose bytecode no registry has: 2 % less than its published
figures, each over the floor of its own pools.

The leanest form of UniversalRouter stands beside for information, without a target. All cycles but one are a
fifth below that too; V2-V2-V2 is at 0.809, for three pairs of one factory are a single command in which pairs
pay each other, and the floor alone, without any check or calldata of ours, is 0.784 of that. To reach 0.80,
3,500 gas would have to do for all we add: two readings of a balance (1,460), one commitment (480) and three
addresses (960) leave 600, which the four exact amounts take before any instruction of ours.
"""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.gas_universal import NAME as UNIVERSAL
from benchmarks.measure import Result

EXECUTOR = "degenbot cmd_executor"
# (floor, gas) of degenbot's cmd_executor as published for the same kinds of cycle over the same bytecode; the
# floor is the publisher's, since tokens and states were not ours.
PUBLISHED: dict[str, tuple[int, int]] = {
    "V4-V4": (100_300, 113_339),
    "V2-V2": (127_514, 136_503),
    "V2-V3": (137_126, 146_177),
    "V3-V2": (137_342, 148_048),
    "V3-V3": (146_939, 157_701),
    "V2-V2-V2": (176_535, 187_617),
    "V3-V3-V3": (206_958, 219_741),
    "V3-V2-V3": (195_955, 208_697),
    "V2-V3-V2": (187_531, 198_663),
    "V3-V3-V2-V3": (253_450, 268_220),
}
FLOOR = "floor"
FLASH_PAIRS = {"V2", "V3", "Solidly"}
OVER_FLOOR = {True: 1.04, False: 1.06}
OVER_UNIVERSAL = 0.80
OVER_EXECUTOR = 0.98
# The forms in which UniversalRouter can be told a cycle.
LEANEST, HOP_BY_HOP = f"{UNIVERSAL}, leanest", f"{UNIVERSAL}, hop by hop"


def compare(rows: list[dict[str, Any]], universal: dict[str, dict[str, int]]) -> Result:
    """The rows beside their targets. `universal` is UniversalRouter's gas by path and form, where it has the
    cycle."""
    peers: dict[str, Any] = {}
    ratio: dict[str, Any] = {}
    for row in rows:
        path = row["path"]
        own = row["gas"] / row["floor"]
        targets: dict[str, tuple[float, float | None]] = {
            FLOOR: (own, OVER_FLOOR[set(path.split("-")) <= FLASH_PAIRS])
        }
        for form, gas in universal.get(path, {}).items():
            peers.setdefault(path, {})[form] = {"source": "measured", "gas": gas}
            targets[form] = (row["gas"] / gas, OVER_UNIVERSAL if form == HOP_BY_HOP else None)
        if path in PUBLISHED:
            floor, gas = PUBLISHED[path]
            peers.setdefault(path, {})[EXECUTOR] = {"source": "published", "gas": gas, "floor": floor}
            targets[EXECUTOR] = (own / (gas / floor), OVER_EXECUTOR)
        ratio[path] = {name: _held(*one) for name, one in targets.items()}
    work = "one landed cycle of one whole base token, on warm pools, at one timestamp"
    return Result("gas", work, "gas", rows, peers, ratio, timed=False)


def _held(value: float, target: float | None) -> dict[str, Any]:
    """What has no target neither passes nor fails."""
    held = {"ratio": round(value, 4)}
    return held if target is None else held | {"target": target, "passed": value <= target}


def missed(result: Result) -> list[tuple[str, str]]:
    """Cycle and what it was compared with, for every target that is not met."""
    return [
        (path, name)
        for path, targets in result.ratio.items()
        for name, one in targets.items()
        if not one.get("passed", True)
    ]


def cells(result: dict[str, Any], path: str) -> list[str]:
    """One row: UniversalRouter's gas in both forms, the ratios with their targets, whether all are met."""
    ratio, peers = result["ratio"][path], result["peers"].get(path, {})
    gas = [f"{peers[form]['gas']:,}" if form in peers else "" for form in (LEANEST, HOP_BY_HOP)]
    shown = [ratio.get(name) for name in (FLOOR, LEANEST, HOP_BY_HOP, EXECUTOR)]
    passed = "pass" if all(one.get("passed", True) for one in ratio.values()) else "FAIL"
    return [*gas, *map(_shown, shown), passed]


def _shown(one: dict[str, Any] | None) -> str:
    if one is None:
        return ""
    return f"{one['ratio']:.3f}" + (f" ≤ {one['target']:.2f}" if "target" in one else "")


def show(result: Result) -> None:
    """Print rows, peers, ratios with their targets, and what was missed."""
    table = Table(title=f"gas: {result.work}", title_justify="left")
    columns = ("path", "gas", "floor", "bytes", "UR leanest", "UR by hop")
    columns += ("over floor", "over UR leanest", "over UR by hop", "over executor*", "")
    for column in columns:
        table.add_column(column, justify="left" if column == "path" else "right")
    document = result.document()
    for row in result.ours:
        numbers = [f"{row[key]:,}" for key in ("gas", "floor", "calldata_bytes")]
        table.add_row(row["path"], *numbers, *cells(document, row["path"]))
    console = Console(width=150)
    console.print(table)
    console.print(f"UR: {UNIVERSAL}, run live. * {EXECUTOR}: published, each over its publisher's floor.")
    for path, name in missed(result):
        console.print(f"target missed: {path} beside {name}")
