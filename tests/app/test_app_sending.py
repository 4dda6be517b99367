"""What settings make of channels and bids, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from engine.app.sending import describe_relays, highest_priority_fee_wei, make_bidder, open_channel
from engine.app.settings import Settings, build_settings
from engine.chain.keys import signer_of_key
from engine.domain.errors import ConfigError
from engine.execution.channels import FanOut

WETH = "0x" + "11" * 20
PASSPHRASE = "correct horse battery"
OPERATOR = signer_of_key("11" * 32)


def settings(**sections: dict[str, Any]) -> Settings:
    base = {
        "chain": {"chain_id": 1, "rpc_url": "http://127.0.0.1:1"},
        "market": {"base_tokens": [WETH], "wrapped_native": WETH},
    }
    return build_settings(base | sections, "test.toml")


@pytest.fixture
def identity(tmp_path: Path) -> dict[str, Any]:
    return _keystore(tmp_path, "22" * 32)


def _keystore(folder: Path, key: str) -> dict[str, Any]:
    path, secret = folder / "identity.json", folder / "passphrase"
    path.write_text(json.dumps(Account.encrypt(key, PASSPHRASE, kdf="pbkdf2", iterations=10)))
    secret.write_text(PASSPHRASE)
    return {"identity": path, "identity_passphrase_file": secret}


async def test_the_node_s_own_pool_is_the_default() -> None:
    async with open_channel(settings(), [OPERATOR.address]) as channel:
        assert channel is None


async def test_bundles_go_to_every_relay_named(identity: dict[str, Any]) -> None:
    relays = {
        "flashbots": {},
        "titan": {"timeout_s": 0.5},
        "mine": {"url": "http://127.0.0.1:1", "signed": False},
    }
    chosen = settings(execution={"submission": "bundles", "relays": relays}, keys=identity)
    described = describe_relays(chosen)
    assert described["titan"].timeout_s == 0.5
    assert described["titan"].cancel == "eth_cancelBundle"
    assert described["mine"].fields == ()
    async with open_channel(chosen, [OPERATOR.address]) as channel:
        assert isinstance(channel, FanOut)
        assert channel.is_private


@pytest.mark.parametrize(
    ("execution", "told"),
    [
        ({"submission": "bundles"}, "at least one of execution.relays"),
        (
            {"submission": "bundles", "relays": {"flashbot": {}}},
            "relays.flashbot is not a known relay",
        ),
        ({"submission": "bundles", "relays": {"titan": {"urll": "x"}}}, "execution.relays.titan.urll"),
        (
            {"submission": "bundles", "relays": {"titan": {"timeout_s": 0}}},
            "relays.titan.timeout_s",
        ),
        ({"submission": "bundles", "relays": {"buildernet": {}}}, "set execution.relays.buildernet.url"),
        ({"submission": "bundles", "relays": {"titan": {}}}, "set keys.identity"),
        ({"submission": "private"}, "set execution.private_rpc_url"),
    ],
)
async def test_settings_that_cannot_work_are_refused_in_a_sentence(
    execution: dict[str, Any], told: str, tmp_path: Path
) -> None:
    keys = _keystore(tmp_path, "22" * 32) if "buildernet" in execution.get("relays", {}) else {}
    with pytest.raises(ConfigError) as caught:
        async with open_channel(settings(execution=execution, keys=keys), [OPERATOR.address]):
            pass
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_the_operator_s_key_is_no_identity(tmp_path: Path) -> None:
    keys = _keystore(tmp_path, "11" * 32)
    execution = {"submission": "bundles", "relays": {"titan": {}}}
    with pytest.raises(ConfigError, match="operator's own key"):
        async with open_channel(settings(execution=execution, keys=keys), [OPERATOR.address]):
            pass


def test_the_risk_chain_reckons_with_the_highest_bid() -> None:
    assert highest_priority_fee_wei(settings(execution={"priority_fee_wei": 7})) == 7
    bid = {"policy": "first-price", "cap_wei": 50}
    assert highest_priority_fee_wei(settings(execution={"priority_fee_wei": 7}, bid=bid)) == 50
    make_bidder(settings(bid=bid))


@pytest.mark.parametrize("shares", [[], [9000, 9000], [10_000], [-1]])
def test_an_impossible_ladder_is_a_setting_refused(shares: list[int]) -> None:
    with pytest.raises(ConfigError, match=r"bid\.shares_bps"):
        settings(bid={"shares_bps": shares})
