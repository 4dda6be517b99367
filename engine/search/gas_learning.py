"""Gas of a hop by family, corrected by what landed transactions really used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.domain.describe import chains_of
from engine.domain.events import ExecutionResolved, Fact
from engine.domain.execution import Execution, Outcome
from engine.domain.market import PAYING_FIRST, Protocol
from engine.search.costs import UNKNOWN_HOP_GAS

# How much of each surprise is believed, and how far all of them together may lead from where we began: one
# token that burns gas must not price every other cycle out.
STEP = 0.1
REACH = 2.0


class GasLearner:
    """Estimates of gas per hop that follow receipts: a normalised least-mean-squares filter whose inputs are
    the hops of a cycle, the transaction's base staying as it is."""

    def __init__(self, base_gas: int, hop_gas: Mapping[Protocol, int]):
        self._base_gas = base_gas
        self._first = {protocol: hop_gas.get(protocol, UNKNOWN_HOP_GAS) for protocol in Protocol}
        self._now = {protocol: float(gas) for protocol, gas in self._first.items()}

    @property
    def hop_gas(self) -> dict[Protocol, int]:
        """The present estimates, gas units."""
        return {protocol: round(gas) for protocol, gas in self._now.items()}

    def take(self, fact: Fact) -> None:
        """Learn from a trade that landed; other facts are passed over."""
        if isinstance(fact, ExecutionResolved):
            protocols = _protocols(fact.execution)
            if protocols:
                # What bytes cost is priced by the chain's own oracle.
                self.learn(protocols, fact.execution.gas_used - fact.execution.data_gas)

    def learn(self, protocols: Sequence[Protocol], gas_used: int) -> None:
        """A cycle over pools of these families used `gas_used`, the transaction's own 21,000 included."""
        surprise = gas_used - self._base_gas - sum(self._now[protocol] for protocol in protocols)
        for protocol in protocols:
            first = self._first[protocol]
            moved = self._now[protocol] + STEP * surprise / len(protocols)
            self._now[protocol] = min(max(moved, first / REACH), first * REACH)


def _protocols(execution: Execution) -> list[Protocol]:
    if execution.outcome is not Outcome.LANDED or execution.intent.kind != "trade":
        return []
    chains = chains_of(execution.intent.record)
    protocols = [[Protocol(hop["protocol"]) for hop in chain] for chain in chains]
    # What a loan used, where no pool pays first, is no hop's.
    paid_first = all(PAYING_FIRST.intersection(each) for each in protocols)
    return [protocol for each in protocols for protocol in each] if paid_first else []
