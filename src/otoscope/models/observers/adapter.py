"""The analytic observers as models: what they can be asked, and how the benchmark's sounds reach them.

``bmld_db`` is a BMLD in dB, from the formula or from the signals of a triplet; ``variable`` is the decision variables
of each interval of a forced choice, for the same learned listener that reads embeddings.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from otoscope.audio.binaural import BinauralSpec
from otoscope.audio.stimuli import render, triplet
from otoscope.core.audio import Audio
from otoscope.core.errors import InputError, ModelError
from otoscope.core.identity import jsonable
from otoscope.core.items import Factor
from otoscope.core.nouns import Card, Decision
from otoscope.models.observers.coherence import CoherenceObserver
from otoscope.models.observers.ec import ECDurlach, ec_durlach_bmld
from otoscope.models.observers.ec_chen2026 import ECChen2026
from otoscope.models.observers.ec_signal import ECSignal
from otoscope.models.observers.gcc_phat import GccPhat
from otoscope.models.shown import ShownModel

Float = NDArray[np.float64]
About = Mapping[str, Factor]

#: Noises that an EC listener learns its delay from, and their root seed: no item of a benchmark uses it.
ENSEMBLE = 20
ENSEMBLE_SEED = 990_000_000


class _Observer(ShownModel):
    """What all share: nothing to load, an identity from name, version and parameters."""

    version: ClassVar[int] = 1
    card: Card

    def identity(self) -> Mapping[str, Any]:
        return {"observer": self.card.name, "version": self.version, "parameters": jsonable(self.parameters())}

    def parameters(self) -> Any:
        return {}

    def load(self) -> None:
        return None

    def decide(self, quantity: str, signals: Mapping[str, Audio], about: About) -> Decision:
        if quantity not in self.card.quantities:
            known = ", ".join(sorted(self.card.quantities))
            raise ModelError(f"cannot be asked for {quantity!r}", where=self.card.name, fix=f"It knows: {known}.")
        return self.answer(quantity, signals, about)

    def answer(self, quantity: str, signals: Mapping[str, Audio], about: About) -> Decision:
        raise NotImplementedError


@dataclass(frozen=True)
class ClosedForm(_Observer):
    """A formula for the BMLD of a configuration; hears nothing."""

    formula: ECDurlach | ECChen2026

    @property
    def card(self) -> Card:  # type: ignore[override]
        durlach = isinstance(self.formula, ECDurlach)
        return Card(
            name=self.formula.name,
            capability="observer",
            summary=f"equalisation-cancellation, closed form ({'Durlach' if durlach else 'as plotted in 2606.14820'})",
            rate=None,
            channels=2,
            quantities=frozenset({"bmld_db"}),
            source="Durlach 1963; Colburn & Durlach 1978" if durlach else "matched to the curve in arXiv 2606.14820",
            notes=("its BMLD is a threshold difference and must not share an axis with distance ratios",),
        )

    def parameters(self) -> Any:
        return self.formula

    def answer(self, quantity: str, signals: Mapping[str, Audio], about: About) -> Decision:
        return {"bmld_db": self.formula.bmld_db(str(about["configuration"]), float(about["frequency_hz"]))}


@dataclass(frozen=True)
class SignalEC(_Observer):
    """EC on waveforms. ``bmld_db``: gain of the residual's relative increment over that of one ear, from a triplet's
    signals. ``variable``: log residual, or log power of the left ear where EC gains nothing, the delay fitted to the
    masker's ensemble."""

    name: str
    quantities: frozenset[str]
    ec: ECSignal

    @property
    def card(self) -> Card:  # type: ignore[override]
        return Card(
            name=self.name,
            capability="observer",
            summary="equalisation-cancellation on waveforms, expected jitter",
            rate=16_000,
            channels=2,
            cues=frozenset({"magnitude", "ipd"}),
            quantities=self.quantities,
            source="Durlach 1963; ensemble fit ours",
        )

    def parameters(self) -> Any:
        return self.ec

    def answer(self, quantity: str, signals: Mapping[str, Audio], about: About) -> Decision:
        frequency = float(about["frequency_hz"])
        x = {name: a.samples.astype(np.float64) for name, a in signals.items()}
        rate = next(iter(signals.values())).rate
        if quantity == "bmld_db":
            return {"bmld_db": self._gain(x, rate, frequency)}
        configuration = str(about["configuration"])
        fitted = _fitted(self.ec, configuration, frequency, rate)
        # One path at a time, the better one. Both together would be more than any listener has: in diotic noise their
        # difference has no variance at all, for the jitter enters as its expectation.
        path = 0 if ec_durlach_bmld(configuration, frequency) > 0.0 else 1
        return {name: [_logs(fitted.powers(sound, rate, frequency), name)[path]] for name, sound in x.items()}

    def _gain(self, x: Mapping[str, Float], rate: int, frequency: float) -> float:
        target = x["spi"] - x["n0"]
        fitted = self.ec.calibrate([x["n0"]], rate, frequency, target_alone=target)
        e_n, p_n = fitted.powers(x["n0"], rate, frequency)
        e_s, _ = fitted.powers(target, rate, frequency)
        _, p_s = fitted.powers(x["s0"] - x["n0"], rate, frequency)
        if min(e_n, p_n, e_s, p_s) <= 0.0:
            raise InputError(f"the band at {frequency:g} Hz is silent")
        return max(0.0, 10.0 * math.log10((e_s / e_n) / (p_s / p_n)))


