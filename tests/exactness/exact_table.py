"""Write what the campaigns have counted into `docs/exactness.md`: `make exactness`.

Shown are the campaigns of the first seed, 1; the numbers come from `.build/campaign/`. A digest names the
kernels each was made with; those that have changed since are told on the terminal.
"""

from __future__ import annotations

import json
from typing import Any

from exact_campaign import kernels_digest, progress_folder
from exact_families import FAMILIES

from engine.app.toolchain import project_root

_BEGIN = "<!-- campaigns: written by make exactness -->\n"
_END = "<!-- end of campaigns -->\n"


def rows() -> list[str]:
    head = "family", "bytecode", "swaps", "of which refused", "minutes", "seeds", "kernels", "differences"
    lines = [_row(*head), _row("---", "---", "--:", "--:", "--:", "---", "---", "--:")]
    for family in FAMILIES:
        path = progress_folder() / f"{family.name}.json"
        if path.is_file():
            known = json.loads(path.read_text())
            lines.append(_of(family.title, family.bytecode, known))
            if known["kernels"] != kernels_digest(family):
                print(f"{family.name}: its kernels have changed since, run make fuzz")
    return lines


def _of(title: str, bytecode: str, known: dict[str, Any]) -> str:
    counts = known["counts"]
    refused = counts.get("refused", counts.get("reverts", 0)) + counts.get("overflow", 0)
    swaps = f"{counts['swaps']:,}"
    if counts["swaps"] < known["target"]:
        swaps += f" of {known['target']:,}"
    seeds = f"{known['seed']}–{known['seed'] + known['rounds'] - 1}"
    minutes = f"{known['seconds'] / 60:.1f}"
    return _row(
        title, bytecode, swaps, f"{refused:,}", minutes, seeds, known["kernels"][:8], len(known["failed"])
    )


def _row(*cells: object) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def main() -> None:
    document = project_root() / "docs" / "exactness.md"
    text = document.read_text()
    before, after = text.split(_BEGIN)[0], text.split(_END)[1]
    table = "\n".join(rows()) + "\n"
    document.write_text(before + _BEGIN + table + _END + after)
    print(table, end="")


if __name__ == "__main__":
    main()
