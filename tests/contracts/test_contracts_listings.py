"""The venue and feed files that the deployment script reads."""

import json
from pathlib import Path

import pytest

from engine.domain.errors import ConfigError
from engine.domain.market import ZERO_HASH
from scripts._listings import USD, read_feeds, read_venues

VENUE = {
    "name": "uniswap-v2",
    "protocol": "uniswap-v2",
    "factory": "0x5c69bee701ef814a2b6a3edd4b1652cb9cc5aa6f",
    "deployer": "0x5c69bee701ef814a2b6a3edd4b1652cb9cc5aa6f",
    "init_code_hash": "0x" + "ab" * 32,
    "pool_code_hash": None,
    "fee_pips": 3000,
}
FEED = {
    "base": "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2",
    "quote": "usd",
    "aggregator": "0x5f4ec3df9cbd43714fe2740f5e3616155c5b8419",
    "max_staleness": 3600,
    "min_answer": 1,
    "max_answer": "1000000000000000000000",
}


def write(folder: Path, content: object) -> Path:
    path = folder / "listing.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_venue_is_read_whole(tmp_path: Path):
    (venue,) = read_venues(write(tmp_path, [VENUE]))
    factory = "0x5C69bEe701ef814a2B6a3EDD4B1652CB9cc5aA6f"
    assert venue.as_tuple() == (
        "uniswap-v2",
        1,
        factory,
        factory,
        "0x" + "ab" * 32,
        ZERO_HASH,
        3000,
        True,
    )


def test_feed_is_read_whole(tmp_path: Path):
    (feed,) = read_feeds(write(tmp_path, [FEED]))
    assert feed.quote == USD
    assert feed.as_tuple()[3:] == (3600, 1, 10**21)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"protocol": "curve"}, "entry 0 has protocol 'curve'"),
        ({"factory": "0x12"}, "entry 0 has factory '0x12', which is not an address"),
        ({"deployer": None}, "entry 0 has deployer None, which is not an address"),
        ({"init_code_hash": "0xab"}, "which is not a 32-byte hash"),
        ({"pool_code_hash": "z" * 64}, "which is not a 32-byte hash"),
        ({"fee_pips": -1}, "entry 0 has fee_pips -1, which is not a whole number"),
        ({"fee_pips": 0.3}, "entry 0 has fee_pips 0.3, which is not a whole number"),
        ({"fee_pips": True}, "entry 0 has fee_pips True, which is not a whole number"),
        ({"enabled": "no"}, "entry 0 has enabled 'no', which is not true or false"),
    ],
)
def test_wrong_venue_is_named(tmp_path: Path, change: dict, complaint: str):
    path = write(tmp_path, [{**VENUE, **change}])
    with pytest.raises(ConfigError) as refusal:
        read_venues(path)
    assert complaint in str(refusal.value)
    assert str(refusal.value).startswith(str(path))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("field", [name for name in VENUE if name not in ("pool_code_hash", "fee_pips")])
def test_missing_venue_field_is_named(tmp_path: Path, field: str):
    entry = {key: value for key, value in VENUE.items() if key != field}
    with pytest.raises(ConfigError, match=f"entry 1 lacks {field}"):
        read_venues(write(tmp_path, [VENUE, entry]))


@pytest.mark.parametrize("field", list(FEED))
def test_missing_feed_field_is_named(tmp_path: Path, field: str):
    entry = {key: value for key, value in FEED.items() if key != field}
    with pytest.raises(ConfigError, match=f"entry 0 lacks {field}"):
        read_feeds(write(tmp_path, [entry]))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [("{", "is not JSON"), ({}, "must hold a list"), ([1], "entry 0 is not an object")],
)
def test_wrong_file_is_named(tmp_path: Path, content: object, complaint: str):
    with pytest.raises(ConfigError, match=complaint):
        read_venues(write(tmp_path, content))


def test_missing_file_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"nowhere\.json cannot be read"):
        read_feeds(tmp_path / "nowhere.json")
