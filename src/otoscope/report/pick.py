"""Finding scores: by model, condition and metric at once, then by factors; and one layer of each model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from otoscope.core.items import Factor
from otoscope.results.scoring import Score


class Pick:
    """An index of scores. Where two scores answer the same question, the first one given is taken."""

    def __init__(self, scores: Iterable[Score]) -> None:
        self.scores = list(scores)
        self._index: dict[tuple[str, str, str], list[Score]] = {}
        for s in self.scores:
            self._index.setdefault((s.model, s.condition, s.metric), []).append(s)

    def __iter__(self) -> Iterator[Score]:
        return iter(self.scores)

    def __bool__(self) -> bool:
        return bool(self.scores)

    def all(self, model: str, metric: str, condition: str = "intact", **factors: Factor) -> list[Score]:
        """Scores whose factors include the given ones, in the order given."""
        found = self._index.get((model, condition, metric), [])
        return [s for s in found if all(s.factors.get(k) == v for k, v in factors.items())]

    def one(self, model: str, metric: str, condition: str = "intact", **factors: Factor) -> Score | None:
        return next(iter(self.all(model, metric, condition, **factors)), None)

    def models(self, *metrics: str) -> list[str]:
        return list(dict.fromkeys(model for model, _, metric in self._index if not metrics or metric in metrics))

    def conditions(self) -> list[str]:
        return list(dict.fromkeys(condition for _, condition, _ in self._index))

    def numbers(self, factor: str, *metrics: str) -> list[float | int]:
        """The sorted values that a numeric factor takes."""
        found = {s.factors[factor] for s in self.scores if factor in s.factors and (not metrics or s.metric in metrics)}
        return sorted(v for v in found if isinstance(v, int | float))

    def words(self, factor: str) -> list[str]:
        """The values of a factor in order of first occurrence."""
        return list(dict.fromkeys(str(s.factors[factor]) for s in self.scores if factor in s.factors))


def last_layer_only(scores: Iterable[Score]) -> list[Score]:
    """Scores of each model's last layer, without the factor ``layer``; scores without a layer as they are."""
    scores = list(scores)
    last = {model: layers[-1] for model, layers in layers_of(scores).items()}
    out = []
    for s in scores:
        if "layer" not in s.factors:
            out.append(s)
        elif s.factors["layer"] == last[s.model]:
            out.append(replace(s, factors={k: v for k, v in s.factors.items() if k != "layer"}))
    return out


def layers_of(scores: Iterable[Score]) -> dict[str, list[Factor]]:
    """Per model the layers that were read, lowest first; a named layer ("last") comes after the numbered ones."""
    found: dict[str, set[Factor]] = {}
    for s in scores:
        if "layer" in s.factors:
            found.setdefault(s.model, set()).add(s.factors["layer"])
    return {m: sorted(layers, key=_layer_order) for m, layers in found.items()}


def _layer_order(layer: Factor) -> tuple[int, float, str]:
    return (0, float(layer), "") if isinstance(layer, int | float) else (1, 0.0, str(layer))


def variants(scores: Sequence[Score]) -> list[str]:
    """What tells scores of one task apart beside model and condition: its parameters, the seed, the intervention."""
    return list(dict.fromkeys(variant(s) for s in scores))


def variant(score: Score) -> str:
    parts = [score.task]
    if score.seed:
        parts.append(f"seed {score.seed}")
    if score.intervention != "none":
        parts.append(score.intervention)
    return ", ".join(parts)