def _logs(powers: tuple[float, float], name: str) -> list[float]:
    if min(powers) <= 0.0:
        raise InputError(f"interval {name!r} is silent in the target's band")
    return [math.log(p) for p in powers]


@lru_cache(maxsize=64)
def _fitted(ec: ECSignal, configuration: str, frequency: float, rate: int) -> ECSignal:
    three = triplet(_known_masker(configuration, frequency), ENSEMBLE_SEED, rate)
    noises = _ensemble(configuration, frequency, rate)
    return ec.calibrate(noises, rate, frequency, target_alone=three["spi"] - three["n0"])


def _known_masker(configuration: str, frequency: float) -> BinauralSpec:
    return BinauralSpec(frequency_hz=frequency, snr_db=0.0, duration_s=0.5).with_condition(configuration)


def _ensemble(configuration: str, frequency: float, rate: int) -> list[Float]:
    """Noises like those of the task: what an ideal listener knows of the masker."""
    noise = _known_masker(configuration, frequency).noise_alone()
    return [render(noise, ENSEMBLE_SEED + k, rate) for k in range(ENSEMBLE)]


class _Listener(_Observer):
    """An observer with one decision variable per interval."""

    observer: GccPhat | CoherenceObserver
    cues: frozenset[str]
    summary: str
    source: str

    @property
    def card(self) -> Card:  # type: ignore[override]
        return Card(
            name=self.observer.name,
            capability="observer",
            summary=self.summary,
            rate=16_000,
            channels=2,
            cues=self.cues,
            quantities=frozenset({"variable"}),
            source=self.source,
        )

    def parameters(self) -> Any:
        return self.observer

    def answer(self, quantity: str, signals: Mapping[str, Audio], about: About) -> Decision:
        frequency = float(about["frequency_hz"])
        decided = {}
        for name, sound in signals.items():
            observer = self.fitted(about, frequency, sound.rate)
            decided[name] = [observer.decision(sound.samples.astype(np.float64), sound.rate, frequency)]
        return decided

    def fitted(self, about: About, frequency: float, rate: int) -> GccPhat | CoherenceObserver:
        """The observer as it listens to this task."""
        return self.observer


class EcDurlachObserver(ClosedForm):
    """``ec-durlach``."""

    def __init__(self, sigma_eps: float = 0.25, sigma_delta: float = 105e-6) -> None:
        super().__init__(ECDurlach(sigma_eps, sigma_delta))


class EcChen2026Observer(ClosedForm):
    """``ec-chen2026``."""

    def __init__(self) -> None:
        super().__init__(ECChen2026())


class EcSignalObserver(SignalEC):
    """``ec-signal``."""

    def __init__(self) -> None:
        super().__init__("ec-signal", frozenset({"bmld_db"}), ECSignal())


class EcListenerObserver(SignalEC):
    """``ec-listener``."""

    def __init__(self) -> None:
        super().__init__("ec-listener", frozenset({"variable"}), ECSignal())


class GccPhatObserver(_Listener):
    """``gcc-phat``."""

    cues = frozenset({"gcc"})
    summary = "generalised cross-correlation with phase transform, one statistic per interval"
    source = "Knapp & Carter 1976"

    def __init__(self, sensor_noise_db: float | None = -60.0, seed: int = 0) -> None:
        self.observer = GccPhat(sensor_noise_db, seed)


class CoherenceModel(_Listener):
    """``coherence``: knows coherence and power of the masker, as fitted on its ensemble."""

    cues = frozenset({"ipd", "magnitude"})
    summary = "complex interaural coherence in the band of the target"
    source = "Encke & Dietz 2022; Eurich et al. 2022"

    def __init__(self) -> None:
        self.observer = CoherenceObserver()

    def fitted(self, about: About, frequency: float, rate: int) -> CoherenceObserver:
        return _fitted_coherence(str(about["configuration"]), frequency, rate)


@lru_cache(maxsize=64)
def _fitted_coherence(configuration: str, frequency: float, rate: int) -> CoherenceObserver:
    return CoherenceObserver().calibrate(_ensemble(configuration, frequency, rate), rate, frequency)
