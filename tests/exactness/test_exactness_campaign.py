"""The whole campaigns, resumable: see `exact_campaign`."""

from __future__ import annotations

import pytest
from exact_campaign import Family, check_kinds, run_campaign
from exact_families import FAMILIES

# Each campaign goes on until its target.
pytestmark = [pytest.mark.campaign, pytest.mark.timeout(0)]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_campaign(family: Family):
    progress = run_campaign(family)
    check_kinds(family, progress.counts)
