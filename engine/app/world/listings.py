"""What the world's venues and feeds are called in the deployment script's input files."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from engine.app.world.feeds import PriceFeed
from engine.domain.market import Venue


def write_listings(directory: Path, venues: list[Venue], feeds: list[PriceFeed]) -> tuple[Path, Path]:
    """Write `venues.json` and `feeds.json` for `ape run deploy --venues … --feeds …`; their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    venues_path, feeds_path = directory / "venues.json", directory / "feeds.json"
    venues_path.write_text(json.dumps([asdict(venue) for venue in venues], indent=2) + "\n")
    entries = [
        {
            "base": feed.base,
            "quote": feed.quote,
            "aggregator": feed.aggregator,
            "max_staleness": feed.max_staleness_s,
            "min_answer": feed.min_answer,
            "max_answer": feed.max_answer,
        }
        for feed in feeds
    ]
    feeds_path.write_text(json.dumps(entries, indent=2) + "\n")
    return venues_path, feeds_path
