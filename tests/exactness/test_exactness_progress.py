"""A campaign goes on where it was killed, counts only for its kernels, and remembers a difference."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import exact_campaign
import pytest
from exact_campaign import Family, Mismatch, Progress, run_campaign

SWAPS_PER_ROUND, ROUNDS = 10, 5


class Rounds:
    """Rounds that are killed, or find a difference, at given seeds."""

    def __init__(self) -> None:
        self.seeds: list[int] = []
        self.killed_at = self.differs_at = 0

    def __call__(self, seed: int) -> Counter[str]:
        self.seeds.append(seed)
        if seed == self.killed_at:
            raise KeyboardInterrupt
        if seed == self.differs_at:
            raise Mismatch("a case")
        return Counter(swaps=SWAPS_PER_ROUND)


@pytest.fixture
def campaign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Family, Rounds]:
    monkeypatch.setattr(exact_campaign, "progress_folder", lambda: tmp_path)
    monkeypatch.setattr(exact_campaign, "SAVE_EVERY_SECONDS", -1)
    monkeypatch.delenv("ROUNDTRIP_CAMPAIGN_SEED", raising=False)
    monkeypatch.delenv("ROUNDTRIP_CAMPAIGN_MINUTES", raising=False)
    rounds = Rounds()
    return Family("some", "Some", "", "wide", SWAPS_PER_ROUND * ROUNDS, lambda: rounds), rounds


def test_it_goes_on_where_it_was_killed(campaign: tuple[Family, Rounds]):
    family, rounds = campaign
    rounds.killed_at = 4
    with pytest.raises(KeyboardInterrupt):
        run_campaign(family)
    rounds.killed_at = 0
    assert run_campaign(family).counts["swaps"] == family.target
    assert rounds.seeds == [1, 2, 3, 4, 4, 5]
    # And a finished one has nothing left to do.
    run_campaign(family)
    assert rounds.seeds == [1, 2, 3, 4, 4, 5]


def test_minutes_end_it_early(campaign: tuple[Family, Rounds], monkeypatch: pytest.MonkeyPatch):
    family, rounds = campaign
    monkeypatch.setenv("ROUNDTRIP_CAMPAIGN_MINUTES", "0")
    assert run_campaign(family).rounds == 1
    assert run_campaign(family).rounds == 2
    monkeypatch.setenv("ROUNDTRIP_CAMPAIGN_SEED", "100")
    assert run_campaign(family).rounds == 1
    assert rounds.seeds == [1, 2, 100]


def test_a_difference_stays_until_its_round_passes(campaign: tuple[Family, Rounds]):
    family, rounds = campaign
    rounds.differs_at = 3
    with pytest.raises(Mismatch) as difference:
        run_campaign(family)
    assert difference.value.__notes__ == ["some, round of seed 3"]
    assert (Progress(family, 1).failed, Progress(family, 1).rounds) == ([3], 2)
    rounds.differs_at = 0
    assert run_campaign(family).failed == []


def test_other_kernels_start_it_anew(campaign: tuple[Family, Rounds], monkeypatch: pytest.MonkeyPatch):
    family, rounds = campaign
    run_campaign(family)
    monkeypatch.setattr(exact_campaign, "kernels_digest", lambda family: "others")
    assert run_campaign(family).counts["swaps"] == family.target
    assert rounds.seeds == [1, 2, 3, 4, 5] * 2
