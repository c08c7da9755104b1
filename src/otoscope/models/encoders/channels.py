"""Channel policies: how a two-channel sound reaches a network, by name.

``native``              as it is; the sound must have the channels the network takes
``left``, ``right``     one ear (a two-channel network hears it in both ears)
``sum``                 (L + R) / 2; a tone in antiphase at the ears vanishes here
``per-channel-concat``  a mono network hears each ear as a separate sound, and its frames get a channel axis of 2

What is zero by such a policy is zero by construction, and reports say so.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from otoscope.core.audio import Audio
from otoscope.core.errors import InputError, UsageError
from otoscope.core.registry import suggestions

POLICIES = ("native", "left", "right", "sum", "per-channel-concat")


def default_policy(channels: int) -> str:
    """``left`` for a mono network, else ``native``."""
    return "left" if channels == 1 else "native"


def check_policy(policy: str, channels: int, where: str) -> None:
    """Raise :class:`UsageError` unless ``policy`` exists and suits a network of ``channels`` channels."""
    if policy not in POLICIES:
        near = suggestions(str(policy), list(POLICIES), n=1)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise UsageError(f"there is no channels={policy}", where=where, fix=f"{hint}One of: {', '.join(POLICIES)}.")
    if policy == "per-channel-concat" and channels != 1:
        raise UsageError(
            f"channels=per-channel-concat is for mono encoders; this one takes {channels} channels at once",
            where=where,
            fix="Use channels=native with merge=concat.",
        )
    if policy != "native" and channels > 2:
        raise UsageError(f"an encoder of {channels} channels takes channels=native only", where=where)


def apply_policy(policy: str, sound: Audio, channels: int, position: int, where: str) -> list[Audio]:
    """One sound -> the sounds that a network of ``channels`` channels hears: two for ``per-channel-concat``, else one.
    Raises :class:`InputError`, naming ``position``, where the sound's channels don't suit."""
    x = sound.samples
    if policy == "native":
        if sound.channels != channels:
            raise InputError(
                f"sound {position} has {sound.channels} channel(s), channels=native needs {channels}",
                where=where,
                fix="Choose channels=left, right, sum or per-channel-concat." if channels == 1 else None,
            )
        return [sound]
    if sound.channels > 2 or (sound.channels == 1 and policy in ("right", "per-channel-concat")):
        raise InputError(f"sound {position} has {sound.channels} channel(s), channels={policy} needs 2", where=where)
    if policy == "per-channel-concat":
        return [Audio(x[:1], sound.rate), Audio(x[1:], sound.rate)]
    if policy == "sum":
        mono = (x.astype(np.float64).mean(axis=0, keepdims=True)).astype(np.float32)
    else:
        mono = x[:1] if policy == "left" else x[1:2]
    return [Audio(np.repeat(mono, channels, axis=0), sound.rate)]


def stack_channels(parts: Sequence[NDArray[np.float32]], where: str) -> NDArray[np.float32]:
    """Frames ``[1, T, D]`` of separately heard channels -> ``[C, T, D]``."""
    if len(parts) == 1:
        return parts[0]
    if any(p.shape[0] != 1 for p in parts):
        raise InputError(f"a mono encoder gave frames of {parts[0].shape[0]} channels", where=where)
    return np.concatenate(list(parts), axis=0)
