"""Any other audio network of ``transformers`` whose output has hidden states ``[B, T, D]``.

The checkpoint's feature extractor makes the input; an attention mask that it gives is passed on and says how many
frames are real. Where none of this fits, the error says that an adapter of a few lines is needed.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoscope.core.errors import ModelError
from otoscope.core.nouns import Layer
from otoscope.models.encoders.hf_family import Family, Tensors

_ADAPTER = "Write a small class with rate, channels and encode(x), and name it file:my_model.py#MyModel."
_MASKS = ("attention_mask", "input_features_mask", "padding_mask")


class Generic(Family):
    """``channels=2`` in the name hands the feature extractor arrays ``[2, n]``."""

    name = "a generic audio network"
    known_options = frozenset({"channels"})
    cues = frozenset()  # unknown
    final_norm = True  # unknown, so `last` is kept apart from the numbered layers

    def setup(self) -> None:
        if self.extractor is None:
            raise ModelError(
                f"has no feature extractor, and model type {self.config.model_type!r} has no known default",
                where=self.where,
                fix=_ADAPTER,
            )
        self.channels = int(self.options.get("channels", 1))

    @property
    def n_states(self) -> int:
        for name in ("encoder_layers", "encoder_num_hidden_layers", "num_hidden_layers", "n_layer"):
            if isinstance(value := getattr(self.config, name, None), int):
                return value + 1
        return 1

    def part(self, model: Any) -> Any:
        return model.get_encoder() if getattr(self.config, "is_encoder_decoder", False) else model

    def prepare(self, x: NDArray[np.float32]) -> dict[str, Any]:
        return {k: np.asarray(v) for k, v in self.extract(x).items()}

    def states(self, model: Any, inputs: Tensors, n: int) -> dict[Layer, Any]:
        output = model(**_accepted(model, {**inputs, "output_hidden_states": True}))
        last = getattr(output, "last_hidden_state", None)
        if last is None:
            last = output[0]
        hidden = getattr(output, "hidden_states", None)
        tensors: dict[Layer, Any] = dict(enumerate(hidden)) if isinstance(hidden, tuple | list) else {}
        tensors["last"] = last
        return {k: self._frames(h, inputs) for k, h in tensors.items()}

    def _frames(self, h: Any, inputs: Tensors) -> Any:
        if h.ndim == 4 and h.shape[1] in (1, self.channels):
            return h
        if h.ndim != 3:
            raise ModelError(
                f"its hidden states have shape {tuple(h.shape)}, expected [B, T, D]", where=self.where, fix=_ADAPTER
            )
        mask = next((inputs[m] for m in _MASKS if m in inputs and inputs[m].ndim == 2), None)
        if mask is None:
            return h[:, None]
        lengths = mask.long().sum(dim=1)  # sounds of a batch are equally long, so one count serves all
        real = math.ceil(int(lengths[0]) * h.shape[1] / mask.shape[1])
        return h[:, None, :real]


def _accepted(model: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs that the network's ``forward`` has a name for."""
    parameters = inspect.signature(model.forward).parameters.values()
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters):
        return dict(inputs)
    names = {p.name for p in parameters}
    return {k: v for k, v in inputs.items() if k in names}
