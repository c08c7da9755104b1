"""What differs between families of audio networks in ``transformers``: how a sound goes in, which tensors are layers.

A family names the parts of a network and acts at them; no modelling code is copied. Layers are numbered as the library
numbers hidden states: 0 enters the first transformer block, ``n`` leaves the n-th, ``last`` is the network's output.
Where the output is hidden state ``n`` itself, ``all`` means 0..n; where a final norm follows, ``all`` has ``last`` too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from otoscope.core.errors import InputError, ModelError, UsageError
from otoscope.core.nouns import Layer
from otoscope.models.encoders.contract import select_layers

Tensors = Mapping[str, Any]


class Family:
    """Base of the families. ``config`` is the library's, ``extractor`` the checkpoint's feature extractor or None,
    ``options`` what the name says (``normalize``, ``tokens``); a family refuses options that it doesn't know."""

    name: ClassVar[str] = ""
    known_options: ClassVar[frozenset[str]] = frozenset()
    cues: ClassVar[frozenset[str]] = frozenset({"waveform"})
    #: Weights that a checkpoint may lack because no frame depends on them.
    may_lack: ClassVar[tuple[str, ...]] = ()
    #: The network's output differs from its last hidden state.
    final_norm: ClassVar[bool] = False
    notes: ClassVar[tuple[str, ...]] = ()
    breaks: tuple[str, ...] = ()
    channels: int = 1
    min_samples: int = 1
    fixed_duration_s: float | None = None

    #: Whether the coming pass has to keep its numbered layers: they cost memory, and time to get it.
    numbered: bool = True

    def __init__(self, config: Any, extractor: Any, options: Mapping[str, Any], where: str) -> None:
        self.config, self.extractor, self.options, self.where = config, extractor, options, where
        check_options(type(self), options, where)
        self.setup()

    def setup(self) -> None:
        """Read what is needed from the config; refuse what cannot be used."""

    @property
    def rate(self) -> int:
        for thing, attribute in ((self.extractor, "sampling_rate"), (self.config, "sampling_rate")):
            value = getattr(thing, attribute, None)
            if isinstance(value, int) and value > 0:
                return value
        return 16_000

    @property
    def n_states(self) -> int:
        """Numbered layers: 0 .. n_states - 1."""
        return int(self.config.num_hidden_layers) + 1

    @property
    def layers(self) -> tuple[Layer, ...]:
        return (*range(self.n_states), "last")

    def hop_s(self, layers: Sequence[Layer]) -> float | None:
        """Seconds between frames of these layers; None where unknown, or where they differ."""
        return None

    def part(self, model: Any) -> Any:
        """The part of the loaded network that is run."""
        return model

    def sited(self, model: Any) -> Any:
        """The part of :meth:`part` that the family's site map describes: one that is called as a whole."""
        return model

    def prepare(self, x: NDArray[np.float32]) -> dict[str, Any]:
        """``[B, C, n]`` -> arrays for the network."""
        raise NotImplementedError

    def states(self, model: Any, inputs: Tensors, n: int) -> dict[Layer, Any]:
        """Layers as tensors ``[B, C, T, D]``, frames of the real ``n`` samples only; always has ``last``, and the
        numbered ones where :attr:`numbered` asks for them."""
        raise NotImplementedError

    # --- shared by families ---

    def check_length(self, n: int) -> None:
        """Raise :class:`InputError` where ``n`` samples are fewer than one frame, or more than the network can take."""
        if n < self.min_samples:
            raise InputError(
                f"{n} samples are fewer than one frame needs ({self.min_samples})",
                where=self.where,
                fix=f"Use sounds of at least {self.min_samples / self.rate:.3f} s.",
            )
        if self.fixed_duration_s is not None and n > round(self.fixed_duration_s * self.rate):
            raise InputError(
                f"a sound of {n / self.rate:.2f} s is longer than the network hears ({self.fixed_duration_s:.2f} s)",
                where=self.where,
                fix="Split it; nothing is cut silently.",
            )

    def select(self, layers: Sequence[Layer] | None) -> dict[Layer, Layer]:
        """Wanted layers -> keys of :meth:`states`, under the names they come out with."""
        out: dict[Layer, Layer] = {}
        for layer in ["last"] if layers is None else layers:
            if layer == "last":
                out["last"] = "last"
                continue
            out.update({k: k for k in select_layers([layer], self.n_states, self.where)})
            if layer == "all" and self.final_norm:
                out["last"] = "last"
        return out

    def extract(self, x: NDArray[np.float32], **how: Any) -> dict[str, Any]:
        """The checkpoint's own feature extractor over ``[B, C, n]``; raises :class:`ModelError` where it breaks."""
        sounds = [one[0] if one.shape[0] == 1 else one for one in x]
        try:
            return dict(self.extractor(sounds, sampling_rate=self.rate, return_tensors="np", **how))
        except Exception as e:  # somebody else's code, on input that passed our checks
            raise ModelError(f"its feature extractor failed: {type(e).__name__}: {e}", where=self.where) from e


def check_options(family: type[Family], options: Mapping[str, Any], where: str) -> None:
    """Raise :class:`UsageError` on an option that ``family`` doesn't have."""
    for key in options:
        if key not in family.known_options:
            known = ", ".join(sorted(family.known_options)) or "no options of its own"
            raise UsageError(f"has no parameter {key!r}", where=where, fix=f"{family.name} has {known}.")


def sequence_states(output: Any) -> dict[Layer, Any]:
    """Hidden states ``[B, T, D]`` of a library output as ``{0: [B, 1, T, D], ..., "last": ...}``."""
    states: dict[Layer, Any] = {i: h[:, None] for i, h in enumerate(output.hidden_states or ())}
    states["last"] = output.last_hidden_state[:, None]
    return states


#: Model types and the modules that know them.
_WAVEFORM = (
    "data2vec-audio",
    "hubert",
    "unispeech",
    "unispeech-sat",
    "wav2vec2",
    "wav2vec2-conformer",
    "wavlm",
)
_MODULES = {
    **dict.fromkeys(_WAVEFORM, ("hf_waveform", "Waveform")),
    "whisper": ("hf_spectrogram", "Whisper"),
    "audio-spectrogram-transformer": ("hf_spectrogram", "SpectrogramTransformer"),
    "clap": ("hf_clap", "Clap"),
    "encodec": ("hf_codecs", "Encodec"),
    "dac": ("hf_codecs", "Dac"),
    "mimi": ("hf_codecs", "Mimi"),
    "xcodec": ("hf_codecs", "Xcodec"),
    **dict.fromkeys(
        ("wavjepa", "wavjepa-base", "wavjepa-nat", "wavjepa_nat", "wavjepa-nat-base"), ("hf_wavjepa", "WavJepaRemote")
    ),
}


def family_of(model_type: str) -> type[Family]:
    """The family of a config's ``model_type``; what none knows is treated generically. Imports no network."""
    import importlib

    module, name = _MODULES.get(model_type, ("hf_generic", "Generic"))
    return getattr(importlib.import_module(f"otoscope.models.encoders.{module}"), name)
