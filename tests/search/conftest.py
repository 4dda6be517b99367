"""Kernels are cached by source digest; the plain-integer twins live with the kernels' own tests."""

import sys
from pathlib import Path

from engine.amm.kernel_cache import use_kernel_cache

use_kernel_cache()
sys.path.append(str(Path(__file__).resolve().parents[1] / "amm"))
