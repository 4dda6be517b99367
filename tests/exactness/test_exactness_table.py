"""The page on exactness shows every campaign, at its full count and without a difference."""

from __future__ import annotations

import re

import pytest
from exact_campaign import Family
from exact_families import FAMILIES

from engine.app.toolchain import project_root


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_the_page_shows_the_whole_campaign(family: Family):
    text = (project_root() / "docs" / "exactness.md").read_text()
    (row,) = re.findall(rf"^\| {re.escape(family.title)} \|(.*)\|$", text, re.M)
    _, swaps, *_, differences = (cell.strip() for cell in row.split("|"))
    assert int(swaps.replace(",", "")) >= family.target
    assert differences == "0"
