"""What a run of the separation task says: interventions against the bare model, and ways of saving against each other.

Every figure is paired over items. Ways of saving come in ladders: one rival at several settings. LSAC's headline
(arXiv 2606.10046), its loss against that of fewer solver steps, is asked at equal savings of three kinds, against both
readings of "fewer steps", and is undefined where either loss cannot be told from nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from otoscope.core.naming import Spec, parse_spec
from otoscope.results.compare import Comparison, compare
from otoscope.results.duels import Duel, duel
from otoscope.results.store import Results
from otoscope.results.trades import BASELINE, Setting, Trade, settings, trades
from otoscope.stats.bootstrap import mean_intervals
from otoscope.stats.grouping import group_codes, group_spread
from otoscope.stats.intervals import Interval
from otoscope.stats.power import smallest_detectable_effect

#: Ladders of rivals: the parameter that makes a rung.
RUNG = {"fewer-steps": "steps", "output-reuse": "every", "block-reuse": "every"}
METHOD, PLACEBO = "lsac", "placebo"
#: Interventions that are there to save; all others are probes.
SAVERS = (METHOD, PLACEBO, *RUNG)
#: Metrics of which more is better, and in which a loss is meant.
QUALITY = ("si_sdr_db", "sar_db", "stoi", "pesq", "pesq_nb", "latent_cosine")
#: What may be equal between rivals.
SAVINGS = ("saved_self_attention", "saved_flops", "saved_seconds")
#: Sign flips behind a probe's p: with fewer, none of some hundred could fall below 0.05 after the correction.
PERMUTATIONS = 200_000
#: Both readings of "fewer steps", by the name of their ladder.
FEWER_STEPS = {"fewer-steps": "re-spaced", "fewer-steps:how=truncated": "stopped early"}


@dataclass(frozen=True)
class Selection:
    """What choosing layers is worth: the placebo's loss less the method's with the same plan sizes, over items and over
    the placebo's ``n_draws``."""

    method: str
    metric: str
    worth: Interval
    n_draws: int


@dataclass(frozen=True)
class Rivalry:
    """One setting's ways of saving: what each loses and saves, and who wins at equal savings."""

    setting: Setting
    seed: int = 0

    @cached_property
    def ladders(self) -> dict[str, list[str]]:
        """Rungs by the name of their ladder, in the order of the run."""
        found: dict[str, list[str]] = {}
        for name in self.setting.interventions:
            if (ladder := ladder_of(name)) is not None:
                found.setdefault(ladder, []).append(name)
        return found

    @property
    def methods(self) -> list[str]:
        """The method at its settings, in the order of the run."""
        return [n for n in self.setting.interventions if is_called(n, METHOD)]

    @cached_property
    def metrics(self) -> list[str]:
        """Those of :data:`QUALITY` that have values here."""
        values = self.setting.values[BASELINE]
        return [m for m in QUALITY if np.isfinite(values[m]).any()]

    @cached_property
    def trades(self) -> dict[str, dict[str, Trade]]:
        """Loss and savings by intervention, of every way of saving, then by metric where it has a value."""
        names = [n for n in self.setting.interventions if is_saver(n)]
        found: dict[str, dict[str, Trade]] = {}
        for metric in self.metrics:
            for t in trades(self.setting, metric, SAVINGS, names=names, seed=self.seed):
                found.setdefault(t.intervention, {})[metric] = t
        return found

    @cached_property
    def duels(self) -> dict[tuple[str, str], list[Duel]]:
        """Every setting of the method against both readings of fewer steps, by metric and what is saved."""
        rivals = [(ladder, rungs) for ladder, rungs in self.ladders.items() if ladder in FEWER_STEPS]
        return {
            (metric, saving): [
                duel(self.setting, method, ladder, rungs, metric=metric, saving=saving, seed=self.seed)
                for method in self.methods
                for ladder, rungs in rivals
            ]
            for metric in self.metrics
            for saving in SAVINGS
        }

    @cached_property
    def flat(self) -> list[str]:
        """Metrics of which fewer solver steps lose nothing that can be told from 0: there nobody can save better than
        by leaving steps out."""
        rungs = [r for ladder in FEWER_STEPS for r in self.ladders.get(ladder, ())]
        seen = {m for r in rungs for m, t in self.trades.get(r, {}).items() if t.loss.low > 0}
        return [m for m in self.metrics if m not in seen]

    def selection(self, metric: str) -> list[Selection]:
        """The method against its placebo, where both were run with the same plan."""
        found = []
        for method in self.methods:
            twins = [n for n in self.setting.interventions if _is_placebo_of(n, method)]
            if not twins:
                continue
            more = np.mean([self.setting.loss(n, metric) for n in twins], axis=0) - self.setting.loss(method, metric)
            worth = mean_intervals(more[None], self.setting.groups.tolist(), seed=self.seed)[0]
            found.append(Selection(method, metric, worth, len(twins)))
        return found

    def detectable(self, intervention: str, metric: str) -> tuple[float, int]:
        """The least mean loss that as many groups as here, with losses spread as here, show with probability 0.8 (two
        sides, 0.05, uncorrected), and the number of groups. NaN for fewer than two."""
        losses = self.setting.loss(intervention, metric)
        kept = np.isfinite(losses)
        codes, n = group_codes(self.setting.groups[kept].tolist(), int(kept.sum()))
        return smallest_detectable_effect(n, float(group_spread(losses[kept][None], codes)[0])), n


