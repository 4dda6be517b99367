"""The on-chain PriceFeedRegistry: prices of many tokens in one batch."""

from __future__ import annotations

from collections.abc import Sequence

from engine.chain.calls import View, answered, call, contract_failed
from engine.domain.errors import NodeError
from engine.domain.feeds import USD, FeedQuote, FeedStatus
from engine.domain.ports import Node

_TRY_QUOTE = View.of("tryQuote(address,address)", "uint256", "uint256", "uint8", "uint8")


async def read_feeds(
    node: Node, registry: str, tokens: Sequence[str], block_hash: str, *, quote: str = USD
) -> dict[str, FeedQuote]:
    """The price of each token in `quote` at one block. A quote the registry cannot give has a status that
    says why; the registry's own failure is CALL_FAILED. Raises NodeError when the node fails."""
    answers = await node.batch(
        [call(registry, _TRY_QUOTE.data(token, quote), block_hash) for token in tokens]
    )
    return {token: _quote(answer) for token, answer in zip(tokens, answers, strict=True)}


def _quote(answer: object) -> FeedQuote:
    try:
        price_e18, updated_at, status, _ = _TRY_QUOTE.decode(answered(answer))
    except NodeError as error:
        if isinstance(answer, NodeError) and not contract_failed(error):
            raise
        return FeedQuote(0, 0, FeedStatus.CALL_FAILED)
    return FeedQuote(price_e18, updated_at, status)
