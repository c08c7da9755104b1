"""CLAP's audio encoder (HTSAT), unfused.

It always hears a full window. What is shorter is repeated and filled up by the checkpoint's own feature extractor, and
the frames past the sound are cut; what is longer is refused. Its stages differ in width and rate, so there is one
layer: the last states, averaged over frequency.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoscope.core.errors import ModelError
from otoscope.core.nouns import Layer
from otoscope.models.encoders.hf_family import Family, Tensors


def steps_of(config: Any) -> int:
    """Steps in time of the last states of a window, by the config of a ``ClapAudioModel``."""
    fold = config.spec_size // config.num_mel_bins  # a window is folded so often into the image
    return int(config.spec_size // config.patch_stride[1] // 2 ** (len(config.depths) - 1) * fold)


def spectra_of(extractor: Any) -> int:
    """Mel frames of a window."""
    return int(1 + extractor.nb_max_samples // extractor.hop_length)


def over_bands(output: Any) -> Any:
    """``[B, T, D]``: the last states ``[B, D, bands, T]`` of a ``ClapAudioModel``, averaged over frequency."""
    return output.last_hidden_state.mean(2).transpose(1, 2)


class Clap(Family):
    """A frame covers ``window / steps`` seconds (10.01 s in 32 frames in the published sizes)."""

    name = "CLAP"
    cues = frozenset({"magnitude"})
    breaks = ("padding invariance: the padding is inside the network's attention",)

    def setup(self) -> None:
        if self.extractor is None:
            from transformers import ClapFeatureExtractor

            self.extractor = ClapFeatureExtractor(truncation="rand_trunc")
        audio = self.config.audio_config
        if audio.enable_fusion:
            what = "fuses several views of a sound, and its feature extractor draws which by chance"
            raise ModelError(what, where=self.where, fix="Use an unfused checkpoint.")
        self.fixed_duration_s = self.extractor.nb_max_samples / self.rate
        self._steps, self._spectra = steps_of(audio), spectra_of(self.extractor)

    @property
    def n_states(self) -> int:
        return 1

    def hop_s(self, layers: Sequence[Layer]) -> float | None:
        return self._spectra * self.extractor.hop_length / self.rate / self._steps

    def part(self, model: Any) -> Any:
        return model.audio_model

    def prepare(self, x: NDArray[np.float32]) -> dict[str, Any]:
        return {"input_features": np.asarray(self.extract(x)["input_features"], dtype=np.float32)}

    def states(self, model: Any, inputs: Tensors, n: int) -> dict[Layer, Any]:
        spectra = math.ceil(n / self.extractor.hop_length)
        real = max(1, min(self._steps, math.ceil(spectra * self._steps / self._spectra)))
        last = over_bands(model(input_features=inputs["input_features"]))[:, None, :real]
        return {0: last, "last": last}
