"""Networks over spectrograms of a fixed length: the Whisper encoder and the Audio Spectrogram Transformer.

Both always hear a full window. What is shorter is padded inside, by the checkpoint's own feature extractor, and the
frames of the padding are cut before anyone can pool them; what is longer is refused.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoscope.core.errors import ModelError, UsageError
from otoscope.core.nouns import Layer
from otoscope.models.encoders.hf_family import Family, Tensors, sequence_states


class Whisper(Family):
    """One encoder frame covers two spectrogram frames; ``ceil(n / 320)`` of them are real at 16 kHz."""

    name = "Whisper"
    cues = frozenset({"magnitude"})
    may_lack = ("decoder.", "proj_out.")

    def setup(self) -> None:
        if self.extractor is None:
            from transformers import WhisperFeatureExtractor

            self.extractor = WhisperFeatureExtractor(feature_size=self.config.num_mel_bins)
        window = 2 * self.config.max_source_positions  # spectrogram frames
        if self.extractor.nb_max_frames != window:
            raise ModelError(
                f"its feature extractor gives {self.extractor.nb_max_frames} frames, its encoder takes {window}",
                where=self.where,
            )
        self.fixed_duration_s = self.extractor.n_samples / self.rate

    @property
    def n_states(self) -> int:
        return int(self.config.encoder_layers) + 1

    def hop_s(self, layers: Sequence[Layer]) -> float | None:
        return 2 * self.extractor.hop_length / self.rate

    def part(self, model: Any) -> Any:
        return model.get_encoder()

    def prepare(self, x: NDArray[np.float32]) -> dict[str, Any]:
        return {"input_features": self.extract(x)["input_features"]}

    def states(self, model: Any, inputs: Tensors, n: int) -> dict[Layer, Any]:
        real = math.ceil(n / (2 * self.extractor.hop_length))
        return {
            k: h[:, :, :real] for k, h in sequence_states(model(**inputs, output_hidden_states=self.numbered)).items()
        }


class SpectrogramTransformer(Family):
    """AST. ``tokens=patches`` (default): the time patches that lie wholly inside the sound, averaged over frequency
    (at least one is kept for sounds shorter than a patch). ``tokens=cls``: the mean of its two summary tokens, which
    have seen the padding. ``last`` is after the final norm, the numbered layers are not."""

    name = "the Audio Spectrogram Transformer"
    known_options = frozenset({"tokens"})
    cues = frozenset({"magnitude"})
    final_norm = True
    breaks = ("padding invariance: the padding is inside the network's attention",)

    def setup(self) -> None:
        if self.extractor is None:
            from transformers import ASTFeatureExtractor

            self.extractor = ASTFeatureExtractor(
                max_length=self.config.max_length, num_mel_bins=self.config.num_mel_bins
            )
        if self.options.get("tokens", "patches") not in ("patches", "cls"):
            raise UsageError(f"there is no tokens={self.options['tokens']}", where=self.where, fix="patches or cls.")
        if self.extractor.max_length != self.config.max_length:
            raise ModelError(
                f"its feature extractor gives {self.extractor.max_length} frames, its positions are for "
                f"{self.config.max_length}",
                where=self.where,
            )
        self._window, self._shift = round(0.025 * self.rate), round(0.01 * self.rate)
        self.min_samples = self._window
        self.fixed_duration_s = ((self.config.max_length - 1) * self._shift + self._window) / self.rate

    def hop_s(self, layers: Sequence[Layer]) -> float | None:
        if self.options.get("tokens") == "cls":
            return None
        return self.config.time_stride * self._shift / self.rate

    def prepare(self, x: NDArray[np.float32]) -> dict[str, Any]:
        return {"input_values": self.extract(x)["input_values"]}

    def states(self, model: Any, inputs: Tensors, n: int) -> dict[Layer, Any]:
        c = self.config
        per_band = (c.max_length - c.patch_size) // c.time_stride + 1
        bands = (c.num_mel_bins - c.patch_size) // c.frequency_stride + 1
        spectra = 1 + (n - self._window) // self._shift
        real = max(1, min(per_band, 1 + (spectra - c.patch_size) // c.time_stride))

        def frames(h: Any) -> Any:
            if self.options.get("tokens") == "cls":
                return h[:, :2].mean(dim=1)[:, None, None]
            patches = h[:, 2:].reshape(h.shape[0], bands, per_band, h.shape[-1])  # frequency varies slowest
            return patches.mean(dim=1)[:, None, :real]

        states = sequence_states(model(**inputs, output_hidden_states=self.numbered))
        return {k: frames(h[:, 0]) for k, h in states.items()}
