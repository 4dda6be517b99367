"""A live run in which something nobody expected is raised, with everything at hand, while a trade is sent."""

from __future__ import annotations

import sys

from engine.amm.kernel_cache import use_kernel_cache

use_kernel_cache()

from engine.app import sender  # noqa: E402
from engine.app.cli import run_cli  # noqa: E402
from engine.execution.submitter import Submitter  # noqa: E402


class BreakingSubmitter(Submitter):
    """The real one, until its second trade is to be signed."""

    def __init__(self, *arguments: object, **options: object):
        left = 2

        def at(point: str) -> None:
            nonlocal left
            left -= point == "sent"
            if left == 0:
                raise RuntimeError(f"unexpected at {point}: {self!r} {self._signer!r} {vars(self)}")

        super().__init__(*arguments, **options, at=at)  # type: ignore[arg-type]


sender.Submitter = BreakingSubmitter  # type: ignore[misc]
sys.exit(run_cli(sys.argv[1:]))
