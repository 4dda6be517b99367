"""How a check says yes or no."""

from __future__ import annotations

from engine.domain.opportunity import CheckResult, RefusalReason


def passed(check: str, **numbers: object) -> CheckResult:
    """The check passed; `numbers` are what it compared."""
    return CheckResult(check, True, None, numbers)


def refused(check: str, reason: RefusalReason, **numbers: object) -> CheckResult:
    """The check stopped the opportunity for `reason`; `numbers` are what it compared."""
    return CheckResult(check, False, reason, numbers)


def decide(check: str, reason: RefusalReason, fine: bool, **numbers: object) -> CheckResult:
    """`passed` when `fine`, else `refused` for `reason`."""
    return CheckResult(check, True, None, numbers) if fine else CheckResult(check, False, reason, numbers)
