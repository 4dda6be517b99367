"""Upgrades keep the storage layout, and the numbers in git are those of the build."""

from __future__ import annotations

import copy
import subprocess
import sys

import pytest

from engine.app.toolchain import project_root
from engine.domain.errors import DeploymentError
from scripts._artifacts import build
from scripts._layout import require_upgradable

REGISTRY = "contracts/src/DexRegistry.sol"


@pytest.mark.parametrize("name", ["DexRegistry", "PriceFeedRegistry"])
def test_the_registries_are_upgrade_safe(name: str):
    made = build(name)
    require_upgradable(made.target, made.standard_json, made.standard_json)


def test_a_later_version_may_follow_and_go_back():
    old, new = build("DexRegistry"), build("DexRegistryNext")
    require_upgradable(new.target, new.standard_json, old.standard_json, old.target)
    require_upgradable(old.target, old.standard_json, new.standard_json, new.target)


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("address router;\n        bool stopped;", "bool stopped;\n        address router;", "router"),
        ("        uint64 revision;", "        uint8 revision;", "revision"),
        ("emit EmergencyStopped(msg.sender);", "selfdestruct(payable(msg.sender));", "selfdestruct"),
    ],
)
def test_a_bad_version_is_refused(before: str, after: str, complaint: str):
    made = build("DexRegistry")
    bad = copy.deepcopy(made.standard_json)
    source = bad["sources"][REGISTRY]["content"]
    assert source.count(before) == 1
    bad["sources"][REGISTRY]["content"] = source.replace(before, after)
    with pytest.raises(DeploymentError, match=complaint) as refusal:
        require_upgradable(made.target, bad, made.standard_json)
    assert "\n" not in str(refusal.value)


def test_layout_and_size_in_git_are_those_of_the_build():
    tool = project_root() / "tools" / "contract_snapshots.py"
    done = subprocess.run([sys.executable, str(tool)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
