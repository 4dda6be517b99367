"""One pure function per check: `(opportunity, view, limits) -> CheckResult`."""
