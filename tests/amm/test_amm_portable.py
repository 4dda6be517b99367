"""Kernels need no particular processor: their code is translated for aarch64 and for a plain x86-64."""

from __future__ import annotations

import re

import llvmlite.binding as llvm
import numpy as np
import pytest
from numba import njit

from engine.amm.layout import allocate
from engine.amm.tick_table import table_quotes_nb
from engine.amm.tick_window import new_tick_tables
from engine.amm.wide_division import divide_512_nb

# What compilers call when a processor lacks an operation; numba's linker has none of them.
_RUNTIME = re.compile(r"\b__(?:u?divmod|u?div|u?mod|mul|ash[lr]|lshr)[dt]i\d\b|\b__(?:fix|float)\w*ti\w*\b")
TARGETS = {
    "aarch64": ("aarch64-unknown-linux-gnu", "generic"),
    "x86-64": ("x86_64-unknown-linux-gnu", "x86-64"),
}


@pytest.fixture(scope="module")
def code() -> str:
    """LLVM's own language for a batch of V3 quotes and everything beneath it."""
    batch = njit(nogil=True, error_model="numpy", _nrt=False)(table_quotes_nb.py_func)
    rows, flags = np.zeros(0, np.int32), np.zeros(0, bool)
    limbs = np.zeros((0, 4), np.uint64)
    batch(new_tick_tables(1, 1), allocate(1, 1), rows, flags, flags, limbs, np.zeros(0, np.int64), limbs)
    return next(iter(batch.inspect_llvm().values()))


def translated(code: str, triple: str, cpu: str) -> str:
    """The machine's assembly."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    code = re.sub(r"^target (?:datalayout|triple) = .*$", "", code, flags=re.M)
    code = re.sub(r'"(?:target-cpu|target-features|tune-cpu)"="[^"]*"', "", code)
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu=cpu, opt=2)
    module = llvm.parse_assembly(code)
    module.triple, module.data_layout = triple, str(machine.target_data)
    return machine.emit_assembly(module)


def test_no_instruction_is_written_by_hand(code: str):
    assert divide_512_nb.py_func.__name__ in code
    assert not re.search(r"\basm (?:sideeffect|alignstack|inteldialect|\")", code)


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_is_left_to_a_runtime_library(code: str, name: str):
    assembly = translated(code, *TARGETS[name])
    assert len(assembly) > 100_000
    assert _RUNTIME.findall(assembly) == []


def test_the_check_would_see_a_call_to_the_runtime_library():
    code = "define i128 @f(i128 %a, i128 %b) {\n  %q = udiv i128 %a, %b\n  ret i128 %q\n}\n"
    assert _RUNTIME.findall(translated(code, *TARGETS["aarch64"])) == ["__udivti3"]
