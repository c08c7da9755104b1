"""The encoder against an independent computation in numpy, from tensors under the published names."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import erf

from otoscope.core.audio import Audio
from otoscope.core.errors import InputError, ModelError, UsageError
from otoscope.core.naming import parse_spec
from otoscope.models.encoders.view import EncoderView
from otoscope.models.encoders.wavjepa.adapter import WavJepaEncoder, wavjepa_nat
from otoscope.models.resolve import card_for, random_twin, resolve

RATE = 16_000
TOLERANCE = 1e-4


def sound(n: int = 4_000, seed: int = 3) -> Audio:
    return Audio((0.1 * np.random.default_rng(seed).standard_normal((2, n))).astype(np.float32), RATE)


# --- an independent computation ----------------------------------------------------------------------------------


def gelu(x):
    return 0.5 * x * (1 + erf(x / np.sqrt(2)))


def layer_norm(x, weight, bias, eps):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps) * weight + bias


def convolve(x, weight, stride):
    frames = np.lib.stride_tricks.sliding_window_view(x, weight.shape[-1], axis=-1)[:, ::stride]
    return np.einsum("ctk,ock->ot", frames, weight)


def tokens_of(window, t, s):
    """``[2, window]`` float64 -> what enters the first block ``[2 * steps, width]``."""
    ears = []
    for ear in (0, 1):
        x = window[ear : ear + 1]
        for i, (_, _, stride) in enumerate(s.convs):
            x = convolve(x, t[f"extract_audio.cnns.{ear}.{i}.0.weight"], stride)
            if i == 0:
                x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
                x = (
                    x * t[f"extract_audio.cnns.{ear}.0.2.weight"][:, None]
                    + t[f"extract_audio.cnns.{ear}.0.2.bias"][:, None]
                )
            x = gelu(x)
        ears.append(x.T)
    h = layer_norm(np.concatenate(ears), t["feature_norms.weight"], t["feature_norms.bias"], 1e-5)
    h = h @ t["post_extraction_mapper.weight"].T + t["post_extraction_mapper.bias"]
    return h + t["pos_encoding_encoder"][0]


def attend(h, t, at, s, real):
    q, k, v = np.split(h @ t[f"{at}.in_proj_weight"].T + t[f"{at}.in_proj_bias"], 3, axis=-1)
    size, out = s.width // s.heads, []
    for head in range(s.heads):
        part = slice(head * size, (head + 1) * size)
        score = q[:, part] @ k[:, part].T / np.sqrt(size)
        score[:, ~real] = -np.inf
        score = np.exp(score - score.max(-1, keepdims=True))
        out.append(score / score.sum(-1, keepdims=True) @ v[:, part])
    return np.concatenate(out, -1) @ t[f"{at}.out_proj.weight"].T + t[f"{at}.out_proj.bias"]


def expected(x, tensors, s):
    """Frames ``[2, T, D]`` of ``x [2, n]``, window by window, with the extra window of zeros of the public runtime."""
    t = {k: v.astype(np.float64) for k, v in tensors.items()}
    x = x.astype(np.float64)
    x = x * (10 ** (-14 / 20) / np.sqrt(np.mean(x**2)))
    fill = s.window - x.shape[1] % s.window
    dropped = min(s.steps, int(fill / RATE * s.steps))  # s.window // RATE is 0 here: counted as one second
    x = np.pad(x, ((0, 0), (0, fill)))
    found = []
    for w in range(x.shape[1] // s.window):
        window = x[:, w * s.window : (w + 1) * s.window]
        window = (window - window.mean()) / (window.std(ddof=1) + 1e-5)
        kept = s.steps - dropped if (w + 1) * s.window == x.shape[1] else s.steps
        if kept == 0:
            continue
        real = np.arange(2 * s.steps) % s.steps < kept
        h = tokens_of(window, t, s)
        for i in range(s.depth):
            at = f"encoder.layers.{i}"
            h = layer_norm(
                h + attend(h, t, f"{at}.self_attn", s, real), t[f"{at}.norm1.weight"], t[f"{at}.norm1.bias"], 1e-6
            )
            inner = gelu(h @ t[f"{at}.linear1.weight"].T + t[f"{at}.linear1.bias"])
            h = h + inner @ t[f"{at}.linear2.weight"].T + t[f"{at}.linear2.bias"]
            h = layer_norm(h, t[f"{at}.norm2.weight"], t[f"{at}.norm2.bias"], 1e-6)
        h = layer_norm(h, t["encoder.norm.weight"], t["encoder.norm.bias"], 1e-5)
        found.append(h.reshape(2, s.steps, s.width)[:, :kept])
    return np.concatenate(found, axis=1)


def gap(a, b) -> float:
    return float(np.abs(a - b).max() / np.abs(b).max())


def frames(path, sizes, x: Audio, **how):
    return WavJepaEncoder(path=path, sizes=sizes, **how).encode([x])[0].frames["last"]


# --- parity ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [900, 1_760, 4_000])
def test_parity(tensors, write, sizes, n) -> None:
    x = sound(n)
    assert gap(frames(write(tensors), sizes, x), expected(x.samples, tensors, sizes)) < TOLERANCE


def test_permuted_heads_fail_parity(tensors, write, sizes) -> None:
    x = sound()
    wanted = expected(x.samples, tensors, sizes)
    name = "encoder.layers.1.self_attn.in_proj_weight"
    qkv = tensors[name].reshape(3, sizes.heads, -1, sizes.width)
    tensors[name] = np.ascontiguousarray(qkv[:, [1, 0, 2, 3]]).reshape(tensors[name].shape)
    assert gap(frames(write(tensors), sizes, x), wanted) > 100 * TOLERANCE


def test_swapped_front_ends_fail_parity(tensors, write, sizes) -> None:
    x = sound()
    wanted = expected(x.samples, tensors, sizes)
    start = "extract_audio.cnns."
    swapped = {
        (f"{start}{1 - int(k[len(start)])}{k[len(start) + 1 :]}" if k.startswith(start) else k): v
        for k, v in tensors.items()
    }
    assert gap(frames(write(swapped), sizes, x), wanted) > 100 * TOLERANCE


# --- behaviour ---------------------------------------------------------------------------------------------------


def test_the_average_is_the_mean_over_ears(tensors, write, sizes) -> None:
    x, path = sound(), write(tensors)
    ears, mean = frames(path, sizes, x), frames(path, sizes, x, average=True)
    assert ears.shape[0] == 2
    assert mean.shape[0] == 1
    assert np.allclose(ears.mean(axis=0, keepdims=True), mean, atol=1e-6)


def test_merging_outside(tensors, write, sizes) -> None:
    x = sound()
    encoder = WavJepaEncoder(path=write(tensors), sizes=sizes)
    ears = encoder.encode([x])[0].frames["last"].mean(axis=1)
    got = {m: EncoderView(encoder, merge=m).embed([x])[0]["last"] for m in ("mean", "concat", "difference")}
    assert np.allclose(got["mean"], ears.mean(axis=0), atol=1e-5)
    assert np.allclose(got["concat"], np.concatenate(ears), atol=1e-5)
    assert np.allclose(np.abs(got["difference"]), np.abs(ears[0] - ears[1]), atol=1e-5)


def test_level(tensors, write, sizes) -> None:
    x, path = sound(), write(tensors)
    quiet = Audio(x.samples * np.float32(1e-6), x.rate)
    assert gap(frames(path, sizes, quiet), frames(path, sizes, x)) < TOLERANCE
    assert gap(frames(path, sizes, quiet, level="none"), frames(path, sizes, x, level="none")) > TOLERANCE
    silence = Audio(np.zeros((2, 2_000), dtype=np.float32), RATE)
    assert np.isfinite(frames(path, sizes, silence)).all()


def test_layers_and_identity(tensors, write, sizes) -> None:
    path = write(tensors)
    encoder = WavJepaEncoder(path=path, sizes=sizes)
    one = encoder.encode([sound()], ["all"])[0]
    assert list(one.frames) == [0, 1, 2, "last"] == list(encoder.card.layers)
    assert encoder.identity() == encoder.fresh().identity()
    assert encoder.identity() != WavJepaEncoder(path=path, sizes=sizes, average=True).identity()
    random = WavJepaEncoder(seed=1, sizes=sizes), WavJepaEncoder(seed=2, sizes=sizes)
    a, b = (r.encode([sound()])[0].frames["last"] for r in random)
    assert not np.allclose(a, b)
    assert random[0].identity() != random[1].identity()


def test_a_sound_without_a_token(sizes) -> None:
    with pytest.raises(InputError, match="fewer than one token"):
        WavJepaEncoder(seed=0, sizes=replace(sizes, window=32_159)).encode([sound(20)])


# --- names -------------------------------------------------------------------------------------------------------


def test_name_and_card() -> None:
    card = card_for("wavjepa-nat")
    assert (card.channels, card.rate, card.cues) == (2, RATE, frozenset({"waveform"}))
    assert card.hub_id == "labhamlet/wavjepa-nat-base"
    assert "BSD-3" in card.licence
    assert card.breaks
    twin = random_twin(parse_spec("wavjepa-nat:average=true"), 7)
    assert resolve(twin).identity()["encoder"]["seed"] == 7


def test_missing_weights_are_one_line(tmp_path) -> None:
    with pytest.raises(ModelError) as caught:
        resolve(f"wavjepa-nat:path={tmp_path / 'none'}").load()
    said = str(caught.value)
    assert "\n" not in said
    assert all(word in said for word in ("model.safetensors", "labhamlet/wavjepa-nat-base", "licence", "hf download"))


def test_wrong_values() -> None:
    for how in ({"level": "loud"}, {"init": "new"}, {"seed": 3}, {"average": 2}):
        with pytest.raises(UsageError):
            wavjepa_nat(**how)
