"""Batches for CLAP's encoder: :class:`.collate.Layout` with CLAP's own features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from otoscope.audio.resample import resample
from otoscope.core.audio import Audio
from otoscope.core.errors import ModelError
from otoscope.training.uniwhisper.collate import Layout
from otoscope.training.uniwhisper.records import RATE


class ClapLayout(Layout):
    """:class:`Layout` with CLAP's features."""

    def features(self, waves: Sequence[NDArray[np.float32]], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Log-mel ``[B, 1, mels, F]`` of whole windows by the extractor, and the real frames of each."""
        rate, hop, longest = int(self.extractor.sampling_rate), int(self.extractor.hop_length), max(map(len, waves))
        if longest > self.extractor.max_length_s * RATE:
            what = f"a sound has {longest} samples, the encoder's window {self.extractor.max_length_s * RATE:g}"
            raise ModelError(what, where="collate")
        high = [resample(Audio(w[None], RATE), rate).samples[0] for w in waves]
        mel = self.extractor(high, sampling_rate=rate, return_tensors="pt").input_features
        frames = torch.tensor([max(1, -(-len(w) * rate // (RATE * hop))) for w in waves])
        return mel.float().transpose(2, 3).contiguous(), frames.clamp(max=mel.shape[2])
