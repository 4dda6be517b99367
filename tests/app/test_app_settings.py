"""Settings, what is shown of them, amounts, rates and the demo's tallies."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.app.conditions import exchange_rates
from engine.app.demo.report import Tally, percentile
from engine.app.output import show_amount
from engine.app.settings import (
    build_settings,
    environment_overrides,
    load_settings,
    masked,
    redact_url,
    with_rpc_url,
)
from engine.domain.errors import ConfigError
from engine.domain.events import BlockFinished, ExecutionResolved, OpportunityRefused, PlanSubmitted
from engine.domain.execution import Execution, Intent, Outcome, SignedTransaction
from engine.domain.feeds import FeedQuote
from engine.domain.market import BlockRef, Protocol, Token
from engine.domain.opportunity import CheckResult, Hop, Opportunity, RefusalReason, Refused

WETH, USDC, WBTC = (f"0x{n:040x}" for n in (1, 2, 3))
MINIMAL: dict[str, dict[str, Any]] = {
    "chain": {"chain_id": 1, "rpc_url": "ws://127.0.0.1:8546"},
    "market": {"base_tokens": [WETH], "wrapped_native": WETH},
}


def minimal(**sections: Any) -> dict[str, Any]:
    return {**MINIMAL, **sections}


def test_the_defaults_are_paper() -> None:
    settings = build_settings(MINIMAL, "test")
    assert settings.execution.live is False
    assert settings.execution.min_profit_bps == 10_000
    assert settings.search.max_hops == 3
    assert settings.keys.keystore is None


def test_addresses_become_lower_case() -> None:
    upper = "0x" + "AB" * 20
    settings = build_settings(minimal(market={"base_tokens": [upper], "wrapped_native": upper}), "test")
    assert settings.market.base_tokens == ["0x" + "ab" * 20]


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"exection": {}}, "unknown setting exection: did you mean execution?"),
        ({"risk": {"allowed_token": []}}, "unknown setting risk.allowed_token: did you mean allowed_tokens?"),
        ({"gas": {"zzz": 1}}, "unknown setting gas.zzz: remove it"),
        ({"gas": {"base": 0}}, "setting gas.base: input should be greater than 0, not '0'"),
        ({"chain": {"chain_id": 1}}, "setting chain.rpc_url is missing"),
        ({"execution": {"min_profit_bps": 10_001}}, "execution.min_profit_bps"),
        ({"log": {"level": "loud"}}, "log.level"),
        ({"risk": {"trade_caps": {"weth": 1}}}, "risk.trade_caps"),
        ({"risk": {"min_net_profit": {WETH: -1}}}, "risk.min_net_profit"),
        ({"chain": {"chain_id": 1, "rpc_url": "node"}}, "'node' is not an http(s)://"),
    ],
)
def test_a_wrong_setting_is_named(sections: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build_settings(minimal(**sections), "file.toml")
    assert str(caught.value).startswith("file.toml: ")
    assert words in str(caught.value)


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(
        f'[chain]\nchain_id = 1\nrpc_url = "http://a:1"\n[market]\nbase_tokens = ["{WETH}"]\n'
        f'wrapped_native = "{WETH}"\n'
    )
    environment = {
        "ROUNDTRIP__CHAIN__RPC_URL": "wss://b:2",
        "ROUNDTRIP__CHAIN__CHAIN_ID": "5",
        "ROUNDTRIP__EXECUTION__LIVE": "true",
        "ROUNDTRIP__MARKET__BASE_TOKENS": f'["{USDC}", "{WETH}"]',
        "ROUNDTRIP__STORAGE__DIRECTORY": "elsewhere",
        "ROUNDTRIP_HOME": "not a setting",
        "OTHER__CHAIN__CHAIN_ID": "9",
    }
    settings = load_settings(path, environment)
    assert (settings.chain.rpc_url, settings.chain.chain_id) == (["wss://b:2"], 5)
    assert settings.execution.live is True
    assert settings.market.base_tokens == [USDC, WETH]
    assert settings.storage.directory == Path("elsewhere")
    assert load_settings(path, {}).chain.chain_id == 1


@pytest.mark.parametrize("name", ["ROUNDTRIP__CHAIN", "ROUNDTRIP__", "ROUNDTRIP__CHAIN__"])
def test_an_override_without_a_key_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        environment_overrides({name: "1"})


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://127.0.0.1:8545", "http://127.0.0.1:8545"),
        ("https://user:pass@node.example:443/x", "https://***@node.example:443/x"),
        (
            "wss://eth.example/v3/0123456789abcdef0123456789abcdef",
            "wss://eth.example/v3/***",
        ),
        ("https://eth.example/?apikey=ABCDEFGHIJKLMNOPQRSTUVWX", "https://eth.example/?apikey=***"),
        ("/var/run/geth.ipc", "/var/run/geth.ipc"),
    ],
)
def test_what_is_shown_of_a_url(url: str, shown: str) -> None:
    assert redact_url(url) == shown
    if "://" in url:
        assert masked(with_rpc_url(build_settings(MINIMAL, "t"), url))["chain"]["rpc_url"] == shown


def test_several_nodes_may_be_named() -> None:
    urls = ["ws://a:1", "https://user:pass@b:2"]
    settings = build_settings(MINIMAL | {"chain": {"chain_id": 1, "rpc_url": urls}}, "test")
    assert settings.chain.rpc_url == urls
    assert settings.chain.shown_url == "ws://a:1, https://***@b:2"
    assert masked(settings)["chain"]["rpc_url"] == ["ws://a:1", "https://***@b:2"]
    for wrong in ([], ["ws://a:1", "node"]):
        with pytest.raises(ConfigError, match=r"chain\.rpc_url"):
            build_settings(MINIMAL | {"chain": {"chain_id": 1, "rpc_url": wrong}}, "test")


def test_another_node_is_checked_like_the_file() -> None:
    with pytest.raises(ConfigError, match="--rpc"):
        with_rpc_url(build_settings(MINIMAL, "test"), "tcp://x")


@pytest.mark.parametrize(
    ("amount", "decimals", "digits", "shown"),
    [
        (0, 18, 6, "0.000000"),
        (1, 18, 6, "0.000000"),
        (1_500_000, 6, 6, "1.500000"),
        (-1_500_000, 6, 2, "-1.50"),
        (-1, 6, 6, "-0.000001"),
        (1_234_567 * 10**18 + 10**17, 18, 3, "1,234,567.100"),
        (42, 0, 6, "42"),
        (12_345, 2, 6, "123.45"),
    ],
)
def test_amounts_are_shown_in_whole_tokens(amount: int, decimals: int, digits: int, shown: str) -> None:
    assert show_amount(amount, decimals, digits) == shown


@given(st.integers(-(10**40), 10**40), st.integers(0, 36))
def test_an_amount_with_every_digit_reads_back(amount: int, decimals: int) -> None:
    shown = show_amount(amount, decimals, digits=36).replace(",", "")
    assert Fraction(shown) * 10**decimals == amount


def quote(price: Fraction | int, status: int = 0) -> FeedQuote:
    return FeedQuote(price_e18=int(price * 10**18), updated_at=1, status=status)


def test_rates_are_base_units_per_wei() -> None:
    tokens = [Token(WETH, "WETH", 18), Token(USDC, "USDC", 6), Token(WBTC, "WBTC", 8)]
    rates = exchange_rates(tokens, {WETH: quote(2_000), USDC: quote(1), WBTC: quote(50_000)}, WETH)
    assert rates[WETH] == 1
    # An ether is 2,000 USDC of six decimals, and a twenty-fifth of a bitcoin of eight.
    assert rates[USDC] * 10**18 == 2_000 * 10**6
    assert rates[WBTC] * 10**18 == Fraction(10**8, 25)


@pytest.mark.parametrize("bad", [quote(1, status=2), quote(0, status=3), None])
def test_a_token_without_a_usable_feed_has_no_rate(bad: FeedQuote | None) -> None:
    tokens = [Token(WETH, "WETH", 18), Token(USDC, "USDC", 6)]
    feeds = {WETH: quote(2_000)} | ({USDC: bad} if bad else {})
    assert exchange_rates(tokens, feeds, WETH) == {WETH: 1}
    # Nor has any when the native coin's own price is unknown.
    assert exchange_rates(tokens, {USDC: quote(1)} | ({WETH: bad} if bad else {}), WETH) == {WETH: 1}


def execution(
    outcome: Outcome, profits: tuple[int, int, int], base: str = WETH, kind: str = "trade"
) -> Execution:
    expected, simulated, realised = profits
    hop = {"pool": "p", "amount_in": "7", "amount_out": "9"}
    intent = Intent(
        id=f"{outcome}{profits}",
        kind=kind,
        chain_id=1,
        block_number=4,
        base_token=base,
        expected_profit=expected,
        simulated_profit=simulated,
        deadline=9,
        max_fee_wei=3,
        priority_fee_wei=1,
        transaction=SignedTransaction("0x0", 1, "0xhash", b""),
        record={"opportunity": {"id": "o", "cycle": [hop]}},
    )
    return Execution(intent, outcome, 5, "0xblock", realised, gas_used=100, effective_gas_price_wei=3)


def tally() -> dict[str, Any]:
    block = BlockRef(4, "0x4", "0x3", 1)
    opportunity = Opportunity(block, WETH, (Hop("p", Protocol.UNISWAP_V2, "v", WETH, USDC, 1, 2, 3_000),))
    refused = Refused(opportunity, (CheckResult("age", False, RefusalReason.TOO_OLD),))
    counted = Tally()
    for fact in (
        BlockFinished(block, 5, 3, 3, 3, 10.0),
        BlockFinished(block, 1, 0, 0, 0, 30.0),
        OpportunityRefused(refused),
        OpportunityRefused(refused),
        ExecutionResolved(execution(Outcome.LANDED, (10, 10, 10))),
        ExecutionResolved(execution(Outcome.LANDED, (4, 4, 4), USDC)),
        ExecutionResolved(execution(Outcome.LANDED, (10, 10, 9))),
        ExecutionResolved(execution(Outcome.REVERTED, (6, 6, 0))),
        ExecutionResolved(execution(Outcome.MISSED, (6, 6, 0))),
        ExecutionResolved(execution(Outcome.LANDED, (0, 0, 0), kind="cancel")),
    ):
        counted.take(fact)
    for elapsed in (1.0, 2.0, 100.0):
        counted.take(PlanSubmitted(execution(Outcome.LANDED, (1, 1, 1)).intent, elapsed))
    rates = {WETH: Fraction(1), USDC: Fraction(500)}
    named = {"chain_id": 1, "seed": 2, "pools": 3, "tokens": 4, "contracts": {}, "base_tokens": []}
    return counted.as_report({**named, "wei_per_base_unit": rates})


def test_the_tally_counts_each_thing_once() -> None:
    report = tally()
    counts = {name: report[name] for name in ("blocks", "opportunities_found", "submitted", "landed")}
    assert counts == {"blocks": 2, "opportunities_found": 6, "submitted": 3, "landed": 3}
    assert (report["reverted"], report["missed"], report["mismatches"]) == (1, 1, 1)
    assert report["refused_by_reason"] == {"too_old": 2}
    # In wei: a unit of the second token is worth 500.
    assert (report["expected_profit_wei"], report["realised_profit_wei"]) == ("2020", "2019")
    assert report["gas_paid_wei"] == str(4 * 100 * 3)
    assert report["latency_ms"]["block_to_submit"] == {"p50": 2.0, "p99": 100.0}
    assert [item["realised_wei"] for item in report["executions"]] == ["10", "4", "9", "0"]


def test_percentiles_are_values_that_occurred() -> None:
    assert percentile([], 0.5) == 0.0
    assert [percentile([3.0, 1.0, 2.0], part) for part in (0.0, 0.5, 0.99, 1.0)] == [1.0, 2.0, 3.0, 3.0]
