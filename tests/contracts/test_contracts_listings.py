"""The venue and feed files that the deployment script reads."""

import json
from pathlib import Path

import pytest

from engine.domain.errors import ConfigError
from scripts._listings import PINNED, read_feeds, read_table, read_venues
from scripts._sources import USD, Source

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
        b"uniswap-v2".ljust(32, b"\0"),
        factory,
        factory,
        b"\xab" * 32,
        bytes(32),
        3000,
        True,
    )


def test_feed_is_read_whole(tmp_path: Path):
    (feed,) = read_feeds(write(tmp_path, [FEED]))
    assert feed.quote == USD
    (source,) = feed.sources
    assert source.contract == "ChainlinkSource"
    assert source.arguments[:2] == (feed.base, USD)
    assert source.arguments[4:] == (3600, 1, 10**21)
    assert (feed.min_sources, feed.max_spread_bps, feed.max_cross_bps, feed.cross_checks) == (1, 0, 0, ())


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"init_code_hash": None}, "entry 0 has no init_code_hash"),
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


@pytest.mark.parametrize(
    "field", [name for name in VENUE if name not in ("deployer", "pool_code_hash", "fee_pips")]
)
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


POOL = "0x88e6a0c2ddd26feeb64f039a2c41296fcb3f5640"
UPTIME = "0xfdb631f5ee196f0ed6faa767959853a9f217697d"


def test_a_table_says_what_a_chain_should_have(tmp_path: Path):
    path = tmp_path / "chain.toml"
    path.write_text(
        f"""
chain_id = 42161
sequencer = {{ uptime_feed = "{UPTIME}", grace_s = 3600 }}
[[venues]]
name = "uniswap-v3"
protocol = "uniswap-v3"
factory = "{VENUE["factory"]}"
init_code_hash = "{VENUE["init_code_hash"]}"
[[feeds]]
base = "{FEED["base"]}"
quote = "usd"
min_sources = 2
max_spread_bps = 50
[[feeds.sources]]
kind = "chainlink"
aggregator = "{FEED["aggregator"]}"
max_staleness = 60
min_answer = 1
max_answer = 2
[[feeds.sources]]
kind = "cross"
first = {{ kind = "vault-rate", quote = "{POOL}", min_rate_e18 = 1, max_growth_bps_per_day = 5 }}
second = {{ kind = "inverse", of = {{ kind = "deployed", address = "{UPTIME}" }} }}
[[feeds.cross_checks]]
kind = "twap"
pool = "{POOL}"
window_s = 1800
min_liquidity = 7
"""
    )
    listing = read_table(path)
    assert listing.chain_id == 42161
    (venue,) = listing.venues
    assert (venue.protocol, venue.fee_pips, venue.deployer) == ("uniswap-v3", 0, venue.factory)
    (feed,) = listing.feeds
    assert (feed.min_sources, feed.max_spread_bps, feed.max_cross_bps) == (2, 50, 300)
    assert {one.contract for one in (*feed.sources, *feed.cross_checks)} == {"SequencerSource"}
    inner = [one.arguments[0] for one in (*feed.sources, *feed.cross_checks)]
    assert [one.contract for one in inner] == ["ChainlinkSource", "CrossSource", "TwapSource"]
    first, second = inner[1].arguments
    assert first == Source("VaultRateSource", (feed.base, 1, 5))
    assert second.contract == "InverseSource"
    assert second.arguments[0].arguments[0].lower() == UPTIME
    assert inner[2].arguments[3:] == (1800, 7)


@pytest.mark.parametrize(
    ("feed", "complaint"),
    [
        ({"sources": []}, "feed 0 has sources or cross_checks that are not lists"),
        ({"sources": [{"kind": "pyth"}]}, "feed 0 has a source of kind 'pyth', which is none of chainlink"),
        ({"sources": [{"kind": "twap"}]}, "feed 0 lacks window_s"),
        ({"sequencer": 1}, "feed 0 has a sequencer that is not a table"),
    ],
)
def test_wrong_feed_in_a_table_is_named(tmp_path: Path, feed: dict, complaint: str):
    path = tmp_path / "chain.toml"
    entry = {**FEED, **feed}
    path.write_text("chain_id = 1\n[[feeds]]\n" + "".join(f"{key} = {toml(entry[key])}\n" for key in entry))
    with pytest.raises(ConfigError) as refusal:
        read_table(path)
    assert complaint in str(refusal.value)


def toml(value: object) -> str:
    if isinstance(value, list):
        return "[" + ", ".join("{" + f'kind = "{one["kind"]}"' + "}" for one in value) + "]"
    return json.dumps(value)


@pytest.mark.parametrize(
    "path", sorted(Path("deployments/chains").glob("*.toml")), ids=lambda path: path.stem
)
def test_the_repositorys_tables_are_readable(path: Path):
    listing = read_table(path)
    assert set(listing.pinned) == set(PINNED)
    assert len(set(listing.pinned.values())) == len(PINNED)
    assert listing.venues
    assert len({venue.name for venue in listing.venues}) == len(listing.venues)
    assert len({venue.factory for venue in listing.venues}) == len(listing.venues)
