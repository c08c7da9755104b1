"""The networks once more, in numpy and under the published tensor names: what the tensors mean, told independently.

Float64, one sound at a time, small sizes. ``random_state`` draws tensors with the published names and shapes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.signal
import scipy.special
import torch

from otoscope.core.errors import ModelError
from otoscope.models.encoders.spatial_ast.dspast import DSpAST
from otoscope.models.encoders.spatial_ast.front_end import mel_weights
from otoscope.models.encoders.spatial_ast.spatial_ast import SpatialAST
from otoscope.models.encoders.spatial_ast.tensors import dspast_map, spatial_ast_map
from otoscope.models.encoders.spatial_ast.trunk import Shape
from otoscope.models.encoders.tensor_map import Report, apply, blueprint, shapes_of

EVENTS, HEADS = 5, 3


def random_state(
    name: str, width: int, depth: int, patches: int, mel: np.ndarray, seed: int = 0
) -> dict[str, np.ndarray]:
    """Float32 tensors by published name."""
    rng = np.random.default_rng(seed)
    three = name == "dspast"
    third, mels = width // 3, mel.shape[1]
    shapes: dict[str, tuple[int, ...]] = {
        "pos_embed": (1, patches + 1, width),
        "patch_embed.proj.weight": (width, 1, 16, 16),
        "patch_embed.proj.bias": (width,),
        "head.weight": (EVENTS, third if three else width),
        "head.bias": (EVENTS,),
        "spectrogram_extractor.conv_real.weight": (513, 1, 1024),
        "spectrogram_extractor.conv_imag.weight": (513, 1, 1024),
        "bn.running_mean": (2,),
        "bn.running_var": (2,),
        "bn.num_batches_tracked": (),
    }
    for i in range(depth):
        for part, out, inner in (("attn.qkv", 3, 1), ("attn.proj", 1, 1), ("mlp.fc1", 4, 1), ("mlp.fc2", 1, 4)):
            shapes[f"blocks.{i}.{part}.weight"] = (out * width, inner * width)
            shapes[f"blocks.{i}.{part}.bias"] = (out * width,)
        shapes |= {f"blocks.{i}.norm{k}.{w}": (width,) for k in (1, 2) for w in ("weight", "bias")}
    norms = {"fc_norm": third} if three else dict.fromkeys(("fc_norm", "dis_norm", "doa_norm"), width)
    shapes |= {f"{n}.{w}": (size,) for n, size in norms.items() for w in ("weight", "bias")}
    stems = [("conv_downsample", 0)]
    if three:
        stems = [(f"conv_downsample{k}", 1) for k in (1, 2, 3)]
        shapes |= {"bn_ild.running_mean": (1,), "bn_ild.running_var": (1,), "bn_ild.num_batches_tracked": ()}
    for stem, first in stems:
        shapes[f"{stem}.{first}.weight"] = (1, 6 if three else 4, 3, 3)
        shapes |= {f"{stem}.{first + 1}.{w}": (1,) for w in ("weight", "bias", "running_mean", "running_var")}
        shapes[f"{stem}.{first + 1}.num_batches_tracked"] = ()
        if three:
            shapes |= {f"{stem}.0.{bn}.{w}": (6,) for bn in ("bn", "bn2") for w in ("running_mean", "running_var")}
            shapes |= {f"{stem}.0.fc.{k}.{w}": s for k in (0, 2) for w, s in (("weight", (6, 6)), ("bias", (6,)))}
    for head, classes in (("distance_head", 21), ("azimuth_head", 360), ("elevation_head", 180)):
        if three:
            shapes |= {f"{head}.W": (classes, third), f"{head}.s": (1,), f"{head}.pi": (1,)}
        else:
            shapes |= {f"{head}.weight": (classes, width), f"{head}.bias": (classes,)}
    if three:
        shapes |= {f"cls_tokens{k}": (1, 3, width) for k in (1, 2, 3)}
        shapes |= {
            f"pre_head{k}.{w}": s for k in (1, 2, 3) for w, s in (("weight", (third, width)), ("bias", (third,)))
        }
    else:
        shapes["cls_tokens"] = (1, 3, width)
    state = {k: (0.3 * rng.standard_normal(s)).astype(np.float32) for k, s in sorted(shapes.items())}
    for key in state:
        if key.endswith("running_var"):
            state[key] = (0.5 + np.abs(state[key])).astype(np.float32)
    state["bn.running_mean"] += np.float32(-20.0)
    state["bn.running_var"] *= np.float32(100.0)
    if three:
        state["bn_ild.running_var"] *= np.float32(1e4)
    assert mels % 16 == 0
    return {**state, "logmel_extractor.melW": mel.astype(np.float32)}


def forward(name: str, state: dict[str, np.ndarray], x: np.ndarray, frames: int) -> dict[str, Any]:
    """Tokens and head outputs for ``x [2, n]``, whose spectra must be ``frames`` long already."""
    s = {k: v.astype(np.float64) for k, v in state.items()}
    planes = _planes(name, s, x)
    assert planes.shape[1] == frames
    if name == "spatial-ast":
        tokens = _transform(s, _stem(s, planes, "conv_downsample", 0), s["cls_tokens"][0])
        dis, doa, cls = (_norm(tokens[i], s, n) for i, n in enumerate(("dis_norm", "doa_norm", "fc_norm")))
        linear = {k: s[f"{k}_head.weight"] @ v + s[f"{k}_head.bias"] for k, v in _targets(dis, doa)}
        return {"tokens": tokens, "event": s["head.weight"] @ cls + s["head.bias"], **linear}
    parts, mapped = [], []
    for k in "123":
        mean = (planes.mean((1, 2)) - s[f"conv_downsample{k}.0.bn.running_mean"]) / np.sqrt(
            s[f"conv_downsample{k}.0.bn.running_var"] + 1e-5
        )
        hidden = np.maximum(_linear(mean, s, f"conv_downsample{k}.0.fc.0"), 0.0)
        weight = scipy.special.expit(_linear(hidden, s, f"conv_downsample{k}.0.fc.2"))
        image = _stem(s, planes * weight[:, None, None], f"conv_downsample{k}", 1)
        parts.append(_transform(s, image, s[f"cls_tokens{k}"][0]))
        mapped.append(_linear(parts[-1], s, f"pre_head{k}"))
    dis, doa, cls = (m[:3].mean(0) for m in mapped)
    cosine = {k: (_unit(s[f"{k}_head.W"]) @ _unit(v)) for k, v in _targets(dis, doa)}
    event = s["head.weight"] @ _norm(cls, s, "fc_norm") + s["head.bias"]
    return {"tokens": np.concatenate(parts, 1), "last": np.concatenate(mapped, 1), "event": event, **cosine}


def _targets(dis: np.ndarray, doa: np.ndarray) -> list[tuple[str, np.ndarray]]:
    return [("distance", dis), ("azimuth", doa), ("elevation", doa)]


def _planes(name: str, s: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    padded = np.pad(x.astype(np.float64), ((0, 0), (512, 512)), mode="reflect")
    blocks = np.lib.stride_tricks.sliding_window_view(padded, 1024, axis=1)[:, ::320]
    left, right = np.fft.rfft(blocks * scipy.signal.get_window("hann", 1024), axis=2)
    mel = s["logmel_extractor.melW"]
    db = [10.0 * np.log10(np.maximum(np.abs(ear) @ mel, 1e-10)) for ear in (left, right)]
    levels = [
        (d - m) / np.sqrt(v + 1e-5) for d, m, v in zip(db, s["bn.running_mean"], s["bn.running_var"], strict=True)
    ]
    phase = np.angle(right * left.conj())
    planes = [*levels, np.cos(phase) @ mel, np.sin(phase) @ mel]
    if name == "dspast":
        whitened = left * right.conj()
        lags = np.roll(np.fft.irfft(whitened / np.abs(whitened), axis=1), mel.shape[1] // 2, axis=1)[:, : mel.shape[1]]
        ratio = (np.exp(db[0] - db[1]) - s["bn_ild.running_mean"]) / np.sqrt(s["bn_ild.running_var"] + 1e-5)
        planes[2:2] = [lags, ratio]
    return np.stack(planes)


def _stem(s: dict[str, np.ndarray], planes: np.ndarray, stem: str, first: int) -> np.ndarray:
    kernel, n = s[f"{stem}.{first}.weight"][0], f"{stem}.{first + 1}"
    image = sum(scipy.signal.correlate2d(p, k, mode="same") for p, k in zip(planes, kernel, strict=True))
    scaled = (image - s[f"{n}.running_mean"]) / np.sqrt(s[f"{n}.running_var"] + 1e-5)
    return _gelu(scaled * s[f"{n}.weight"] + s[f"{n}.bias"])


def _transform(s: dict[str, np.ndarray], image: np.ndarray, class_tokens: np.ndarray) -> np.ndarray:
    t, f = image.shape[0] // 16, image.shape[1] // 16
    cut = image.reshape(t, 16, f, 16).transpose(0, 2, 1, 3).reshape(t * f, 256)
    weight = s["patch_embed.proj.weight"]
    x = cut @ weight.reshape(len(weight), 256).T + s["patch_embed.proj.bias"] + s["pos_embed"][0, 1:]
    x = np.concatenate([class_tokens, x])
    width = x.shape[1] // HEADS
    for i in range(sum(k.startswith("blocks.") and k.endswith("norm1.bias") for k in s)):
        q, k, v = np.split(_linear(_norm(x, s, f"blocks.{i}.norm1"), s, f"blocks.{i}.attn.qkv"), 3, axis=1)
        heads = []
        for h in range(HEADS):
            own = slice(h * width, (h + 1) * width)
            heads.append(scipy.special.softmax(q[:, own] @ k[:, own].T / np.sqrt(width), axis=1) @ v[:, own])
        x = x + _linear(np.concatenate(heads, 1), s, f"blocks.{i}.attn.proj")
        hidden = _gelu(_linear(_norm(x, s, f"blocks.{i}.norm2"), s, f"blocks.{i}.mlp.fc1"))
        x = x + _linear(hidden, s, f"blocks.{i}.mlp.fc2")
    return x


def _linear(x: np.ndarray, s: dict[str, np.ndarray], name: str) -> np.ndarray:
    return x @ s[f"{name}.weight"].T + s[f"{name}.bias"]


def _norm(x: np.ndarray, s: dict[str, np.ndarray], name: str) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt(x.var(-1, keepdims=True) + 1e-6) * s[f"{name}.weight"] + s[f"{name}.bias"]


def _gelu(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1.0 + scipy.special.erf(x / np.sqrt(2.0)))


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


# --- the comparison ---------------------------------------------------------------------------------------------

SHAPE = Shape(width=24, depth=2, heads=HEADS, frames=32, mels=32, events=EVENTS)
NETWORKS = {"spatial-ast": SpatialAST, "dspast": DSpAST}
MAPS = {"spatial-ast": spatial_ast_map(), "dspast": dspast_map(3)}
BOTH = pytest.mark.parametrize("name", sorted(NETWORKS))


def state_of(name: str) -> dict[str, np.ndarray]:
    return random_state(name, SHAPE.width, SHAPE.depth, SHAPE.columns * SHAPE.bands, mel_weights(SHAPE.mels).numpy())


def account(name: str, network: Any, state: dict[str, Any]) -> tuple[dict[str, torch.Tensor], Report]:
    tensors = {k: torch.from_numpy(np.asarray(v)) for k, v in state.items()}
    return apply(tensors, MAPS[name], shapes_of(network), "test")


def load(name: str, state: dict[str, np.ndarray]) -> Any:
    network = NETWORKS[name](SHAPE).eval()
    network.load_state_dict(account(name, network, state)[0], strict=False)
    return network


def gap(name: str, network: Any, state: dict[str, np.ndarray]) -> float:
    """Largest relative difference between ``network`` and the numpy one on ``state``, over tokens and heads."""
    x = 0.2 * np.random.default_rng(5).standard_normal((2, 320 * (SHAPE.frames - 1)))
    expected = forward(name, state, x.astype(np.float32), SHAPE.frames)
    with torch.no_grad():
        states = network(torch.from_numpy(x.astype(np.float32))[None])
        got = {**network.heads(states), "tokens": states[SHAPE.depth]}
        got |= {"last": states["last"]} if name == "dspast" else {}
    gaps = [np.abs(got[k][0].numpy() - v).max() / np.abs(v).max() for k, v in expected.items()]
    assert set(got) == set(expected)
    return float(max(gaps))


@BOTH
def test_tokens_and_heads_agree_with_the_published_meaning(name: str) -> None:
    state = state_of(name)
    assert gap(name, load(name, state), state) < 1e-4


@BOTH
def test_a_checkpoint_with_permuted_attention_heads_is_told_apart(name: str) -> None:
    state = state_of(name)
    permuted = dict(state)
    key = "blocks.1.attn.qkv.weight"  # queries, keys and values of the heads in another order, the output map as it was
    by_head = state[key].reshape(3, HEADS, -1, SHAPE.width)
    permuted[key] = np.ascontiguousarray(by_head[:, [1, 2, 0]].reshape(state[key].shape))
    assert gap(name, load(name, permuted), state) > 1e-2


@BOTH
def test_a_checkpoint_with_swapped_class_tokens_is_told_apart(name: str) -> None:
    state = state_of(name)
    a, b = ("cls_tokens1", "cls_tokens2") if name == "dspast" else ("dis_norm.weight", "doa_norm.weight")
    assert gap(name, load(name, {**state, a: state[b], b: state[a]}), state) > 1e-2


@BOTH
def test_every_tensor_is_accounted_for(name: str) -> None:
    network, state = NETWORKS[name](SHAPE), state_of(name)
    filled, report = account(name, network, state)
    used, ignored = {theirs for theirs, _, _ in report.used}, dict(report.ignored)
    assert used | set(ignored) == set(state)
    assert not used & set(ignored)
    assert {k for k in network.state_dict() if k not in filled} == {
        k for k in network.state_dict() if k.endswith("num_batches_tracked")
    }
    assert "Fourier" in ignored["spectrogram_extractor.conv_real.weight"]


@BOTH
def test_the_published_sizes(name: str) -> None:
    shapes = blueprint(NETWORKS[name])
    assert len(shapes) == {"spatial-ast": 170, "dspast": 201}[name]
    assert shapes["trunk.positions"] == (1, 513, 768)
    assert shapes["front.mel"] == (513, 128)
    assert shapes["event.weight"] == (355, 768 if name == "spatial-ast" else 256)


@BOTH
@pytest.mark.parametrize("change", ["lacks", "unknown", "shape", "NaN"])
def test_a_tensor_out_of_place_is_an_error_that_names_it(name: str, change: str) -> None:
    network, state = NETWORKS[name](SHAPE), state_of(name)
    key = "blocks.1.mlp.fc2.bias"
    value = state.pop(key)
    if change == "unknown":
        state |= {key: value, "blocks.7.mlp.fc2.bias": value}
    elif change == "shape":
        state[key] = value[:-1]
    elif change == "NaN":
        state[key] = value * np.float32("nan")
    with pytest.raises(ModelError, match=change) as caught:
        account(name, network, state)
    assert "blocks." in str(caught.value)
