"""Does a model keep the contract? Run it on any object: ``otoscope.check(my_encoder)``.

Each check has one sentence of result and, where there is one, a figure: the largest difference between two sets of
frames, relative to the largest value of the first. What a model's card declares under ``breaks`` is ``known`` and not
``failed``; a check that cannot be made is ``not applicable``, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from otoscope.core.audio import Audio
from otoscope.core.errors import OtoscopeError
from otoscope.core.identity import canonical
from otoscope.core.nouns import AudioLM, Card, Separator
from otoscope.models.audiolm_checks import AUDIOLM_CHECKS
from otoscope.models.checks import RATE, Check, verdict
from otoscope.models.encoder_checks import ENCODER_CHECKS
from otoscope.models.encoders.view import EncoderView
from otoscope.models.separator_checks import separator_checks

__all__ = ["Check", "check"]


def check(model: Any) -> list[Check]:
    """Every check on ``model``, in a fixed order: a name, an encoder, observer, separator or audio language model, or
    what can be adapted.

    A model that cannot even be loaded gives one failed check. Raises :class:`UsageError` on a wrong name.
    """
    from otoscope.models.resolve import resolve

    resolved = resolve(model)
    try:
        resolved.load()
    except OtoscopeError as e:
        return [Check("loads", "failed", str(e))]
    results = [Check("loads", "passed", "")]
    checks: Sequence[tuple[str, Callable[[Any], Check]]] = _OBSERVER_CHECKS
    if isinstance(resolved, EncoderView):
        checks = ENCODER_CHECKS
    elif isinstance(resolved, Separator):
        checks = separator_checks(resolved)
    elif isinstance(resolved, AudioLM):
        checks = AUDIOLM_CHECKS
    identity: tuple[str, Callable[[Any], Check]] = ("identity", partial(_identity, use=checks[0][1]))
    for name, function in (identity, *checks):
        results.append(_declared(_guarded(name, function, resolved), resolved.card))
    return results


def _guarded(name: str, function: Callable[[Any], Check], model: Any) -> Check:
    try:
        return replace(function(model), name=name)
    except OtoscopeError as e:
        return Check(name, "failed", str(e))
    except Exception as e:  # a third party's code: what it raises is the result
        return Check(name, "failed", f"{type(e).__name__}: {e}")


def _declared(result: Check, card: Card) -> Check:
    for entry in card.breaks:
        broken, _, reason = entry.partition(":")
        if broken.strip() == result.name and result.status == "failed":
            return replace(result, status="known", detail=f"{result.detail}; declared: {reason.strip()}")
    return result


def _identity(model: Any, use: Callable[[Any], Check]) -> Check:
    first = canonical(model.identity())
    use(model)
    return verdict(canonical(model.identity()) == first, "is plain JSON and stays the same while the model is used")


# --- observers --------------------------------------------------------------------------------------------------

#: What a question is about; a tone of 500 Hz, as in the benchmark.
_ABOUT: Mapping[str, Any] = {"frequency_hz": 500.0, "snr_db": -10.0, "configuration": "N0Spi", "f0_hz": 500.0}


def _ask(model: Any, quantity: str) -> Mapping[str, Any]:
    """One question about a tone in noise, diotic and in antiphase."""
    rate = model.card.rate or RATE
    noise = 0.05 * np.random.default_rng(3).standard_normal(rate // 2)
    tone = 0.05 * np.sin(2.0 * np.pi * 500.0 * np.arange(rate // 2) / rate)
    signals = {
        "n0": Audio(np.stack([noise, noise]).astype(np.float32), rate),
        "s0": Audio(np.stack([noise + tone, noise + tone]).astype(np.float32), rate),
        "spi": Audio(np.stack([noise + tone, noise - tone]).astype(np.float32), rate),
    }
    return model.decide(quantity, signals, _ABOUT)


def _decides(model: Any) -> Check:
    bad = []
    for quantity in sorted(model.card.quantities):
        values = [np.asarray(v, dtype=np.float64) for v in _ask(model, quantity).values()]
        if not values or not all(np.isfinite(v).all() for v in values):
            bad.append(quantity)
    if bad:
        return verdict(False, f"not finite: {', '.join(bad)}")
    asked = ", ".join(sorted(model.card.quantities))
    return verdict(bool(asked), f"asked for {asked or 'nothing'}: answers are finite")


def _decides_alike(model: Any) -> Check:
    gap = 0.0
    for quantity in sorted(model.card.quantities):
        first, second = _ask(model, quantity), _ask(model, quantity)
        for name, value in first.items():
            gap = max(gap, float(np.max(np.abs(np.asarray(value, float) - np.asarray(second[name], float)))))
    return verdict(gap == 0.0, "the same question twice has the same answer", gap)


def _unknown_quantity(model: Any) -> Check:
    try:
        _ask(model, "no-such-quantity")
    except OtoscopeError as e:
        return verdict(True, f"an unknown question is refused: {e.what}")
    return verdict(False, "answers a question that it doesn't know")


_OBSERVER_CHECKS: tuple[tuple[str, Callable[[Any], Check]], ...] = (
    ("determinism", _decides_alike),
    ("output", _decides),
    ("unknown question", _unknown_quantity),
)
