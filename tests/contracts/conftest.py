"""What the tests of contracts and scripts share."""

from __future__ import annotations

# Importing Ape makes eth_abi pad unsigned integers that are cut short, in the whole process. The engine runs
# without Ape, and its tests must see what it sees: Ape is imported first and eth_abi's own decoder put back.
import ape.utils.abi  # noqa: F401
from eth_abi.decoding import UnsignedIntegerDecoder
from eth_abi.encoding import UnsignedIntegerEncoder
from eth_abi.registry import BaseEquals, registry

registry.unregister("uint")
registry.register(BaseEquals("uint"), UnsignedIntegerEncoder, UnsignedIntegerDecoder, label="uint")
