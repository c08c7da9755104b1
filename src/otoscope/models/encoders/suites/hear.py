"""A module that was written for HEAR: ``load_model``, ``get_timestamp_embeddings``, ``get_scene_embeddings``.

``load_model(path)`` gives an object with ``sample_rate`` (Hz), ``timestamp_embedding_size`` and
``scene_embedding_size``; audio is ``[B, n]`` in [-1, 1]; timestamps are in ms (J. Turian et al., arXiv 2203.03022;
HEAR's common API, 2021). ``weights=`` is the path; ``embeddings=scene`` looks at scene embeddings, which HEAR pools
itself, instead of those in time, which are pooled here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from otoscope.core.errors import ModelError, UsageError
from otoscope.core.naming import Scalar
from otoscope.core.nouns import Encoder
from otoscope.models.encoders.adapt import adapt

if TYPE_CHECKING:
    from otoscope.models.encoders.suites.source import Foreign

API = ("load_model", "get_timestamp_embeddings", "get_scene_embeddings")
EMBEDDINGS = ("timestamps", "scene")
#: Longest deviation of a timestamp's distance from the mean one (ms), as HEAR's validator has it.
JITTER_MS = 1.0


class HearNetwork(torch.nn.Module):
    """What :class:`~otoscope.models.encoders.objects.TorchEncoder` takes, around a model of HEAR. ``hop_s`` is known
    once there was a sound: only timestamps say it."""

    channels = 1

    def __init__(self, api: Any, model: Any, embeddings: str, where: str) -> None:
        from otoscope.models.encoders.suites.source import number

        super().__init__()
        if not isinstance(model, torch.nn.Module):
            what = f"its load_model gives a {type(model).__name__}, and only torch modules are run here"
            raise ModelError(what, where=where)
        self.model, self.api, self.embeddings, self.where = model, api, embeddings, where
        self.rate = int(number(model, "sample_rate", where))
        size = {"timestamps": "timestamp_embedding_size", "scene": "scene_embedding_size"}[embeddings]
        self.width = int(number(model, size, where))
        self.hop_s: float | None = None
        self.summary = f"{getattr(api, '__name__', 'a module')}, written for HEAR"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[B, 1, n]`` -> ``[B, T, D]``, or ``[B, D]`` of scenes. Raises :class:`ModelError` on anything else."""
        if self.embeddings == "scene":
            scene = self.api.get_scene_embeddings(x[:, 0], self.model)
            self._check(scene, (len(x), self.width))
            return scene  # type: ignore[no-any-return]
        found = self.api.get_timestamp_embeddings(x[:, 0], self.model)
        if not isinstance(found, tuple | list) or len(found) != 2:
            raise ModelError("get_timestamp_embeddings gives no pair of embeddings and timestamps", where=self.where)
        y, stamps = found
        self._check(y, (len(x), -1, self.width))
        self._check(stamps, tuple(y.shape[:2]))
        self.hop_s = self._hop(stamps.double().cpu(), 1000 * x.shape[-1] / self.rate)
        return y  # type: ignore[no-any-return]

    def _check(self, y: Any, shape: tuple[int, ...]) -> None:
        got = tuple(y.shape) if isinstance(y, torch.Tensor) else type(y).__name__
        fits = isinstance(got, tuple) and len(got) == len(shape)
        if not fits or any(w not in (-1, g) for g, w in zip(got, shape, strict=True)):
            told = ", ".join("T" if w == -1 else str(w) for w in shape)
            raise ModelError(f"gave {got}, and HEAR takes [{told}]", where=self.where)

    def _hop(self, stamps: torch.Tensor, length_ms: float) -> float | None:
        """Seconds between frames. Raises :class:`ModelError` where they are not evenly spaced within the sound."""
        if stamps.shape[1] < 2:
            return None
        steps = stamps.diff(dim=1)
        mean = float((stamps[0, -1] - stamps[0, 0]) / (stamps.shape[1] - 1))
        if not mean > 0 or float((steps - mean).abs().max()) > JITTER_MS:
            raise ModelError(f"timestamps are not evenly spaced (by {mean:g} ms on the average)", where=self.where)
        if float(stamps.max()) > length_ms or float(stamps.min()) < 0:
            what = f"timestamps run from {float(stamps.min()):g} to {float(stamps.max()):g} ms"
            raise ModelError(f"{what}, and the sound from 0 to {length_ms:g}", where=self.where)
        return mean / 1000


def hear_encoder(found: Foreign, params: Mapping[str, Scalar], **more: Any) -> Encoder:
    """The encoder of a file or module; ``more`` is :func:`adapt`'s.

    Raises :class:`UsageError` on a parameter that does not exist."""
    if found.attribute:
        raise UsageError("HEAR's interface is a module, not an object of it", where=found.name, fix="Leave out the #.")
    given = {"embeddings": "timestamps", **params}
    if given["embeddings"] not in EMBEDDINGS:
        raise UsageError(f"there is no embeddings={given['embeddings']}", fix=f"Use {' or '.join(EMBEDDINGS)}.")
    module, path = found.load()
    lacking = [f for f in API if not callable(getattr(module, f, None))]
    if lacking:
        raise UsageError(f"defines no {lacking[0]}, which HEAR asks for", where=found.place)

    def make(embeddings: str, weights: str | None = None, **own: Any) -> HearNetwork:
        model = module.load_model(**own) if weights is None else module.load_model(str(weights), **own)
        return HearNetwork(module, model, embeddings, found.place)

    return adapt(make, name=found.name, params=given, source=path, **more)
