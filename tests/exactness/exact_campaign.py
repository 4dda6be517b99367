"""Long comparisons that go on where they stopped: rounds of seeded cases until a family's target is reached.

A round is a function of its seed alone. `.build/campaign/<family>.json` says how many rounds are done and
what they counted. They count for the kernels they were made with: an edit of the family's kernels, or of a
module these depend on, starts the campaign anew. `ROUNDTRIP_CAMPAIGN_SEED` (1) is the seed of the first round
and `ROUNDTRIP_CAMPAIGN_MINUTES` ends a campaign early. Another first seed starts a campaign of its own.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.amm.kernel_cache import module_digest
from engine.app.toolchain import project_root

SAVE_EVERY_SECONDS = 10
SAY_EVERY_SECONDS = 30

Round = Callable[[int], "Counter[str]"]


class Mismatch(AssertionError):
    """Kernel and contract disagree; the message has the case."""


@dataclass(frozen=True)
class Family:
    """One campaign. `open` builds the contracts and returns the round, which counts at least "swaps"."""

    name: str
    title: str
    bytecode: str
    kernels: str  # module of `engine.amm`
    target: int
    open: Callable[[], Round]
    sample: int = 1000  # how many swaps the everyday test makes
    must_count: tuple[str, ...] = ()  # kinds of case that have to occur, also in the sample


def progress_folder() -> Path:
    return project_root() / ".build" / "campaign"


class Progress:
    """What a campaign has done so far, on disk."""

    def __init__(self, family: Family, seed: int) -> None:
        suffix = "" if seed == 1 else f"-seed{seed}"
        self.path = progress_folder() / f"{family.name}{suffix}.json"
        self.family = family
        self.seed = seed
        self.rounds = 0
        self.seconds = 0.0
        self.counts: Counter[str] = Counter()
        self.kernels = kernels_digest(family)
        self.failed: list[int] = []  # seeds of rounds that found a difference and have not been mended
        if self.path.is_file():
            self._load(json.loads(self.path.read_text()))

    def _load(self, saved: dict[str, Any]) -> None:
        if saved["kernels"] != self.kernels:
            return
        self.rounds, self.seconds = saved["rounds"], saved["seconds"]
        self.counts, self.failed = Counter(saved["counts"]), saved["failed"]

    def save(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        known = {
            "family": self.family.name,
            "seed": self.seed,
            "target": self.family.target,
            "rounds": self.rounds,
            "seconds": round(self.seconds, 1),
            "counts": dict(self.counts),
            "kernels": self.kernels,
            "failed": self.failed,
        }
        draft = self.path.with_suffix(".draft")
        draft.write_text(json.dumps(known, indent=1) + "\n")
        draft.replace(self.path)

    def say(self) -> None:
        done, target = self.counts["swaps"], self.family.target
        rest = {kind: count for kind, count in sorted(self.counts.items()) if kind != "swaps"}
        print(
            f"\n{self.family.name}: {done:,} of {target:,} swaps, {self.seconds / 60:.1f} min,"
            f" seeds {self.seed}..{self.seed + self.rounds - 1}, {rest}",
            flush=True,
        )


def kernels_digest(family: Family) -> str:
    """Of the family's kernels and all they depend on, the compiler and the machine."""
    return module_digest(
        project_root().joinpath("engine", "amm", *family.kernels.split(".")).with_suffix(".py")
    )


def run_campaign(family: Family) -> Progress:
    """Rounds until the target or the minutes are reached. Raises Mismatch with the round's seed."""
    progress = Progress(family, int(os.environ.get("ROUNDTRIP_CAMPAIGN_SEED", "1")))
    until = time.monotonic() + 60 * float(os.environ.get("ROUNDTRIP_CAMPAIGN_MINUTES", "inf"))
    if progress.counts["swaps"] < family.target:
        round_of = family.open()
        saved = said = time.monotonic()
        while progress.counts["swaps"] < family.target:
            started = time.monotonic()
            counts = _round(progress, round_of)
            now = time.monotonic()
            progress.counts += counts
            progress.rounds += 1
            progress.seconds += now - started
            if now - saved > SAVE_EVERY_SECONDS:
                progress.save()
                saved = now
            if now - said > SAY_EVERY_SECONDS:
                progress.say()
                said = now
            if now > until:
                break
        progress.save()
    progress.say()
    return progress


def _round(progress: Progress, round_of: Round) -> Counter[str]:
    """The next round; a difference is remembered until the same seed finds none."""
    seed = progress.seed + progress.rounds
    try:
        counts = checked_round(progress.family, round_of, seed)
    except AssertionError:
        progress.failed = sorted({*progress.failed, seed})
        progress.save()
        raise
    progress.failed = [each for each in progress.failed if each != seed]
    return counts


def checked_round(family: Family, round_of: Round, seed: int) -> Counter[str]:
    try:
        return round_of(seed)
    except AssertionError as error:
        error.add_note(f"{family.name}, round of seed {seed}")
        raise


def run_sample(family: Family) -> Counter[str]:
    """The first rounds, until the sample is reached."""
    counts: Counter[str] = Counter()
    round_of = family.open()
    seed = 1_000_001
    while counts["swaps"] < family.sample:
        counts += checked_round(family, round_of, seed)
        seed += 1
    return counts


def check_kinds(family: Family, counts: Counter[str]) -> None:
    """No kind of case is missing, so that a round that compares nothing cannot pass."""
    missing = [kind for kind in family.must_count if not counts[kind]]
    assert not missing, (family.name, missing, dict(counts))
