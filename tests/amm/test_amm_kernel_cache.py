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


def test_a_place_that_cannot_be_written_is_replaced_by_a_temporary_one(tmp_path: Path):
    blocked = tmp_path / "a file, not a folder"
    blocked.write_text("")
    folder, tick = run(blocked)
    assert tick == 0
    assert blocked not in folder.parents
    assert not folder.exists()


LOADS = """
import sys
from pathlib import Path
import llvmlite.binding
from engine.amm import kernel_cache
if "another processor" in sys.argv:
    llvmlite.binding.get_host_cpu_name = lambda: "another processor"
if "read-only" in sys.argv:
    # As root may write anywhere, permissions alone would not do.
    kernel_cache._writable = lambda folder: False
print(kernel_cache.use_kernel_cache(sys.argv[1]))
from engine.amm import tick_math
print(tick_math.tick_at_sqrt_ratio(1 << 96))
kernels = [k for k in vars(tick_math).values() if hasattr(k, "stats") and k.stats.cache_path and k.signatures]
print(sum(sum(k.stats.cache_hits.values()) for k in kernels))
print(sum(sum(k.stats.cache_misses.values()) for k in kernels))
source = Path(tick_math.__file__)
print(int(kernel_cache.is_complete(source)))
kernel_cache.note_complete(source)
"""


def loads(base: Path, *arguments: str) -> tuple[Path, bool, bool, bool]:
    """(folder written to, whether kernels came from a cache, whether some were compiled, whether all were
    said to be there)."""
    output = subprocess.run(
        [sys.executable, "-c", LOADS, str(base), *arguments],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).resolve().parents[2],
        timeout=300,
    ).stdout.split()
    assert output[1] == "0"
    return Path(output[0]), output[2] != "0", output[3] != "0", output[4] == "1"


def contents(folder: Path) -> dict[Path, tuple[int, bytes]]:
    return {
        path.relative_to(folder): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_kernels_are_used_again_also_read_only_but_not_by_another_processor(tmp_path: Path) -> None:
    folder = tmp_path / "kernels"
    assert loads(tmp_path) == (folder, False, True, False)
    digest = module_digest(Path(engine.amm.tick_math.__file__))
    assert list((folder / f"amm.tick_math-{digest}").glob("*.nbc"))
    assert loads(tmp_path) == (folder, True, False, True)
    made = contents(folder)
    used, *answers = loads(tmp_path, "read-only")
    assert answers == [True, False, True]
    assert used != folder
    assert not used.exists()
    used, *answers = loads(tmp_path, "read-only", "another processor")
    assert answers == [False, True, False]
    assert used != folder
    assert contents(folder) == made
    # Where it may write, the other processor's kernels come to stand beside the first one's.
    assert loads(tmp_path, "another processor") == (folder, False, True, False)
    assert loads(tmp_path, "another processor") == (folder, True, False, True)
    assert {path: held for path, held in contents(folder).items() if path in made} == made


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
