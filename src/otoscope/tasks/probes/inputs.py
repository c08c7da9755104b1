"""The sound of a probe's item: decoded, resampled, mixed to mono, cut, and padded to its batch where X-ARES pads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from otoscope.audio.resample import length_after, resample
from otoscope.audio.sinc import sinc_length, sinc_resample
from otoscope.core.audio import Audio
from otoscope.core.errors import InputError
from otoscope.tasks.probes.sources import Source

#: The sound in one channel, and the same at both ears, for networks that take two.
CLIP, DIOTIC = "clip", "diotic"


@dataclass(frozen=True)
class ProbeInputs:
    """``crop`` is the number of the piece of ``crop_s`` seconds (None: the whole). ``peers`` are the lengths (samples,
    rate) of the batch that this item is padded with, ``()`` for none. ``problem``: why there is no sound."""

    names: ClassVar[tuple[str, ...]] = (CLIP, DIOTIC)

    source: Source | None
    crop: int | None = None
    crop_s: float | None = None
    peers: tuple[tuple[int, int], ...] = ()
    resampler: str = "soxr"
    problem: str | None = None

    def render(self, rate: int) -> dict[str, Audio]:
        if self.source is None or self.problem is not None:
            raise InputError(self.problem or "there is no sound")
        at = getattr(self.source, "at", None)  # a sound that is there at several rates
        sound = (self.source if at is None else at(rate)).load()
        sound = (sinc_resample if self.resampler == "sinc" else resample)(sound, rate).mono()
        x = sound.samples
        if self.crop is not None and self.crop_s is not None:
            n = round(self.crop_s * rate)
            x = _padded(x[:, self.crop * n : (self.crop + 1) * n], n)
        if self.peers:
            length = sinc_length if self.resampler == "sinc" else length_after
            x = _padded(x, max(length(n, old, rate) for n, old in self.peers))
        found = Audio(x, rate)
        return {CLIP: found, DIOTIC: Audio(np.repeat(x, 2, axis=0), rate)}

    def describe(self) -> Any:
        own = self.source.describe() if self.source is not None else None
        # How a piece was cut, and the length it was padded to; what does nothing is not named.
        more = {"crop": [self.crop, self.crop_s], "peers": list(self.peers), "problem": self.problem}
        used = {k: v for k, v in more.items() if v not in ([None, self.crop_s], [], None)}
        return {"source": own, "resampler": self.resampler, **used}


def _padded(x: Any, n: int) -> Any:
    return x if x.shape[1] >= n else np.pad(x, ((0, 0), (0, n - x.shape[1])))
