"""What goes into an encoder and what must come out of it.

Nothing is padded here: sounds of unequal length go to the network in separate batches, so that no frame of a shorter
sound has seen the zeros that would make it longer. Errors name the position of the offending sound in the call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoscope.core.audio import Audio
from otoscope.core.errors import InputError, ModelError, UsageError
from otoscope.core.nouns import Card, Encoded, Layer

#: Sounds that go through a network at once unless a caller says otherwise. Never part of an identity.
BATCH = 16


def check_inputs(card: Card, audio: Sequence[Audio]) -> None:
    """Raise :class:`InputError` on a sound of another rate or channel count than ``card`` says."""
    for i, sound in enumerate(audio):
        if card.rate is not None and sound.rate != card.rate:
            raise InputError(
                f"sound {i} has {sound.rate} Hz, the model takes {card.rate} Hz",
                where=card.name,
                fix="Resample it with otoscope.audio.resample.",
            )
        if sound.channels != card.channels:
            raise InputError(
                f"sound {i} has {sound.channels} channel(s), the model takes {card.channels}",
                where=card.name,
                fix="Choose a channel policy: channels=left, right, sum or per-channel-concat.",
            )


def equal_length_batches(audio: Sequence[Audio], size: int = BATCH) -> list[list[int]]:
    """Positions of ``audio`` in batches of one length each, at most ``size``; a pure function of the order given."""
    by_length: dict[int, list[int]] = {}
    for i, sound in enumerate(audio):
        by_length.setdefault(sound.n, []).append(i)
    return [group[k : k + size] for group in by_length.values() for k in range(0, len(group), size)]


def as_frames(value: Any, batch: int, channels: int, where: str) -> NDArray[np.float32]:
    """What a user's network returned -> ``[B, C, T, D]``. Accepts ``[B, D]`` (one frame), ``[B, T, D]`` and
    ``[B, C, T, D]``; raises :class:`ModelError` on anything else."""
    x = np.asarray(value)
    if not np.issubdtype(x.dtype, np.floating):
        raise ModelError(f"gave an array of {x.dtype}, expected floating point", where=where)
    if x.ndim == 2:
        x = x[:, None, None, :]
    elif x.ndim == 3:
        x = x[:, None]
    if x.ndim != 4 or x.shape[0] != batch or x.shape[1] not in (1, channels):
        raise ModelError(
            f"gave shape {np.shape(value)} for a batch of {batch} sounds with {channels} channel(s)",
            where=where,
            fix="Return [B, T, D], [B, C, T, D] or [B, D], with as many rows as sounds.",
        )
    return x.astype(np.float32)


def check_encoded(name: str, encoded: Sequence[Encoded], n_sounds: int, positions: Sequence[int]) -> None:
    """Raise :class:`ModelError`, naming the position, unless every output is finite float32 ``[C, T, D]``."""
    if len(encoded) != n_sounds:
        raise ModelError(f"gave {len(encoded)} outputs for {n_sounds} sounds", where=name)
    for i, one in zip(positions, encoded, strict=True):
        if not one.frames:
            raise ModelError(f"gave no layer for sound {i}", where=name)
        for layer, frames in one.frames.items():
            _check_frames(name, i, layer, frames)


def _check_frames(name: str, i: int, layer: Layer, frames: NDArray[Any]) -> None:
    if not isinstance(frames, np.ndarray) or not np.issubdtype(frames.dtype, np.floating):
        kind = getattr(frames, "dtype", type(frames).__name__)
        raise ModelError(f"layer {layer} of sound {i} is {kind}, expected a floating point array", where=name)
    if frames.ndim != 3:
        raise ModelError(f"layer {layer} of sound {i} has shape {frames.shape}, expected [C, T, D]", where=name)
    if 0 in frames.shape:
        raise ModelError(
            f"layer {layer} of sound {i} is empty: shape {frames.shape}",
            where=name,
            fix="The sound may be shorter than one frame of the model.",
        )
    if not np.isfinite(frames).all():
        bad = int(frames.size - np.isfinite(frames).sum())
        raise ModelError(f"layer {layer} of sound {i} holds {bad} NaN or infinite values", where=name)


def select_layers(wanted: Sequence[Layer] | None, n_states: int, where: str) -> dict[Layer, int]:
    """Names of layers -> positions ``0..n_states-1``. ``None`` and ``"last"`` mean the last, ``"all"`` all of them,
    negative numbers count from the end (and come out under their true number)."""
    out: dict[Layer, int] = {}
    for layer in ["last"] if wanted is None else wanted:
        if layer == "last":
            out["last"] = n_states - 1
        elif layer == "all":
            out.update({i: i for i in range(n_states)})
        elif isinstance(layer, int) and not isinstance(layer, bool) and -n_states <= layer < n_states:
            out[layer % n_states] = layer % n_states
        else:
            valid = f"0..{n_states - 1}, last or all" if n_states > 1 else "0, last or all"
            raise UsageError(f"there is no layer {layer}", where=where, fix=f"Layers are {valid}.")
    return out


def pick_layers(states: Mapping[Layer, Any], wanted: Sequence[Layer] | None, where: str) -> dict[Layer, Any]:
    """The wanted entries of all hidden states, in order of depth, with free names."""
    names = list(states)
    numbered = [n for n in names if isinstance(n, int)]
    out: dict[Layer, Any] = {}
    for layer in ["last"] if wanted is None else wanted:
        if layer in states:
            out[layer] = states[layer]
        elif layer == "all":
            out.update(states)
        elif layer == "last":
            out["last"] = states[names[-1]]
        elif isinstance(layer, int) and -len(numbered) <= layer < 0:
            out[numbered[layer]] = states[numbered[layer]]
        else:
            valid = ", ".join(str(n) for n in names)
            raise UsageError(f"there is no layer {layer}", where=where, fix=f"It has {valid}.")
    return out