@dataclass(frozen=True)
class Study:
    """All of it for one run directory."""

    results: Results
    seed: int = 0

    @cached_property
    def settings(self) -> list[Setting]:
        return settings(self.results, (*QUALITY, *SAVINGS, "fidelity_si_sdr_db"))

    @cached_property
    def rivalries(self) -> list[Rivalry]:
        """Settings in which the method, or a ladder, was run."""
        found = [Rivalry(s, self.seed) for s in self.settings]
        return [r for r in found if r.methods or r.ladders]

    @cached_property
    def probes(self) -> list[Comparison]:
        """Every probe against the bare model, with p corrected for all of them (Holm), by task, model and probe in the
        order of the run."""
        names = list(dict.fromkeys(n for s in self.settings for n in s.interventions if not is_saver(n)))
        if not names:
            return []
        found = compare(
            self.results, "intervention", BASELINE, QUALITY, others=names, seed=self.seed, n_permutations=PERMUTATIONS
        )
        where = {(s.task, s.condition, s.model): i for i, s in enumerate(self.settings)}
        kept = [c for c in found if c.n and c.metric in QUALITY]
        return sorted(kept, key=lambda c: (where[c.task, c.fixed["condition"], c.fixed["model"]], names.index(c.other)))

    def least_p(self, n_groups: int) -> float:
        """The least p after Holm's correction that a probe over so many groups could have, whatever the effect. Only
        comparisons over more groups can come before it, so it is multiplied by the number of the others at least."""
        own = _least_flip(n_groups)
        return min(1.0, own * sum(_least_flip(c.n_groups) >= own for c in self.probes if c.p is not None))

    def __iter__(self) -> Iterator[Rivalry]:
        return iter(self.rivalries)


def _least_flip(n_groups: int) -> float:
    """The least p of sign flips: all equal, of all patterns, or of as many as are drawn."""
    return max(2.0 ** (1 - n_groups), 1 / (1 + PERMUTATIONS))


def ladder_of(intervention: str) -> str | None:
    """The ladder that an intervention is a rung of."""
    spec = parse_spec(intervention)
    if spec.name not in RUNG or not isinstance(spec.params.get(RUNG[spec.name], 0), int):  # text: a composition
        return None
    rest = spec.without(RUNG[spec.name])
    return str(rest.without("how") if rest.params.get("how") == "respaced" else rest)


def is_called(intervention: str, name: str) -> bool:
    return parse_spec(intervention).name == name


def is_saver(intervention: str) -> bool:
    """Whether an intervention (of a composition the first) is there to save."""
    return any(is_called(intervention, name) for name in SAVERS)


def by_probe(found: Sequence[Comparison]) -> Mapping[tuple[str, ...], dict[str, Comparison]]:
    """Comparisons by (task, condition, model, target, intervention), then by metric."""
    out: dict[tuple[str, ...], dict[str, Comparison]] = {}
    for c in found:
        key = (c.task, c.fixed["condition"], c.fixed["model"], str(c.factors.get("target", "")), c.other)
        out.setdefault(key, {})[c.metric] = c
    return out


def _is_placebo_of(name: str, method: str) -> bool:
    if not is_called(name, PLACEBO):
        return False
    mine, other = parse_spec(name).without("seed"), parse_spec(method)
    return Spec(METHOD, mine.params) == other
