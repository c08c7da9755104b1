"""WavJEPA and WavJEPA-Nat through the code that their checkpoints bring.

The network gives (tokens, timestamps in ms): ``[B, T, D]``, or ``[B, 2, T, D]`` where it keeps the ears apart. A
parameter ``strategy`` of its ``forward``, where it has one, is set to ``raw``, the word with which the public runtime
asks for tokens per ear. Nothing here runs unless the user trusts the code and pins its revision.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoscope.core.errors import ModelError
from otoscope.core.nouns import Layer
from otoscope.models.encoders.hf_family import Family, Tensors


class WavJepaRemote(Family):
    """One layer, ``last``. ``channels`` in the name replaces the two of WavJEPA-Nat (the one of WavJEPA)."""

    name = "WavJEPA"
    known_options = frozenset({"channels"})
    final_norm = True  # the network gives its output only
    breaks = ("padding invariance: appended zeros are heard as silence, in the front end's norm and in the attention",)

    def setup(self) -> None:
        binaural = "nat" in str(self.config.model_type).lower().removeprefix("wavjepa")
        self.channels = int(self.options.get("channels", 2 if binaural else 1))

    @property
    def n_states(self) -> int:
        return 0

    @property
    def layers(self) -> tuple[Layer, ...]:
        return ("last",)

    def hop_s(self, layers: Sequence[Layer]) -> float | None:
        """2.01 s hold 200 tokens."""
        return 2.01 / 200

    def prepare(self, x: NDArray[np.float32]) -> dict[str, Any]:
        if self.extractor is None:
            return {"input_values": x if self.channels > 1 else x[:, 0]}
        takes = inspect.signature(type(self.extractor).__call__).parameters
        how: dict[str, Any] = {"return_tensors": "pt"}
        if "sampling_rate" in takes or any(p.kind is inspect.Parameter.VAR_KEYWORD for p in takes.values()):
            how["sampling_rate"] = self.rate
        try:
            values = np.asarray(self.extractor([one if len(one) > 1 else one[0] for one in x], **how)["input_values"])
        except Exception as e:  # the checkpoint's code, on input that passed our checks
            raise ModelError(f"its feature extractor failed: {type(e).__name__}: {e}", where=self.where) from e
        return {"input_values": values}

    def states(self, model: Any, inputs: Tensors, n: int) -> dict[Layer, Any]:
        how = {"strategy": "raw"} if "strategy" in inspect.signature(model.forward).parameters else {}
        output = model(inputs["input_values"], **how)
        tokens = getattr(output, "last_hidden_state", None)
        if tokens is None:
            tokens = output[0]
        if tokens.ndim == 3:
            tokens = tokens[:, None]  # averaged over the ears inside
        if tokens.ndim != 4 or tokens.shape[1] not in (1, self.channels):
            raise ModelError(
                f"its tokens have shape {tuple(tokens.shape)}, expected [B, T, D] or [B, {self.channels}, T, D]",
                where=self.where,
            )
        return {"last": tokens}
