"""What a rollup charges for a transaction's bytes, by its own oracle.

Sizes are of signed transactions as our router's calldata makes them; what compression would save is not
counted on, so that a cycle that pays by these figures pays.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from engine.chain.calls import View, answered, call
from engine.domain.errors import NodeError
from engine.domain.market import BlockRef
from engine.domain.ports import Node

# A signed transaction of type 2 around a stream's header: about 120 bytes and 40. A hop in a V2 pool takes 35
# bytes of calldata, in a V3 pool 21, in one whose tokens must be named up to 80
# (`benchmarks/results/gas.json`).
BASE_BYTES = 160
HOP_BYTES = 40

# Source: OP stack specifications, "Predeploys": GasPriceOracle.
OP_ORACLE = "0x420000000000000000000000000000000000000f"
# Source: Arbitrum documentation, "Precompiles reference": ArbGasInfo.
ARB_GAS_INFO = "0x000000000000000000000000000000000000006c"

_OP_VIEWS = tuple(
    View.of(f"{name}()", kind)
    for name, kind in (
        ("l1BaseFee", "uint256"),
        ("blobBaseFee", "uint256"),
        ("baseFeeScalar", "uint32"),
        ("blobBaseFeeScalar", "uint32"),
        ("isEcotone", "bool"),
    )
)
_IS_FJORD = View.of("isFjord()", "bool")
_ARB_PRICES = View.of("getPricesInWei()", *["uint256"] * 6)

_INTERCEPT, _FASTLZ_COEFFICIENT, _LEAST_SIZE = -42_585_600, 836_500, 100 * 10**6
_CALLDATA_GAS = 16


class DataFee(StrEnum):
    """How a chain charges for bytes: not at all, as the OP stack's chains do, or as Arbitrum's do."""

    NONE = "none"
    OP_STACK = "op-stack"
    ARBITRUM = "arbitrum"


@dataclass(frozen=True, slots=True)
class DataPrice:
    """What a transaction costs besides its gas: without swaps, and for each, wei of the native coin."""

    base_wei: int = 0
    hop_wei: int = 0


@dataclass(frozen=True, slots=True)
class OpPrices:
    """What the OP stack's oracle says at a block: fees of the chain below in wei, scalars in 1e-6."""

    base_fee_wei: int
    blob_base_fee_wei: int
    base_scalar: int
    blob_scalar: int
    is_fjord: bool

    @property
    def scaled(self) -> int:
        """Price of a byte, in 1e-6 wei."""
        calldata = _CALLDATA_GAS * self.base_scalar * self.base_fee_wei
        return calldata + self.blob_scalar * self.blob_base_fee_wei

    def fee_wei(self, size: int) -> int:
        """Fee of a signed transaction of `size` bytes, a few hundred, that are not zero and do not compress.

        Source: OP stack specifications, "Ecotone L1-Cost fee changes" and "Fjord L1-Cost fee changes", with
        the oracle's own upper bound of the compressed size, size + size / 255 + 16.
        """
        if not self.is_fjord:
            return _CALLDATA_GAS * size * self.scaled // (_CALLDATA_GAS * 10**6)
        estimated = _INTERCEPT + _FASTLZ_COEFFICIENT * (size + size // 255 + 16)
        return max(_LEAST_SIZE, estimated) * self.scaled // 10**12


async def read_data_price(node: Node, kind: DataFee, block: BlockRef) -> DataPrice:
    """The price at `block`. Raises NodeError, also for an OP chain before Ecotone."""
    if kind is DataFee.OP_STACK:
        prices = await read_op_prices(node, block)
        base = prices.fee_wei(BASE_BYTES)
        # The least size may hide what a hop adds to a small transaction: take it where it no longer does.
        # One byte more, for what the bound of the compressed size grows by at every 255th.
        added = prices.fee_wei(2 * BASE_BYTES + HOP_BYTES + 1) - prices.fee_wei(2 * BASE_BYTES)
        return DataPrice(base, added + 1)
    if kind is DataFee.ARBITRUM:
        byte_wei = await read_arbitrum_byte_wei(node, block)
        return DataPrice(BASE_BYTES * byte_wei, HOP_BYTES * byte_wei)
    return DataPrice()


async def read_op_prices(node: Node, block: BlockRef) -> OpPrices:
    """What the oracle says at `block`. Raises NodeError."""
    views = (*_OP_VIEWS, _IS_FJORD)
    answers = await node.batch([call(OP_ORACLE, view.data(), block.hash) for view in views])
    values = [_value(view, answer) for view, answer in zip(_OP_VIEWS, answers, strict=False)]
    base_fee, blob_fee, base_scalar, blob_scalar, is_ecotone = values
    if not is_ecotone:
        raise NodeError("the chain's fees are those of before Ecotone, which are not known here")
    # The oracle of an Ecotone chain does not know the question.
    fjord = answers[-1]
    is_fjord = not isinstance(fjord, NodeError) and bool(_value(_IS_FJORD, fjord))
    return OpPrices(base_fee, blob_fee, base_scalar, blob_scalar, is_fjord)


async def read_arbitrum_byte_wei(node: Node, block: BlockRef) -> int:
    """Wei that a byte costs at `block`: 16 units of the poster's price.

    Source: Nitro, `precompiles/ArbGasInfo.go`: the second price is that of a byte.
    """
    (answer,) = await node.batch([call(ARB_GAS_INFO, _ARB_PRICES.data(), block.hash)])
    prices = _ARB_PRICES.decode(answered(answer))
    return int(prices[1])


def _value(view: View, answer: Any) -> Any:
    (value,) = view.decode(answered(answer))
    return value
