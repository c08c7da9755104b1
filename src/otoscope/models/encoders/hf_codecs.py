"""Neural codecs: EnCodec, DAC, Mimi, X-Codec. Frames are what enters the quantiser, so nothing is lost to codes.

They have one layer (Mimi: its transformer's too). The encoder part is watched while the library's own ``encode`` runs,
so chunking and level normalisation happen as in use.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoscope.core.nouns import Layer
from otoscope.models.encoders.capture import capture
from otoscope.models.encoders.hf_family import Family, Tensors


class _Codec(Family):
    @property
    def n_states(self) -> int:
        return 1

    @property
    def hop(self) -> int:
        """Samples between frames."""
        return int(self.config.hop_length)

    def hop_s(self, layers: Sequence[Layer]) -> float | None:
        return self.hop / self.rate

    def prepare(self, x: NDArray[np.float32]) -> dict[str, Any]:
        return {"input_values": x}

    def single(self, z: Any, n: int) -> dict[Layer, Any]:
        """``[B, D, T]`` -> the one layer, frames that begin inside the sound."""
        frames = z.transpose(1, 2)[:, None, : math.ceil(n / self.hop)]
        return {0: frames, "last": frames}


class Encodec(_Codec):
    """``normalize`` overrides the checkpoint's: the 48 kHz model divides every chunk of 1 s by the RMS of the mono sum.

    Chunks are cut as the library cuts them, without padding the last one. Frames that begin in the overlap with the
    chunk before are left out, so every moment counts once (and half a frame is lost at a border).
    """

    name = "EnCodec"
    known_options = frozenset({"normalize"})
    may_lack = ("decoder.",)

    def sited(self, model: Any) -> Any:
        return model.encoder

    def setup(self) -> None:
        if "normalize" in self.options:
            self.config.normalize = bool(self.options["normalize"])
        self.channels = int(self.config.audio_channels)
        if self.config.normalize:
            self.breaks = ("padding invariance: appended zeros change the RMS that a chunk is divided by",)
        if self.config.chunk_length is not None:
            self.breaks = (*self.breaks, "stride: half a frame is lost at every chunk border")

    def states(self, model: Any, inputs: Tensors, n: int) -> dict[Layer, Any]:
        import torch

        with capture({"z": model.encoder}) as seen:
            model.encode(inputs["input_values"])
        chunks = seen["z"]
        if len(chunks) > 1:
            overlap = math.ceil((self.config.chunk_length - self.config.chunk_stride) / self.hop)
            chunks = [chunks[0], *(z[..., overlap:] for z in chunks[1:])]
        return self.single(torch.cat(chunks, dim=-1), n)


class Dac(_Codec):
    """The sound is completed with zeros to a whole number of frames, as the library's feature extractor does."""

    name = "DAC"
    may_lack = ("decoder.",)

    def sited(self, model: Any) -> Any:
        return model.encoder

    def prepare(self, x: NDArray[np.float32]) -> dict[str, Any]:
        return {"input_values": whole_frames(x, self.hop)}

    def states(self, model: Any, inputs: Tensors, n: int) -> dict[Layer, Any]:
        return self.single(model.encoder(inputs["input_values"]), n)


class Xcodec(_Codec):
    """Acoustic (DAC) and semantic (HuBERT or WavLM) encoders, joined by a linear layer: its output is the frame."""

    name = "X-Codec"
    may_lack = ("decoder", "masked_spec_embed")

    @property
    def rate(self) -> int:
        return int(self.config.sample_rate)

    def setup(self) -> None:
        self.min_samples = self.hop

    def prepare(self, x: NDArray[np.float32]) -> dict[str, Any]:
        return {"input_values": whole_frames(x, self.hop)}

    def states(self, model: Any, inputs: Tensors, n: int) -> dict[Layer, Any]:
        with capture({"joined": model.fc}) as seen:
            model.encode(inputs["input_values"], bandwidth=self.config.target_bandwidths[0])
        return self.single(seen["joined"][0].transpose(1, 2), n)


class Mimi(_Codec):
    """Layer 0 is the convolutional encoder, 1..L its transformer (25 Hz), L+1 = ``last`` the downsampled output that
    is quantised (12.5 Hz). A request that mixes the two rates has no single hop."""

    name = "Mimi"
    may_lack = ("decoder", "upsample")

    @property
    def n_states(self) -> int:
        return int(self.config.num_hidden_layers) + 2

    @property
    def hop(self) -> int:
        return math.prod(self.config.upsampling_ratios)

    def hop_s(self, layers: Sequence[Layer]) -> float | None:
        rates = {layer in ("last", self.n_states - 1) for layer in layers}
        if len(rates) != 1:
            return None
        return (self.rate / self.config.frame_rate if rates.pop() else self.hop) / self.rate

    def states(self, model: Any, inputs: Tensors, n: int) -> dict[Layer, Any]:
        half = model.encoder if hasattr(model.encoder, "encoder_seanet") else model  # since 5.23 a half of its own
        convolutions = half.encoder_seanet if half is not model else model.encoder
        parts = {0: convolutions, "last": half.downsample}
        parts.update({i + 1: layer for i, layer in enumerate(half.encoder_transformer.layers)})
        with capture(parts) as seen:
            model.encode(inputs["input_values"], num_quantizers=self.config.num_semantic_quantizers)
        real = math.ceil(n / self.hop)
        states: dict[Layer, Any] = {0: seen[0][0].transpose(1, 2)[:, None, :real]}
        for i in range(1, self.n_states - 1):
            states[i] = seen[i][0][:, None, :real]
        last = seen["last"][0].transpose(1, 2)[:, None, : math.ceil(n * self.config.frame_rate / self.rate)]
        return {**states, self.n_states - 1: last, "last": last}


def whole_frames(x: NDArray[np.float32], hop: int) -> NDArray[np.float32]:
    """``[..., n]`` with zeros appended up to a multiple of ``hop``."""
    missing = -x.shape[-1] % hop
    return np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, missing)]) if missing else x
