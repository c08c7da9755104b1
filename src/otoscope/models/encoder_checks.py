"""The conformance checks of encoders: determinism, batches, padding, length, channels, rate, layers, output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoscope.core.audio import Audio
from otoscope.core.errors import ModelError, OtoscopeError
from otoscope.core.nouns import Card, Encoded
from otoscope.models.checks import RATE, ROUNDING, Check, verdict
from otoscope.models.encoders.channels import apply_policy
from otoscope.models.encoders.view import EncoderView

# --- sounds and differences -------------------------------------------------------------------------------------


def _length(card: Card, seconds: float) -> int:
    limit = card.fixed_duration_s
    return round((card.rate or RATE) * (seconds if limit is None else min(seconds, limit * seconds / 2.0)))


def probe(model: EncoderView, seed: int, seconds: float = 1.0, channels: int | None = None) -> Audio:
    """Noise, different in every channel, that the view can take (fixed-length networks get at most half of theirs per
    second asked for)."""
    if channels is None:
        channels = model.card.channels if model.policy == "native" else 2
    x = np.random.default_rng(seed).standard_normal((channels, _length(model.card, seconds)))
    return Audio((0.1 * x).astype(np.float32), model.card.rate or RATE)


def _difference(a: Encoded, b: Encoded, frames: int | None = None) -> float:
    """Largest difference over all layers, relative to the largest value; ``frames`` compares only the first ones.
    Infinite where the shapes differ."""
    worst = 0.0
    for layer, x in a.frames.items():
        y = b.frames[layer]
        if frames is not None:
            x, y = x[:, :frames], y[:, :frames]
        if x.shape != y.shape:
            return float("inf")
        worst = max(worst, _relative(x, y))
    return worst


def _relative(x: NDArray[Any], y: NDArray[Any]) -> float:
    scale = float(np.max(np.abs(x)))
    gap = float(np.max(np.abs(x.astype(np.float64) - y.astype(np.float64))))
    return gap if scale == 0.0 else gap / scale


def _frames(one: Encoded) -> int:
    return int(next(iter(one.frames.values())).shape[1])


# --- encoders ---------------------------------------------------------------------------------------------------


def _determinism(model: EncoderView) -> Check:
    x = probe(model, 1)
    gap = _difference(model.encode([x])[0], model.encode([x])[0])
    return verdict(gap == 0.0, "the same sound twice gives the same frames, bit for bit", gap)


def _two_loads(model: EncoderView) -> Check:
    try:
        other = model.fresh()
    except ModelError as e:
        return Check("", "not applicable", str(e))
    x = probe(model, 1)
    gap = _difference(model.encode([x])[0], other.encode([x])[0])
    return verdict(gap == 0.0, "loaded a second time, the model gives the same frames", gap)


def _batch(model: EncoderView) -> Check:
    sounds = [probe(model, i) for i in range(4)]
    together = replace(model, batch=4).encode(sounds)
    gap = max(_difference(model.encode([x])[0], y) for x, y in zip(sounds, together, strict=True))
    return verdict(gap <= ROUNDING, "frames alone and in a batch of 4 agree", gap)


def _batch_position(model: EncoderView) -> Check:
    sounds = [probe(model, i) for i in range(4)]
    there = replace(model, batch=4).encode(sounds)
    back = replace(model, batch=4).encode(sounds[::-1])[::-1]
    gap = max(_difference(a, b) for a, b in zip(there, back, strict=True))
    return verdict(gap <= ROUNDING, "the place in the batch doesn't matter", gap)


def _padding(model: EncoderView) -> Check:
    x = probe(model, 1, 0.9)  # not a whole second: chunked codecs cut there
    zeros = np.zeros((x.channels, x.n // 4), dtype=np.float32)
    longer = Audio(np.concatenate([x.samples, zeros], axis=1), x.rate)
    short, long = model.encode([x])[0], model.encode([longer])[0]
    gap = _difference(short, long, max(1, _frames(short) - 2))  # the last two may rightly see beyond the end
    what = "zeros appended to a sound leave its own frames alone"
    pads = model.card.fixed_duration_s is not None or getattr(model.encoder, "exact_padding", False)
    declared = any(entry.startswith("padding invariance") for entry in model.card.breaks)
    if gap > ROUNDING and not pads and not declared:
        return Check("", "not applicable", f"not so ({what}), and sounds are never padded for this model", gap)
    return verdict(gap <= ROUNDING, what, gap)


def _stride(model: EncoderView) -> Check:
    one, two = probe(model, 1, 1.0), probe(model, 2, 2.0)
    a, b = (model.encode([x])[0] for x in (one, two))
    grew, extra = _frames(b) - _frames(a), two.duration_s - one.duration_s
    if a.hop_s is None:
        return verdict(grew >= 0, f"declares no hop; {_frames(a)} frames in 1 s, {_frames(b)} in 2 s")
    off = abs(grew - extra / a.hop_s)
    said = f"{extra:g} s more give {grew} frames, the hop of {a.hop_s:g} s says {extra / a.hop_s:g}"
    return verdict(off <= 1.0, said, off)


def _wrong_channels(model: EncoderView) -> Check:
    return _refused(model, probe(model, 1, channels=3), "a sound of 3 channels")


def _wrong_rate(model: EncoderView) -> Check:
    if model.card.rate is None:
        return Check("", "not applicable", "takes any rate")
    x = probe(model, 1)
    return _refused(model, Audio(x.samples, x.rate + 1), f"a sound of {x.rate + 1} Hz")


def _refused(model: EncoderView, sound: Audio, what: str) -> Check:
    try:
        model.encode([sound])
    except OtoscopeError as e:
        return verdict(True, f"{what} is refused: {e.what}")
    return verdict(False, f"{what} is taken without a word")


def _ears(model: EncoderView) -> Check:
    """Which ears reach the frames, against what the channel policy says."""
    x = probe(model, 1)
    if x.channels == 1:
        return Check("", "not applicable", "hears one channel")
    other = probe(model, 2).samples
    base = model.encode([x])[0]
    gaps = []
    for ear in (0, 1):
        changed = x.samples.copy()
        changed[ear] = other[ear]
        gaps.append(_difference(base, model.encode([Audio(changed, x.rate)])[0]))
    expected = {"left": (True, False), "right": (False, True)}.get(model.policy, (True, True))
    heard = (gaps[0] > 0.0, gaps[1] > 0.0)
    words = {(True, True): "both ears", (True, False): "the left ear", (False, True): "the right ear"}
    return verdict(
        heard == expected,
        f"channels={model.policy}: expected {words[expected]}, the frames depend on {words.get(heard, 'neither ear')}",
    )


def _output(model: EncoderView) -> Check:
    model.encode([probe(model, 1)])  # raises on what is not finite frames [C, T, D]
    raw = model.encoder.encode(_heard(model, probe(model, 1)), [model.layer])[0]
    kinds = {str(f.dtype) for f in raw.frames.values()}
    shapes = ", ".join(f"{k}: {f.shape}" for k, f in list(raw.frames.items())[:3])
    return verdict(kinds == {"float32"}, f"finite float32 frames [C, T, D]; {shapes}; got {', '.join(sorted(kinds))}")


def _heard(model: EncoderView, sound: Audio) -> list[Audio]:
    return apply_policy(model.policy, sound, model.card.channels, 0, model.card.name)


def _layers(model: EncoderView) -> Check:
    x, card = probe(model, 1), model.card
    try:
        got = model.encode([x], list(card.layers))[0].frames
    except OtoscopeError as e:
        return verdict(False, f"the card lists {_list(card.layers)}, and asking for them fails: {e}")
    lacking = [k for k in card.layers if k not in got]
    if lacking:
        return verdict(False, f"the card lists {_list(card.layers)}, but {_list(lacking)} did not come")
    numbers = [k for k in card.layers if isinstance(k, int)]
    beyond = max(numbers, default=0) + 1
    try:
        model.encode([x], [beyond])
    except OtoscopeError:
        return verdict(True, f"has the layers its card lists: {_list(card.layers)}")
    return verdict(False, f"gives a layer {beyond} that its card does not list ({_list(card.layers)})")


def _list(layers: Sequence[Any]) -> str:
    return ", ".join(map(str, layers)) if len(layers) <= 6 else f"{layers[0]}, {layers[1]}, ... {layers[-1]}"


def _short(model: EncoderView) -> Check:
    x = probe(model, 1)
    short = Audio(x.samples[:, : round(0.1 * x.rate)], x.rate)
    try:
        frames = _frames(model.encode([short])[0])
    except OtoscopeError as e:
        return verdict(True, f"0.1 s is refused: {e.what}")
    return verdict(True, f"0.1 s gives {frames} frame(s)")


ENCODER_CHECKS: tuple[tuple[str, Callable[[Any], Check]], ...] = (
    ("determinism", _determinism),
    ("two loads", _two_loads),
    ("batch invariance", _batch),
    ("batch position", _batch_position),
    ("padding invariance", _padding),
    ("stride", _stride),
    ("wrong channel count", _wrong_channels),
    ("wrong rate", _wrong_rate),
    ("ears", _ears),
    ("output", _output),
    ("layers", _layers),
    ("short sound", _short),
)
