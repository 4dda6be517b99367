"""What is deployed on the connected chain, as Ape contracts, by the manifests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ape.contracts import ContractInstance

from engine.domain.errors import DeploymentError
from scripts._artifacts import build
from scripts._chain import connected_chain_id
from scripts._manifests import Manifests

REGISTRIES = ("DexRegistry", "PriceFeedRegistry")


@dataclass(frozen=True, slots=True)
class Deployed:
    """The contracts of one deployment."""

    manifests: Manifests
    manager: ContractInstance
    dex_registry: ContractInstance
    feed_registry: ContractInstance

    @classmethod
    def at(cls, out: Path) -> Deployed:
        """Those of `<out>/<chain id>/`; raises DeploymentError when there is no manifest."""
        chain_id = connected_chain_id()
        manifests = Manifests(out / str(chain_id), chain_id)
        found = {}
        for name in ("AccessManager", *REGISTRIES):
            record = manifests.read(name)
            if record is None:
                raise DeploymentError(
                    f"{manifests.folder / name}.json is missing: `ape run deploy` first, or use another --out"
                )
            found[name] = build(name).container.at(record["address"])
        return cls(manifests, found["AccessManager"], found["DexRegistry"], found["PriceFeedRegistry"])

    def registry(self, name: str) -> ContractInstance:
        """A registry by name."""
        return self.dex_registry if name == "DexRegistry" else self.feed_registry
