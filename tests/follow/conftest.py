"""The kernel cache, and the neighbours whose worlds, nodes and proxies are used here."""

import sys
from pathlib import Path

from engine.amm.kernel_cache import use_kernel_cache

use_kernel_cache()
for _folder in ("chain", "exactness"):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / _folder))
