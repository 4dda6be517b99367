"""A sample of every campaign: kernels against published bytecode, 0 units of difference."""

from __future__ import annotations

import pytest
from exact_campaign import Family, check_kinds, run_sample
from exact_families import FAMILIES


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_kernels_equal_the_published_bytecode(family: Family):
    counts = run_sample(family)
    print(family.name, dict(counts))
    check_kinds(family, counts)
