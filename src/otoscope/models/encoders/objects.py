"""A user's object or module as an encoder: its card, what identifies it, and how it is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from otoscope.core.audio import Audio
from otoscope.core.errors import InputError, ModelError, OtoscopeError
from otoscope.core.nouns import Card, Encoded, Encoder, Layer
from otoscope.core.sites import SiteMap
from otoscope.models import devices
from otoscope.models.encoders.contract import BATCH, as_frames, check_inputs, equal_length_batches, pick_layers
from otoscope.models.encoders.fingerprint import code_digest, object_digest
from otoscope.models.shown import ShownModel
from otoscope.models.sites import no_map
from otoscope.models.weights import state_digest


@dataclass(frozen=True)
class Origin:
    """Where an object came from. ``again`` makes another one like it; ``rate`` and ``channels`` replace its own."""

    name: str
    made: Any
    params: Mapping[str, Any]
    source: Path | None = None
    again: Callable[[], Encoder] | None = None
    rate: int | None = None
    channels: int | None = None

    def card(self) -> Card:
        """The card, from attributes. Raises :class:`ModelError` where ``rate`` or ``channels`` are missing."""
        rate = self.rate if self.rate is not None else self._whole("rate")
        channels = self.channels if self.channels is not None else self._whole("channels")
        doc = (type(self.made).__doc__ or "").strip().splitlines()
        return Card(
            name=self.name,
            capability="encoder",
            summary=str(getattr(self.made, "summary", "") or (doc[0] if doc else "an encoder of yours")),
            rate=rate,
            channels=channels,
            cues=frozenset(getattr(self.made, "declared_cues", ())),
            licence=str(getattr(self.made, "licence", "")),
            layers=tuple(getattr(self.made, "layers", ("last",))) if not _is_child(self.made, "layers") else ("last",),
            notes=tuple(getattr(self.made, "notes", ())),
            breaks=tuple(getattr(self.made, "breaks", ())),
            trained_on=frozenset(getattr(self.made, "trained_on", ())),
        )

    def _whole(self, attribute: str) -> int:
        value = getattr(self.made, attribute, None)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            got = "has no" if value is None else f"has {attribute} = {value!r}, which is no whole"
            raise ModelError(
                f"{got} {attribute}" if value is None else got,
                where=self.name,
                fix=f"Set {attribute} on the class, or write {self.name}:{attribute}=...",
            )
        return value


class _ObjectEncoder(ShownModel):
    version: ClassVar[int] = 1

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self._card = origin.card()
        self._identity: dict[str, Any] | None = None

    @property
    def card(self) -> Card:
        return self._card

    @property
    def hop_s(self) -> float | None:
        """Seconds between frames, if the object says so."""
        value = getattr(self.origin.made, "hop_s", None)
        return float(value) if isinstance(value, int | float) else None

    def identity(self) -> Mapping[str, Any]:
        """Made once, before the object is used: what it computes later cannot change it."""
        if self._identity is None:
            o = self.origin
            self._identity = {
                "kind": type(self).__name__,
                "version": self.version,
                "class": type(o.made).__qualname__,
                "code": code_digest(type(o.made), o.source),
                "params": dict(o.params),
                "rate": self.card.rate,
                "channels": self.card.channels,
                **self._state(),
            }
        return self._identity

    def load(self) -> None:
        """Nothing more to load than what the constructor did."""

    def encode(self, audio: Sequence[Audio], layers: Sequence[Layer] | None = None) -> list[Encoded]:
        """Frames per layer; sounds of different length go in separate calls. What the object raises becomes a
        :class:`ModelError` with the shape that it was given."""
        self.load()
        check_inputs(self.card, audio)
        out: list[Encoded | None] = [None] * len(audio)
        for group in equal_length_batches(audio, BATCH):
            x = np.stack([audio[i].samples for i in group])
            states = pick_layers(self._states(x), layers, self.card.name)
            for row, i in enumerate(group):
                out[i] = Encoded({k: h[row] for k, h in states.items()}, self.hop_s)
        return [one for one in out if one is not None]

    def fresh(self) -> Encoder:
        """Another one, made the same way. Raises :class:`ModelError` for an object that was handed over finished."""
        if self.origin.again is None:
            raise ModelError("exists as an object only and cannot be made again", where=self.card.name)
        return self.origin.again()

    def _states(self, x: NDArray[np.float32]) -> Mapping[Layer, NDArray[np.float32]]:
        try:
            raw = self._run(x)
        except OtoscopeError:
            raise
        except Exception as e:
            what = f"failed on an input of shape {x.shape}: {type(e).__name__}: {' '.join(str(e).split())[:300]}"
            raise ModelError(what, where=self.card.name) from e
        named = raw if isinstance(raw, Mapping) else {"last": raw}
        if not named:
            raise ModelError("gave no layer", where=self.card.name)
        return {k: as_frames(v, x.shape[0], x.shape[1], self.card.name) for k, v in named.items()}

    def _run(self, x: NDArray[np.float32]) -> Any:
        raise NotImplementedError

    def _state(self) -> dict[str, Any]:
        raise NotImplementedError


class ArrayEncoder(_ObjectEncoder):
    """An object with ``encode(x: ndarray [B, C, n])``."""

    def _run(self, x: NDArray[np.float32]) -> Any:
        return self.origin.made.encode(x)

    def _state(self) -> dict[str, Any]:
        return {"object": object_digest(self.origin.made, self.card.name)}


class TorchEncoder(_ObjectEncoder):
    """A ``torch.nn.Module``. Handing a module over puts it in evaluation mode, in float32, on the device. It is
    identified by its state dict, unless it has an ``identity()`` of its own."""

    def __init__(self, origin: Origin, *, device: str = "cpu", random_seed: int | None = None) -> None:
        super().__init__(origin)
        self.device, self.random_seed, self._ready = device, random_seed, False
        if random_seed is not None:
            from otoscope.models.encoders.reinit import reinitialise

            reinitialise(origin.made, random_seed, self.card.name)

    def load(self) -> None:
        if not self._ready:
            self.identity()  # of the weights as they are, before they move
            device = devices.pick(self.device)
            devices.settle()
            self.origin.made.eval().float().to(device)
            self._ready = True

    @property
    def network(self) -> Any:
        """The module, loaded."""
        self.load()
        return self.origin.made

    @property
    def sites(self) -> SiteMap:
        """The module's own ``sites``. Raises :class:`ModelError` where it brings none."""
        found = getattr(self.origin.made, "sites", None)
        if not isinstance(found, SiteMap):
            raise no_map(type(self.origin.made).__name__, self.card.name)
        return found

    def _run(self, x: NDArray[np.float32]) -> Any:
        import torch

        if x.shape[-1] == 0:
            raise InputError("the sound is empty", where=self.card.name)
        with torch.no_grad():
            raw = self.origin.made(torch.from_numpy(x).to(devices.pick(self.device)))
        return _arrays(raw)

    def _state(self) -> dict[str, Any]:
        made = self.origin.made
        own = getattr(made, "identity", None)
        out: dict[str, Any]
        if callable(own):
            out = {"object": object_digest(made, self.card.name)}
        else:
            out = {"state": state_digest(made.state_dict())}
        return out if self.random_seed is None else {**out, "init": "random", "seed": self.random_seed}


def _arrays(raw: Any) -> Any:
    """What a module returned -> an array, or arrays by layer."""
    last = getattr(raw, "last_hidden_state", None)
    if last is not None:
        hidden = getattr(raw, "hidden_states", None) or ()
        return {**{i: _numpy(h) for i, h in enumerate(hidden)}, "last": _numpy(last)}
    if isinstance(raw, Mapping):
        return {k: _numpy(v) for k, v in raw.items()}
    if isinstance(raw, tuple | list) and raw:
        return _numpy(raw[0])
    return _numpy(raw)


def _numpy(value: Any) -> Any:
    """A tensor in float32 on the CPU, as an array; integers keep their kind, so that the contract can refuse them."""
    if not hasattr(value, "detach"):
        return value
    value = value.detach().cpu()
    return (value.float() if value.is_floating_point() else value).numpy()


def _is_child(made: Any, attribute: str) -> bool:
    """Whether an attribute is a part of the network and no description: many networks call their blocks ``layers``."""
    return hasattr(getattr(made, attribute, None), "state_dict")
