"""Kernels need no particular processor: every family's is translated for aarch64 and for a plain x86-64."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest

from engine.amm import layout
from engine.amm.families.table import _FAMILIES
from engine.amm.layout import allocate
from engine.amm.quote import quotes_nb
from engine.amm.tick_table import table_quotes_nb
from engine.amm.tick_window import new_tick_tables
from engine.amm.wide_division import divide_512_nb

# What compilers call when a processor lacks an operation; numba's linker has none of them.
_RUNTIME = re.compile(r"\b__(?:u?divmod|u?div|u?mod|mul|ash[lr]|lshr)[dt]i\d\b|\b__(?:fix|float)\w*ti\w*\b")
# numba's count of references, which it makes anew for each processor.
_COUNT = re.compile(r"^define (?:linkonce_odr )?([^@\n]*@NRT_\w+\([^\n]*\)) [^\n]*\{\n.*?^}$", re.M | re.S)
_BY_HAND = re.compile(r"\basm (?:sideeffect|alignstack|inteldialect|\")")
TARGETS = {
    "aarch64": ("aarch64-unknown-linux-gnu", "generic"),
    "x86-64": ("x86_64-unknown-linux-gnu", "x86-64"),
}
BATCHES = {"batch": 300_000, "batch by tick tables": 250_000}
FAMILIES = {f"{module}.{name}": (module, name) for module, *names in _FAMILIES.values() for name in names}


def _batch(name: str) -> Any:
    """The compiled batch of quotes, V2's and V3's beneath it."""
    rows, flags = np.zeros(0, np.int32), np.zeros(0, bool)
    limbs = np.zeros((0, 4), np.uint64)
    arguments = allocate(1, 1), rows, flags, flags, limbs, np.zeros(0, np.int64), limbs
    if name == "batch":
        quotes_nb(*arguments)
        return next(iter(quotes_nb.overloads.values())).library
    table_quotes_nb(new_tick_tables(1, 1), *arguments)
    return next(iter(table_quotes_nb.overloads.values())).library


def code_of(name: str) -> str:
    """A kernel and everything beneath it in LLVM's own language, kept beside the machine code."""
    if name in FAMILIES:
        module, function = FAMILIES[name]
        family = getattr(import_module(f"engine.amm.families.{module}"), function)
        assert family.address
        library = family._compiled._library
    else:
        library = _batch(name)
    return str(library._get_module_for_linking())


def translated(code: str, triple: str, cpu: str) -> str:
    """The machine's assembly."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    code = _COUNT.sub(r"declare \1", code)
    code = re.sub(r"^target (?:datalayout|triple) = .*$", "", code, flags=re.M)
    code = re.sub(r'"(?:target-cpu|target-features|tune-cpu)"="[^"]*"', "", code)
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu=cpu, opt=2)
    module = llvm.parse_assembly(code)
    module.triple, module.data_layout = triple, str(machine.target_data)
    return machine.emit_assembly(module)


def test_every_kind_is_in_a_batch_or_a_family():
    kinds = {value for name, value in vars(layout).items() if name.startswith("KIND_")}
    assert kinds - {layout.KIND_EMPTY, layout.KIND_V2, layout.KIND_V3, layout.KIND_COUNT} == set(_FAMILIES)


@pytest.mark.parametrize("name", [*BATCHES, *FAMILIES])
def test_nothing_is_left_to_one_processor_or_a_runtime_library(name: str):
    code = code_of(name)
    assert not _BY_HAND.search(code)
    assert (divide_512_nb.py_func.__name__ in code) or name not in BATCHES
    for target in TARGETS.values():
        assembly = translated(code, *target)
        assert len(assembly) > BATCHES.get(name, 1_000)
        assert _RUNTIME.findall(assembly) == []


def test_the_check_would_see_a_call_to_the_runtime_library():
    code = "define i128 @f(i128 %a, i128 %b) {\n  %q = udiv i128 %a, %b\n  ret i128 %q\n}\n"
    assert _RUNTIME.findall(translated(code, *TARGETS["aarch64"])) == ["__udivti3"]


def test_the_check_would_see_an_instruction_written_by_hand():
    assert _BY_HAND.search('  %q = call i64 asm "divq $2", "=a,a,r"(i64 %a, i64 %b)')
