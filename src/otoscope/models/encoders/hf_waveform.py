"""wav2vec 2.0, HuBERT, WavLM, data2vec-audio, UniSpeech(-SAT), wav2vec2-conformer: waveform in, frames out.

The checkpoint's feature extractor (zero mean and unit variance per sound, where it says so) is part of the model.
Sounds are never padded, so no attention mask is needed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoscope.core.nouns import Layer
from otoscope.models.encoders.hf_family import Family, Tensors, sequence_states


class Waveform(Family):
    """``normalize`` overrides the checkpoint's ``do_normalize``; without a feature extractor it is on."""

    name = "the wav2vec 2.0 family"
    known_options = frozenset({"normalize"})
    may_lack = ("masked_spec_embed",)

    def setup(self) -> None:
        if self.extractor is None:
            from transformers import Wav2Vec2FeatureExtractor

            self.extractor = Wav2Vec2FeatureExtractor()
        if "normalize" in self.options:
            self.extractor.do_normalize = bool(self.options["normalize"])
        needed = 1  # the receptive field of the convolutions
        for kernel, stride in reversed(list(zip(self.config.conv_kernel, self.config.conv_stride, strict=True))):
            needed = (needed - 1) * stride + kernel
        self.min_samples = needed

    def hop_s(self, layers: Sequence[Layer]) -> float | None:
        if "last" in layers and getattr(self.config, "add_adapter", False):
            return None  # the adapter has a stride of its own
        return math.prod(self.config.conv_stride) / self.rate

    def prepare(self, x: NDArray[np.float32]) -> dict[str, Any]:
        return {"input_values": self.extract(x, padding=False)["input_values"]}

    def states(self, model: Any, inputs: Tensors, n: int) -> dict[Layer, Any]:
        return sequence_states(model(**inputs, output_hidden_states=self.numbered))
