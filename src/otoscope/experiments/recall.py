"""What an encoder gave before: the runner's side of the embedding store.

A batch is found only whole, by its sounds in their order: then its numbers are those that encoding it now would give.
A batch in which a sound failed is not kept. Seconds are not kept either: rows of a recalled sound have none, for they
were measured elsewhere, if at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoscope.core.identity import digest
from otoscope.core.nouns import Layer
from otoscope.experiments.ask_encode import Heard
from otoscope.results.embeddings import Bank, Damaged, EmbeddingStore
from otoscope.results.shardfiles import Recalled


@dataclass
class Recall:
    """Batches of one model. ``n_stored`` sounds were found, ``n_encoded`` were not; ``damaged`` says which files were
    not as they were written (their sounds are encoded and kept anew)."""

    bank: Bank
    layer: Layer
    n_stored: int = 0
    n_encoded: int = 0
    damaged: tuple[str, ...] = ()

    def counts(self) -> Recalled:
        """For the record of the shard."""
        return Recalled(self.n_stored, self.n_encoded, len(self.damaged))

    def find(self, sounds: Sequence[str], frames: bool) -> list[Heard] | None:
        """What the batch ``sounds`` (their digests) gave, or None. A batch of all layers, and one with frames, also
        answers for less."""
        for layer, framed in _answering(self.layer, frames):
            try:
                found = self.bank.read(_key(sounds, layer, framed), lambda name: frames or not name.startswith("frame"))
                if found is not None and (wanted := _wanted(found[1]["layers"], self.layer)):
                    self.n_stored += len(sounds)
                    return _heard(*found, wanted)
            except Damaged as e:
                self.damaged += (str(e),)
        self.n_encoded += len(sounds)
        return None

    def keep(self, sounds: Sequence[str], found: Sequence[Heard], frames: bool) -> None:
        """Keep what the whole batch gave."""
        first = found[0]
        arrays: dict[str, NDArray[Any]] = {}
        for i, layer in enumerate(first.vectors):
            arrays[f"vectors.{i}"] = np.stack([h.vectors[layer] for h in found])
            if frames:
                own = [h.frames[layer] for h in found]
                arrays[f"frames.{i}"] = np.concatenate(own)
                arrays[f"frames_at.{i}"] = np.cumsum([0, *(len(f) for f in own)], dtype=np.int64)
        about = {
            "sounds": list(sounds),
            "layers": list(first.vectors),
            "hop_s": [h.hop_s for h in found],
        }
        self.bank.write(_key(sounds, self.layer, frames), arrays, about)


def recall_of(store: EmbeddingStore, model: Any, batch: int) -> Recall | None:
    """The memory of ``model``, where it is an encoder's view; None for models that give no vectors. How it is run
    (sounds at once, kind of device) counts here, unlike in results: the last bits of a vector depend on it."""
    identity = dict(model.identity())
    if identity.get("kind") != "view":
        return None
    layer = identity.pop("layer")
    identity["run"] = {"batch": batch, "passes": model.batch, "device": _device(model.encoder)}
    return Recall(store.bank(model.card.name, identity), layer)


def _device(encoder: Any) -> str:
    told = getattr(encoder, "device", "cpu")
    if told == "cpu":
        return "cpu"
    from otoscope.models import devices

    return str(devices.pick(str(told)).type)


def _answering(layer: Layer, frames: bool) -> list[tuple[Layer, bool]]:
    layers = [layer] if layer == "all" else [layer, "all"]
    return [(one, framed) for one in layers for framed in ((True,) if frames else (False, True))]


def _key(sounds: Sequence[str], layer: Layer, frames: bool) -> str:
    return digest({"sounds": list(sounds), "layer": layer, "frames": frames}, 40)


def _heard(arrays: Mapping[str, NDArray[Any]], about: Any, wanted: Mapping[Layer, int]) -> list[Heard]:
    found = []
    for row, hop_s in enumerate(about["hop_s"]):
        vectors = {name: arrays[f"vectors.{i}"][row] for name, i in wanted.items()}
        frames = {}
        for name, i in wanted.items():
            if f"frames.{i}" in arrays:
                start, stop = arrays[f"frames_at.{i}"][row : row + 2]
                frames[name] = arrays[f"frames.{i}"][start:stop]
        found.append(Heard(vectors, frames, hop_s))
    return found


def _wanted(layers: Sequence[Layer], layer: Layer) -> dict[Layer, int]:
    """Name in the answer -> position among ``layers``, which are in order of depth; nothing where they lack it."""
    if layer == "all" or list(layers) == [layer]:
        return {name: i for i, name in enumerate(layers)}
    if layer in layers:
        return {layer: layers.index(layer)}
    if layer == "last":
        return {"last": len(layers) - 1}
    numbered = [name for name in layers if isinstance(name, int)]
    if isinstance(layer, int) and -len(numbered) <= layer < 0:
        return {numbered[layer]: layers.index(numbered[layer])}
    if len(layers) == 1:  # asked for by a name that stands for another: -1
        return {layers[0]: 0}
    return {}
