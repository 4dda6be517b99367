"""Where compiled kernels are kept between runs.

numba's own cache looks only at the file a kernel is in: it would go on using machine code built from an old
version of an imported module. Here the folder's name is a digest of every kernel source, the compiler's
version and the processor, so any change means a new folder.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import platform
import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import llvmlite.binding
import numba

_KERNEL_ROOMS = ("amm", "market", "search")


def source_digest() -> str:
    """Sixteen hex digits over the kernels' sources, the compiler, the interpreter and the processor."""
    digest = hashlib.sha256()
    engine = Path(__file__).resolve().parents[1]
    for room in _KERNEL_ROOMS:
        for path in sorted((engine / room).rglob("*.py")):
            digest.update(str(path.relative_to(engine)).encode() + b"\0")
            digest.update(path.read_bytes() + b"\0")
    host = llvmlite.binding.get_host_cpu_name(), llvmlite.binding.get_host_cpu_features().flatten()
    versions = version("numba"), version("llvmlite"), version("numpy"), sys.version
    for text in (*versions, platform.machine(), *host):
        digest.update(text.encode() + b"\0")
    return digest.hexdigest()[:16]


def use_kernel_cache(base_dir: str | Path | None = None) -> Path:
    """Make numba keep compiled kernels under `base_dir`; call it before importing any kernel module.

    `base_dir` defaults to `$XDG_CACHE_HOME/roundtrip` (`~/.cache/roundtrip`). Where it cannot be written, a
    private temporary folder serves this process alone and is removed when it ends. Returns the folder used.
    """
    if base_dir is None:
        home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        base_dir = Path(home) / "roundtrip"
    folder = Path(base_dir) / f"kernels-{source_digest()}"
    if not _writable(folder):
        folder = Path(tempfile.mkdtemp(prefix="roundtrip-kernels-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    numba.config.reload_config()
    return folder


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
