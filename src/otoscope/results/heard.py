"""Scores that are no held-out figures, because the model was trained on recordings of their items."""

from __future__ import annotations

from collections.abc import Iterable

from otoscope.results.scoring import Score


def heard_before(scores: Iterable[Score]) -> list[str]:
    """A sentence for each model and task of which a score rests on items of the model's training."""
    most: dict[tuple[str, str], tuple[int, int]] = {}
    for s in scores:
        if s.n_in_training:
            key = (s.model, s.task)
            most[key] = max(most.get(key, (0, 0)), (s.n_in_training, s.n))
    return [
        f"{model} was trained on recordings of {known} of {n} items of {task}"
        for (model, task), (known, n) in most.items()
    ]
