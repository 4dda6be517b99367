"""The kernel cache's folders, in fresh interpreters."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import engine.amm.tick_math
from engine.amm.kernel_cache import imported_sources, module_digest

SCRIPT = """
import sys
from engine.amm.kernel_cache import use_kernel_cache
print(use_kernel_cache(sys.argv[1]))
from engine.amm.tick_math import tick_at_sqrt_ratio
print(tick_at_sqrt_ratio(1 << 96))
"""


def run(base: Path, **environment: str) -> tuple[Path, int]:
    output = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(base)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).resolve().parents[2],
        env={**os.environ, **environment},
        timeout=300,
    ).stdout.split()
    return Path(output[0]), int(output[1])


def test_kernels_are_kept_under_their_modules_digest_and_used_again(tmp_path: Path):
    folder, tick = run(tmp_path)
    assert folder == tmp_path / "kernels"
    assert tick == 0
    digest = module_digest(Path(engine.amm.tick_math.__file__))
    compiled = {path: path.stat().st_mtime_ns for path in folder.rglob("*.nbc")}
    assert (folder / f"amm.tick_math-{digest}") in {path.parent for path in compiled}
    assert run(tmp_path) == (folder, 0)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.nbc")} == compiled


def test_a_place_that_cannot_be_written_is_replaced_by_a_temporary_one(tmp_path: Path):
    blocked = tmp_path / "a file, not a folder"
    blocked.write_text("")
    folder, tick = run(blocked)
    assert tick == 0
    assert blocked not in folder.parents
    assert not folder.exists()


def test_an_edit_changes_the_digest_of_what_depends_on_it_and_of_nothing_else(tmp_path: Path):
    sources = {
        "amm/wide.py": "x = 1\n",
        "amm/curve.py": "from engine.amm import (\n    wide as digits,\n)\n",
        "search/size.py": "import numpy\nimport engine.amm.curve\n",
        "market/rows.py": "from engine.amm.other import y\n",
        "amm/other.py": "y = 2\n",
    }
    for name, text in sources.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    paths = {name: tmp_path / name for name in sources}
    before = {name: module_digest(path, tmp_path) for name, path in paths.items()}
    paths["amm/wide.py"].write_text("x = 3\n")
    after = {name: module_digest(path, tmp_path) for name, path in paths.items()}
    changed = {name for name in sources if before[name] != after[name]}
    assert changed == {"amm/wide.py", "amm/curve.py", "search/size.py"}


CALLER = """
import numpy as np
from numba import njit
from engine.amm.wide import limb0, to_u256
{also}

@njit(cache=True)
def same(value):
    return limb0(to_u256(value)) {more}
"""

CALL = """
import sys
from engine.amm.kernel_cache import use_kernel_cache
use_kernel_cache(sys.argv[1])
sys.path.insert(0, sys.argv[2])
import numpy as np
import caller
print(caller.same(np.uint64(7)), sum(caller.same.stats.cache_hits.values()))
"""


def test_a_compiled_caller_outside_the_package_is_keyed_by_what_it_calls(tmp_path: Path):
    """Its machine code contains the kernel's: an edit of what it imports must reach it."""

    def call() -> list[str]:
        command = [sys.executable, "-c", CALL, str(tmp_path / "base"), str(tmp_path)]
        root = Path(__file__).resolve().parents[2]
        output = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root, timeout=300)
        return output.stdout.split()

    (tmp_path / "beside.py").write_text("from numba import njit\n\n@njit\ndef one():\n    return 1\n")
    (tmp_path / "caller.py").write_text(CALLER.format(also="from beside import one", more="+ one()"))
    first = call()
    assert first[1] == "0"
    assert call() == [first[0], "1"]
    (tmp_path / "beside.py").write_text("from numba import njit\n\n@njit\ndef one():\n    return 2\n")
    assert call() == [str(int(first[0]) + 1), "0"]
    caller = tmp_path / "caller.py"
    wide = Path(engine.amm.tick_math.__file__).with_name("wide.py")
    assert imported_sources(caller) == {wide, tmp_path / "beside.py"}


def test_every_way_of_importing_is_seen():
    source = Path(engine.amm.tick_math.__file__)
    names = {path.name for path in imported_sources(source)}
    assert {"layout.py", "wide.py"} <= names
