"""What an intervention did, counted while the network runs: evaluations, and operations that were left out.

Shares are of what the unmodified solve would have cost. ``saved_self_attention`` counts all of self-attention,
projections included; ``saved_attention_maps`` counts maps alone, which is how arXiv 2606.10046 seems to count (a layer
whose map is reused saves half of its self-attention by the first account, all of it by the second); ``saved_flops`` is
of the whole network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from otoscope.core.costs import Costed, EvaluationCost
from otoscope.core.nouns import Sited
from otoscope.interventions.hooks import Action, Observe, places


@dataclass
class Tally:
    """The report of an intervention's context (an ``InterventionReport``). ``cost`` None: the model states none, and no
    share is reported."""

    model: Any
    numbers: dict[str, float] = field(default_factory=dict)
    evaluations: int = 0
    kept_share: float = 1.0  # of the solver's evaluations that are still made
    _frames: int = 0
    _full: float = 0.0
    _attention: float = 0.0
    _maps: float = 0.0
    _saved: float = 0.0
    _saved_attention: float = 0.0
    _saved_maps: float = 0.0

    def actions(self, sites: Any) -> list[Action]:
        """What it watches: the state and the embedded memory of every evaluation, where there are such."""
        if not {"state", "memory_embedded"} <= {site.name for site in sites.sites}:
            return []
        return [
            Observe(places(sites, "state")[0], self._saw_state),
            Observe(places(sites, "memory_embedded")[0], self._saw_memory),
        ]

    def _saw_state(self, state: Any) -> None:
        self._frames = int(state.shape[1])

    def _saw_memory(self, memory: Any) -> None:
        self.evaluations += 1
        if isinstance(self.model, Costed):
            self._cost = cost = self.model.cost(self._frames, int(memory.shape[1]))
            self._full += cost.total
            self._attention += cost.layers * cost.self_attention
            self._maps += cost.layers

    def map_reused(self) -> None:
        """One layer took a map instead of computing one."""
        if cost := self._known:
            self._left_out(cost.attention_map, cost.attention_map, 1)

    def attention_skipped(self) -> None:
        """One layer left out its self-attention."""
        if cost := self._known:
            self._left_out(cost.self_attention, cost.self_attention, 1)

    def block_skipped(self) -> None:
        """One layer was left out whole."""
        if cost := self._known:
            self._left_out(cost.layer, cost.self_attention, 1)

    def cross_skipped(self) -> None:
        """One layer left out its cross-attention."""
        if cost := self._known:
            self._left_out(cost.cross_attention, 0.0, 0)

    def drain(self) -> Mapping[str, float]:
        """Shares since the last call; nothing where the network was not called."""
        found = dict(self.numbers)
        if self._full:
            kept = self.kept_share
            found |= {
                "saved_self_attention": 1 - kept * (1 - self._saved_attention / self._attention),
                "saved_attention_maps": 1 - kept * (1 - self._saved_maps / self._maps),
                "saved_flops": 1 - kept * (1 - self._saved / self._full),
            }
        for name in ("_full", "_attention", "_maps", "_saved", "_saved_attention", "_saved_maps"):
            setattr(self, name, 0.0)
        self.evaluations, self.kept_share = 0, 1.0
        return found

    @property
    def _known(self) -> EvaluationCost | None:
        return getattr(self, "_cost", None)

    def _left_out(self, operations: float, attention: float, maps: int) -> None:
        self._saved += operations
        self._saved_attention += attention
        self._saved_maps += maps


def sited(model: Any, what: str) -> Sited:
    """``model`` as one with named sites. Raises :class:`ModelError` where it has none."""
    from otoscope.core.errors import ModelError

    if not isinstance(model, Sited):
        name = getattr(getattr(model, "card", None), "name", type(model).__name__)
        raise ModelError(f"{what} acts inside a network, and {name} has no named sites", where=name)
    return model
