"""Where compiled kernels are kept between runs.

numba's own cache looks only at the file a kernel is in: it would go on using machine code built from an old
version of an imported module. Here a kernel's folder is named after a digest of its module, of every engine
module that one imports, however far, of the compiler's version and of the processor. So an edit recompiles
what it can reach and nothing else, and checkouts of the same sources share what they compiled. That goes for
compiled functions outside the package, too, in tests and benchmarks: they contain the kernels they call.

A cache that cannot be written is still read: what it holds of the present sources for this processor is
copied when it is asked for. What it does not hold is compiled for the process alone.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import platform
import re
import shutil
import sys
import tempfile
from functools import cache
from importlib.metadata import version
from pathlib import Path

import llvmlite.binding
import numba
from numba.core.caching import UserProvidedCacheLocator

_PACKAGE = Path(__file__).resolve().parents[1]
_IMPORT = re.compile(
    r"^\s*(?:from\s+(engine[\w.]*)\s+import\s+(\([^)]*\)|[^\n#]*)|import\s+(engine[\w.]+))", re.M
)
_BESIDE = re.compile(r"^(?:from|import)\s+(\w+)", re.M)
_LOCATOR = "engine.amm.kernel_cache.KernelLocator"
# Names the cache to read from where another one is written; inherited by processes that help.
_STOCK = "ROUNDTRIP_KERNEL_STOCK"


def imported_sources(path: Path, package: Path = _PACKAGE) -> set[Path]:
    """The engine's source files that the one at `path` names in its import statements; of a file outside the
    package, also the modules beside it."""
    text = path.read_text()
    found: set[Path] = set()
    if not path.is_relative_to(package):
        beside = (path.with_name(f"{module}.py") for module in _BESIDE.findall(text))
        found.update(candidate for candidate in beside if candidate.is_file())
    for module, names, plain in _IMPORT.findall(text):
        base = package.joinpath(*(module or plain).split(".")[1:])
        members = re.findall(r"\w+", re.sub(r"\bas\s+\w+", "", names))
        candidates = [base.with_suffix(".py"), base / "__init__.py", *(base / f"{m}.py" for m in members)]
        found.update(candidate for candidate in candidates if candidate.is_file())
    return found


def module_digest(path: Path, package: Path = _PACKAGE) -> str:
    """Sixteen hex digits over the source at `path`, all engine sources it depends on, the compiler, the
    interpreter and the processor."""
    reached, waiting = {path}, [path]
    while waiting:
        for source in imported_sources(waiting.pop(), package) - reached:
            reached.add(source)
            waiting.append(source)
    digest = hashlib.sha256(_machine_facts())
    for source in sorted(reached):
        name = source.relative_to(package) if source.is_relative_to(package) else source.name
        digest.update(str(name).encode() + b"\0" + source.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


@cache
def _machine_facts() -> bytes:
    host = llvmlite.binding.get_host_cpu_name(), llvmlite.binding.get_host_cpu_features().flatten()
    versions = version("numba"), version("llvmlite"), version("numpy"), sys.version
    return "\0".join((*versions, platform.machine(), *host)).encode()


@cache
def _folder_name(path: Path) -> str:
    inside = path.is_relative_to(_PACKAGE)
    parts = path.relative_to(_PACKAGE).parts if inside else path.parts[-2:]
    return f"{'.'.join(parts).removesuffix('.py')}-{module_digest(path)}"


class KernelLocator(UserProvidedCacheLocator):
    """Tells numba where a kernel is kept, or a function that calls one; all others are left to numba."""

    def __init__(self, py_func, py_file: str):
        super().__init__(py_func, py_file)
        self._folder = _folder_name(Path(py_file).resolve())
        self._cache_path = os.path.join(numba.config.CACHE_DIR, self._folder)
        _take_from_stock(self._folder, Path(self._cache_path))

    def get_source_stamp(self) -> str:
        return self._folder

    @classmethod
    def from_function(cls, py_func, py_file: str):
        path = Path(py_file).resolve()
        if not numba.config.CACHE_DIR or not path.is_file():
            return None
        if not path.is_relative_to(_PACKAGE) and not imported_sources(path):
            return None
        return super().from_function(py_func, py_file)


def use_kernel_cache(base_dir: str | Path | None = None) -> Path:
    """Make numba keep compiled kernels under `base_dir`; call it before importing any kernel module.

    `base_dir` defaults to `$XDG_CACHE_HOME/roundtrip` (`~/.cache/roundtrip`). Where it cannot be written, a
    private temporary folder serves this process alone, taking from there what it can, and is removed when it
    ends. Returns the folder used.
    """
    if base_dir is None:
        home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        base_dir = Path(home) / "roundtrip"
    folder = Path(base_dir) / "kernels"
    os.environ.pop(_STOCK, None)
    if not _writable(folder):
        if folder.is_dir():
            os.environ[_STOCK] = str(folder)
        folder = Path(tempfile.mkdtemp(prefix="roundtrip-kernels-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    os.environ["NUMBA_CACHE_LOCATOR_CLASSES"] = f"{_LOCATOR},UserProvidedCacheLocator"
    numba.config.reload_config()
    return folder


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _take_from_stock(name: str, target: Path) -> None:
    """Copy a folder of the read-only cache, all at once: others may be reading the same place."""
    stock = os.environ.get(_STOCK)
    if not stock or target.exists() or not (Path(stock) / name).is_dir():
        return
    fresh = Path(tempfile.mkdtemp(dir=target.parent))
    try:
        shutil.copytree(Path(stock) / name, fresh / name, copy_function=shutil.copyfile)
        (fresh / name).replace(target)
    except OSError:
        # Somebody else was quicker, or it cannot be read: then it is compiled.
        pass
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def is_complete(source: Path) -> bool:
    """Whether `note_complete` was called for this module's present kernels; True where nothing is kept."""
    if not numba.config.CACHE_DIR:
        return True
    name = _complete(source)
    stock = os.environ.get(_STOCK)
    return any((Path(place) / name).exists() for place in (numba.config.CACHE_DIR, stock) if place)


def note_complete(source: Path) -> None:
    """Say that all kernels the module at `source` is about are in the cache."""
    if numba.config.CACHE_DIR:
        (Path(numba.config.CACHE_DIR) / _complete(source)).touch()


def _complete(source: Path) -> str:
    return f"{_folder_name(source.resolve())}.complete"
