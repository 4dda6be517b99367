"""The slow twins the tests compare the kernels with; here they are contenders."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

_TESTS = Path(__file__).resolve().parents[1] / "tests"


def twin(room: str, name: str) -> ModuleType:
    """A module of `tests/<room>/` that tests import by its bare name."""
    folder = str(_TESTS / room)
    if folder not in sys.path:
        sys.path.append(folder)
    return import_module(name)
