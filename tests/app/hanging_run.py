"""A run of which one part does not want to end."""

from __future__ import annotations

import asyncio
import sys

from engine.amm.kernel_cache import use_kernel_cache

use_kernel_cache()

from engine.app.cli import run_cli  # noqa: E402
from engine.app.tripwire import Tripwire  # noqa: E402


async def never(self: Tripwire) -> None:
    """Closing that waits for what does not come."""
    await asyncio.Event().wait()


Tripwire.close = never  # type: ignore[method-assign]
sys.exit(run_cli(sys.argv[1:]))
