"""An encoder of ours as another suite takes it: what ``otoscope export`` writes, and what the written file runs.

The file is short: it names the model, says the sha256 of its identity (so that other weights under the same name are
refused), and derives from :class:`XaresExport` or :class:`HearExport`. Whoever runs it needs otoscope installed.
Sounds come in with one channel; a network of two channels hears it in both.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from otoscope.core.audio import Audio
from otoscope.core.errors import ModelError, UsageError
from otoscope.core.identity import digest
from otoscope.core.naming import Spec, parse_spec
from otoscope.models.encoders.view import EncoderView
from otoscope.models.resolve import FOREIGN, resolve

#: Rate at which a model without a rate of its own hears the sounds (Hz).
RATE = 16_000
#: Rates of the sounds that HEAR hands out (Hz).
HEAR_RATES = (16_000, 22_050, 32_000, 44_100, 48_000)
SUITES = ("xares", "hear")


@dataclass(frozen=True)
class Facts:
    """What a suite wants to be told: Hz, dimensions of a frame and of a pooled vector, seconds between frames."""

    rate: int
    width: int
    vector: int
    hop_s: float


class _Export(torch.nn.Module):
    """``model`` is the name; ``identity`` the sha256 of what it was when it was written."""

    model: ClassVar[str] = ""
    identity: ClassVar[str] = ""
    trust_remote_code: ClassVar[bool] = False
    device: ClassVar[str] = "auto"

    def __init__(self) -> None:
        super().__init__()
        self.view = _view(self.model, trust=self.trust_remote_code, device=self.device)
        found = identity_of(self.view)
        if self.identity and found != self.identity:
            what = f"is no longer what was exported: its identity is {found[:12]}, and was {self.identity[:12]}"
            raise ModelError(what, where=self.model, fix="Export it again, or bring the old weights back.")
        self.view.load()

    def embed(self, audio: torch.Tensor) -> list[tuple[NDArray[np.float32], NDArray[np.float32], float | None]]:
        """Of each row of ``[B, n]`` (or of ``[n]``): pooled vector ``[D]``, frames ``[T, D]``, s between them."""
        if audio.ndim not in (1, 2):
            raise ModelError(f"takes audio [B, n] or [n], and got {tuple(audio.shape)}", where=self.model)
        rows = np.atleast_2d(audio.detach().cpu().float().numpy())
        return _embed(self.view, rows)


class XaresExport(_Export):
    """Base of encoders that are written for X-ARES; a subclass says ``sampling_rate`` and so on."""

    sampling_rate: ClassVar[int]
    output_dim: ClassVar[int]
    hop_size_in_ms: ClassVar[float]

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        """``[B, n]`` (or ``[n]``) at ``sampling_rate`` -> frames ``[B, T, D]``."""
        return _tensor([frames for _, frames, _ in self.embed(audio)], audio)


class HearExport(_Export):
    """Base of the model that a module written for HEAR loads."""

    sample_rate: ClassVar[int]
    timestamp_embedding_size: ClassVar[int]
    scene_embedding_size: ClassVar[int]


def get_scene_embeddings(audio: torch.Tensor, model: HearExport) -> torch.Tensor:
    """``[B, n]`` -> pooled vectors ``[B, D]``."""
    return _tensor([vector for vector, _, _ in model.embed(audio)], audio)


def get_timestamp_embeddings(audio: torch.Tensor, model: HearExport) -> tuple[torch.Tensor, torch.Tensor]:
    """``[B, n]`` -> frames ``[B, T, D]``, and their times ``[B, T]`` in ms: a hop apart, and as far from the sound's
    begin as from its end."""
    found = model.embed(audio)
    y = _tensor([frames for _, frames, _ in found], audio)
    length_ms = 1000 * audio.shape[-1] / model.sample_rate
    hop_ms = 1000 * (found[0][2] or length_ms / 1000 / y.shape[1])
    first = (length_ms - (y.shape[1] - 1) * hop_ms) / 2
    if first < 0:
        what = f"gave {y.shape[1]} frames of {hop_ms:g} ms for {length_ms:g} ms, so timestamps would leave the sound"
        raise ModelError(what, where=model.model)
    stamps = first + hop_ms * torch.arange(y.shape[1], dtype=torch.float64)
    return y, stamps.repeat(len(y), 1).to(audio.device)


def export(name: str, suite: str, out: Path, *, trust_remote_code: bool = False) -> Facts:
    """Write ``out``, a Python file that is ``name`` to ``suite`` (``xares`` or ``hear``). The model is loaded and heard
    once. Raises :class:`UsageError` where the suite cannot take it, or where ``out`` exists."""
    if suite not in SUITES:
        raise UsageError(f"there is no suite {suite!r}", fix=f"Use {' or '.join(SUITES)}.")
    if out.suffix != ".py" or not out.stem.isidentifier():
        raise UsageError("is no name of a Python module", where=str(out), fix="Write a name like my_encoder.py.")
    if out.exists():
        raise UsageError("is there already", where=str(out), fix="Delete it, or name another file.")
    spec = _anchored(parse_spec(name))
    view = _view(str(spec), trust=trust_remote_code, device="cpu")
    facts = _facts(view, suite)
    text = (_XARES if suite == "xares" else _HEAR).format(
        about=view.card.name.replace('"', "'").replace("\\", "/"), name=str(spec), identity=identity_of(view),
        cls=f"{_words(spec)}{identity_of(view)[:8]}", trust=trust_remote_code,
        rate=facts.rate, width=facts.width, vector=facts.vector, hop=round(1000 * facts.hop_s, 6),
    )  # fmt: skip
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8")
    return facts


def identity_of(view: EncoderView) -> str:
    """sha256 of everything that can change what the view gives."""
    return digest(view.identity(), 64)


def _view(name: str, *, trust: bool, device: str) -> EncoderView:
    found = resolve(name, trust_remote_code=trust, device=device)
    if not isinstance(found, EncoderView):
        raise UsageError(f"is of the kind {found.card.capability!r}, and suites take encoders", where=name)
    if found.layer == "all":
        raise UsageError("gives all layers, and suites take one", where=name, fix="Choose one: layer=last, layer=5.")
    return found


def _facts(view: EncoderView, suite: str) -> Facts:
    where = view.card.name
    rate = view.card.rate or RATE
    if suite == "xares" and view.pool != "mean":
        what = f"pools by {view.pool}, and X-ARES pools frames itself, by their mean"
        raise UsageError(what, where=where, fix="Leave out pool=.")
    if suite == "hear" and rate not in HEAR_RATES:
        what = f"takes {rate} Hz, and HEAR hands out {', '.join(map(str, HEAR_RATES))}"
        raise UsageError(what, where=where, fix="Name a model of one of these rates.")
    noise = np.random.default_rng(0).standard_normal((1, 2 * rate)) * 0.1
    ((vector, frames, hop_s),) = _embed(view, noise.astype(np.float32))
    if hop_s is None:
        what = "does not say how far apart its frames are, which the suite must be told"
        raise UsageError(what, where=where, fix="Set hop_s on its class, in seconds.")
    return Facts(rate, frames.shape[1], len(vector), hop_s)


def _embed(
    view: EncoderView, rows: NDArray[np.float32]
) -> list[tuple[NDArray[np.float32], NDArray[np.float32], float | None]]:
    both = view.policy in ("right", "per-channel-concat") or (view.policy == "native" and view.card.channels > 1)
    channels = 1 if not both else 2 if view.policy != "native" else view.card.channels
    rate = view.card.rate or RATE
    heard = view.embed_frames([Audio(np.repeat(row[None], channels, axis=0), rate) for row in rows])
    return [(next(iter(v.values())), next(iter(f.values())), hop) for v, f, hop in heard]


def _tensor(found: Sequence[NDArray[np.float32]], like: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(np.stack(found)).to(like.device)


def _anchored(spec: Spec) -> Spec:
    """Relative paths made absolute: the file is run from anywhere."""
    prefix = next((p for p in ("file:", *FOREIGN) if spec.name.startswith(p)), "")
    place, mark, attribute = spec.name.removeprefix(prefix).partition("#")
    if (prefix and Path(place).expanduser().is_file()) or Path(place).expanduser().is_dir():
        place = str(Path(place).expanduser().resolve())
    told = spec.params.get("path")
    params = dict(spec.params)
    if isinstance(told, str) and Path(told).expanduser().exists():
        params["path"] = str(Path(told).expanduser().resolve())
    return Spec(f"{prefix}{place}{mark}{attribute}", params)


def _words(spec: Spec) -> str:
    """The beginning of a class name: X-ARES keeps embeddings and scores under it."""
    last = re.split(r"[/\\#:]", spec.name)[-1].removesuffix(".py")
    return "".join(w.capitalize() for w in re.findall(r"[A-Za-z0-9]+", last) if w) or "Model"


_XARES = '''"""{about} for X-ARES. Written by otoscope export, which must be installed where this is run."""

from otoscope.models.encoders.suites.written import XaresExport


class Otoscope{cls}Encoder(XaresExport):
    """X-ARES keeps embeddings and scores by this name: it holds the beginning of the model's identity."""

    model = {name!r}
    identity = "{identity}"
    trust_remote_code = {trust}
    sampling_rate = {rate}
    output_dim = {width}
    hop_size_in_ms = {hop!r}
'''

_HEAR = '''"""{about} for HEAR. Written by otoscope export, which must be installed where this is run."""

from otoscope.models.encoders.suites.written import HearExport, get_scene_embeddings, get_timestamp_embeddings

__all__ = ["get_scene_embeddings", "get_timestamp_embeddings", "load_model"]


class Model(HearExport):
    model = {name!r}
    identity = "{identity}"
    trust_remote_code = {trust}
    sample_rate = {rate}
    timestamp_embedding_size = {width}
    scene_embedding_size = {vector}


def load_model(model_file_path=""):
    """The path is of no use: the model is found by its name."""
    return Model()
'''
