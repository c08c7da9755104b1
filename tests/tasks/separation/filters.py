"""Real separators and interventions without a network. Named in tests as ``file:.../filters.py#BandSplit``."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from otoscope.audio.signals import band_pass
from otoscope.core.audio import Audio
from otoscope.core.errors import ModelError
from otoscope.core.nouns import Card, Stems

CALLS: list[tuple[float, int]] = []  # (edge, noise seed) of every call in this process


class BandSplit:
    """The target is what lies below ``edge_hz``. ``fails_on`` is a prompt that it cannot take."""

    def __init__(self, edge_hz: float = 1000.0, fails_on: str = "", rate: int = 16000) -> None:
        self.edge_hz, self.fails_on, self.rate = edge_hz, fails_on, rate

    @property
    def card(self) -> Card:
        return Card("band-split", "separator", "low band against high band", rate=self.rate, channels=1)

    def identity(self):
        return {"separator": "band-split", "edge_hz": self.edge_hz, "fails_on": self.fails_on, "rate": self.rate}

    def load(self) -> None:
        return None

    def separate(self, mixtures, prompts, noise_seeds):
        return [self._one(m, p, s) for m, p, s in zip(mixtures, prompts, noise_seeds, strict=True)]

    def _one(self, mixture, prompt, seed):
        CALLS.append((self.edge_hz, seed))
        if self.fails_on and prompt.text == self.fails_on:
            raise ModelError(f"cannot find {prompt.text}", where="band-split")
        x = mixture.samples.astype(np.float64)
        low = band_pass(x, mixture.rate, (0.0, self.edge_hz))
        latents = np.abs(np.fft.rfft(low[0]))[:2000].reshape(-1, 8).astype(np.float32)
        target, rest = Audio(low.astype(np.float32), mixture.rate), Audio((x - low).astype(np.float32), mixture.rate)
        return Stems(target, rest, latents, evaluations=4)


class Wrong(BandSplit):
    """Gives a stem of another length."""

    def _one(self, mixture, prompt, seed):
        stems = super()._one(mixture, prompt, seed)
        return Stems(Audio(stems.target.samples[:, :-1], mixture.rate), stems.residual)


class Unfinished:
    """Lacks card, identity and load."""

    def separate(self, mixtures, prompts, noise_seeds):
        return []


class _Report:
    def __init__(self, share: float) -> None:
        self.share, self.drained = share, 0

    def drain(self):
        self.drained += 1
        return {"saved_self_attention": self.share, "saved_flops": self.share / 4, "drains": float(self.drained)}


@dataclass(frozen=True)
class MoveEdge:
    """Moves the edge by ``by_hz`` while it is entered."""

    by_hz: float = 500.0
    share: float = 0.25

    def identity(self):
        return {"class": "move-edge", "by_hz": self.by_hz, "share": self.share}

    @contextmanager
    def on(self, model):
        before = model.edge_hz
        model.edge_hz = before + self.by_hz
        try:
            yield _Report(self.share)
        finally:
            model.edge_hz = before
