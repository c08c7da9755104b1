"""A view: one encoder, the layers that are looked at, and how frames become a vector.

Everything a name can say after its colon about *looking* lives here (``layer``, ``pool``, ``channels``, ``merge``);
everything about the *network* lives in the encoder underneath. A view is itself an encoder, and adds :meth:`embed`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from otoscope.core.audio import Audio
from otoscope.core.display import Displayed, Shown
from otoscope.core.errors import ModelError
from otoscope.core.identity import digest
from otoscope.core.nouns import Card, Encoded, Encoder, Layer
from otoscope.core.sites import SiteMap
from otoscope.models.encoders.channels import apply_policy, check_policy, default_policy, stack_channels
from otoscope.models.encoders.contract import BATCH, check_encoded, check_inputs, equal_length_batches
from otoscope.models.sites import no_map
from otoscope.readouts import pooling


@dataclass(frozen=True)
class EncoderView(Displayed):
    """``encoder`` seen at ``layer`` ("last", "all", a number, negative from the end), pooled over time by ``pool`` and
    over channels by ``merge``. ``channels`` is the channel policy; None takes the default of the network (``native``
    for two channels, ``left`` for one). ``batch`` bounds memory and is not part of the identity."""

    version: ClassVar[int] = 1
    encoder: Encoder
    layer: Layer = "last"
    pool: str = "mean"
    channels: str | None = None
    merge: str | None = None
    batch: int = field(default=BATCH, compare=False)

    def __post_init__(self) -> None:
        card = self.encoder.card
        policy = self.channels or default_policy(card.channels)
        check_policy(policy, card.channels, card.name)
        object.__setattr__(self, "channels", policy)
        object.__setattr__(self, "merge", self.merge or ("concat" if policy == "per-channel-concat" else "mean"))
        pooling.check_pool(self.pool)
        pooling.check_merge(str(self.merge))

    @property
    def policy(self) -> str:
        """The channel policy in force."""
        return str(self.channels)

    @property
    def card(self) -> Card:
        """The encoder's card; ``extra["view"]`` says how it is looked at."""
        card = self.encoder.card
        view = {"layer": self.layer, "pool": self.pool, "channels": self.channels, "merge": self.merge}
        return replace(card, extra={**card.extra, "view": view})

    def identity(self) -> Mapping[str, Any]:
        return {
            "kind": "view",
            "version": self.version,
            "encoder": dict(self.encoder.identity()),
            "layer": self.layer,
            "pool": self.pool,
            "channels": self.channels,
            "merge": self.merge,
            "pooling": pooling.VERSION,
        }

    def load(self) -> None:
        self.encoder.load()

    @property
    def network(self) -> Any:
        """The encoder's loaded network, where interventions act. Raises :class:`ModelError` where it has no sites."""
        return self._sited.network

    @property
    def sites(self) -> SiteMap:
        """The named places of :attr:`network`. Raises :class:`ModelError` where nobody has described them."""
        return self._sited.sites

    @property
    def _sited(self) -> Any:
        if not hasattr(type(self.encoder), "sites"):  # asked of the class: of the object it would load the network
            raise no_map(type(self.encoder).__name__, self._card.name)
        return self.encoder

    def encode(self, audio: Sequence[Audio], layers: Sequence[Layer] | None = None) -> list[Encoded]:
        """Frames ``[C, T, D]`` per layer of each sound, at ``card.rate``; the channel policy is applied, so stereo
        sounds may go into a mono network. ``layers=None``: the layer of this view.

        Raises :class:`InputError` on a sound that does not suit and :class:`ModelError` on an output that breaks the
        contract; both name the position.
        """
        if not audio:
            return []
        self.load()
        heard: list[Audio] = []
        origin: list[int] = []
        for i, sound in enumerate(audio):
            parts = apply_policy(self.policy, sound, self._card.channels, i, self._card.name)
            heard += parts
            origin += [i] * len(parts)
        frames = self._frames(heard, origin, layers if layers is not None else [self.layer])
        found: list[list[Encoded]] = [[] for _ in audio]
        for i, one in zip(origin, frames, strict=True):
            found[i].append(one)
        return [self._join(parts) for parts in found]

    def embed(self, audio: Sequence[Audio]) -> list[dict[Layer, NDArray[np.float32]]]:
        """One vector per layer for each sound: :meth:`encode`, pooled over time, channels merged."""
        return [self._vectors(one) for one in self.encode(audio)]

    def embed_frames(
        self, audio: Sequence[Audio]
    ) -> list[tuple[dict[Layer, NDArray[np.float32]], dict[Layer, NDArray[np.float32]], float | None]]:
        """Of one pass: what :meth:`embed` gives, the frames ``[T, D]`` of each layer with channels merged, and the time
        between them in s (None: unknown)."""
        found = []
        for one in self.encode(audio):
            frames = {k: pooling.merge_frames(f, str(self.merge)) for k, f in one.frames.items()}
            found.append((self._vectors(one), frames, one.hop_s))
        return found

    def _vectors(self, one: Encoded) -> dict[Layer, NDArray[np.float32]]:
        return {k: pooling.pool(f, time=self.pool, merge=str(self.merge)) for k, f in one.frames.items()}

    def key(self, sound: Audio) -> str:
        """sha256 of what the network hears of ``sound``: equal keys have equal vectors. Through ``channels=left`` all
        sounds that share a left ear share one key, so distances between them are zero exactly."""
        parts = apply_policy(self.policy, sound, self._card.channels, 0, self._card.name)
        return digest([p.digest() for p in parts])

    def fresh(self) -> EncoderView:
        """The same view over an encoder that has not been loaded yet. :class:`ModelError` where that can't be had."""
        make = getattr(self.encoder, "fresh", None)
        if make is None:
            raise ModelError("cannot be loaded a second time", where=self._card.name)
        return replace(self, encoder=make())

    @property
    def _card(self) -> Card:
        return self.encoder.card

    def _frames(self, heard: Sequence[Audio], origin: Sequence[int], layers: Sequence[Layer]) -> list[Encoded]:
        """Frames of each heard sound. Sounds that are bit-equal go through the network once."""
        check_inputs(self._card, heard)
        first: dict[str, int] = {}
        same = [first.setdefault(sound.digest(), i) for i, sound in enumerate(heard)]
        once = list(first.values())
        found: dict[int, Encoded] = {}
        for group in equal_length_batches([heard[i] for i in once], self.batch):
            members = [once[k] for k in group]
            encoded = self.encoder.encode([heard[i] for i in members], layers)
            check_encoded(self._card.name, encoded, len(members), [origin[i] for i in members])
            found.update(zip(members, encoded, strict=True))
        return [found[i] for i in same]

    def _join(self, parts: Sequence[Encoded]) -> Encoded:
        first = parts[0]
        frames = {k: stack_channels([p.frames[k] for p in parts], self._card.name) for k in first.frames}
        return Encoded({k: f.astype(np.float32, copy=False) for k, f in frames.items()}, first.hop_s)

    def shown(self) -> Shown:
        """The encoder's own display, with how it is looked at."""
        facts = self.card.facts()
        name = f"{facts.pop('model')} ({type(self).__name__})"
        inner = self.encoder.shown() if isinstance(self.encoder, Displayed) else Shown(name)
        return replace(inner, title=name, facts=facts)

    def __repr__(self) -> str:
        return f"EncoderView({self._card.name}, layer={self.layer}, pool={self.pool}, channels={self.channels})"


#: What a view can be asked for in a name.
VIEW_PARAMS = ("layer", "pool", "channels", "merge")
