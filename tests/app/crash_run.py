"""A live run that kills itself, with no chance to tidy up, when sending passes a point for the nth time."""

from __future__ import annotations

import os
import signal
import sys

from engine.amm.kernel_cache import use_kernel_cache

use_kernel_cache()

from engine.app import sender  # noqa: E402
from engine.app.cli import run_cli  # noqa: E402
from engine.execution.submitter import Submitter  # noqa: E402


class DyingSubmitter(Submitter):
    """The real one, told where to die."""

    def __init__(self, *arguments: object, **options: object):
        left = int(sys.argv[2])

        def at(point: str) -> None:
            nonlocal left
            left -= point == sys.argv[1]
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        super().__init__(*arguments, **options, at=at)  # type: ignore[arg-type]


sender.Submitter = DyingSubmitter  # type: ignore[misc]
sys.exit(run_cli(sys.argv[3:]))
