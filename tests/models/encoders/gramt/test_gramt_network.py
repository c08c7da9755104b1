"""GRAM-T's network against formulae written down a second time, on a tiny configuration."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from otoscope.core.errors import InputError, ModelError
from otoscope.models.encoders.gramt.network import RATE, VARIANTS, Config, GramT, LogMel, sincos_positions
from otoscope.models.encoders.gramt.tensors import gramt_map
from otoscope.models.encoders.tensor_map import apply, blueprint, shapes_of

TINY = Config(patch=(16, 8), width=16, heads=4, depth=2, hidden=32)


def sound(n: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(0.1 * np.random.default_rng(seed).standard_normal((1, 2, n))).float()


def published(config: Config = TINY, seed: int = 3, prefix: str = "model.") -> dict[str, torch.Tensor]:
    """Random tensors under the published names, all large enough that a swap shows."""
    gen = torch.Generator().manual_seed(seed)
    d, hidden, tokens = config.width, config.hidden, config.grid[0] * config.grid[1]
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, d),
        "encoder.pos_embedding": (1, 1 + tokens, d),
        "patch_embed.proj.weight": (d, 2, *config.patch),
        "patch_embed.proj.bias": (d,),
        "encoder.ln.weight": (d,),
        "encoder.ln.bias": (d,),
    }
    for i in range(config.depth):
        for name, out, into in (
            ("self_attention.in_proj_", 3 * d, d),
            ("self_attention.out_proj.", d, d),
            ("mlp.0.", hidden, d),
            ("mlp.3.", d, hidden),
        ):
            shapes[f"encoder.layers.encoder_layer_{i}.{name}weight"] = (out, into)
            shapes[f"encoder.layers.encoder_layer_{i}.{name}bias"] = (out,)
        norms = [f"ln_{k}.{w}" for k in (1, 2) for w in ("weight", "bias")]
        shapes |= {f"encoder.layers.encoder_layer_{i}.{name}": (d,) for name in norms}
    state = {prefix + k: 0.4 * torch.randn(*shape, generator=gen) for k, shape in shapes.items()}
    return {**state, f"{prefix}mask_token": torch.zeros(1, 1, 8), "mel_spec.melspec.mel_scale.fb": torch.zeros(3)}


def ours(state: dict[str, torch.Tensor], **more: bool) -> GramT:
    network = GramT(TINY, **more).eval()
    network.load_state_dict(apply(state, gramt_map("patch"), shapes_of(network), "test")[0])
    return network


def log_mel_reference(x: np.ndarray) -> np.ndarray:
    """``[2, n]`` -> ``[2, T, 128]``, column by column in float64."""
    hz = 700.0 * (
        10.0 ** (np.linspace(2595 * np.log10(1 + 50 / 700), 2595 * np.log10(1 + 16000 / 700), 130) / 2595) - 1
    )
    bins = np.arange(513) * 31.25
    bank = np.array([np.interp(bins, hz[k : k + 3], [0.0, 1.0, 0.0]) for k in range(128)])
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1024) / 1024)
    padded = np.pad(x, ((0, 0), (512, 512)), mode="reflect")
    frames = [padded[:, 320 * k : 320 * k + 1024] for k in range(1 + x.shape[1] // 320)]
    power = np.stack([np.abs(np.fft.rfft(hann * f)) ** 2 for f in frames], axis=1)
    return np.log(power @ bank.T + 2.0**-23)


def reference(state: dict[str, torch.Tensor], x: np.ndarray, columns: int) -> np.ndarray:
    """The published computation in float64, head by head: ``[2, n]`` -> ``[windows * 25, 8 * 16]``."""
    s = {k.removeprefix("model."): v.double().numpy() for k, v in state.items()}

    def norm(h: np.ndarray, name: str) -> np.ndarray:
        centred = h - h.mean(-1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6) * s[f"{name}.weight"] + s[f"{name}.bias"]

    image = log_mel_reference(x)[:, :columns]
    windows = -(-columns // 200)
    image = np.pad(image, ((0, 0), (0, 200 * windows - columns), (0, 0)))
    out = []
    for w in range(windows):
        part = image[:, 200 * w : 200 * (w + 1)]
        part = (part - part.mean()) / np.sqrt(part.var() + 1e-5)
        tokens = [s["cls_token"][0, 0]]
        for f in range(8):
            for t in range(25):
                patch = part[:, 8 * t : 8 * t + 8, 16 * f : 16 * f + 16]
                value = np.einsum("ctf,dcft->d", patch, s["patch_embed.proj.weight"])
                tokens.append(value + s["patch_embed.proj.bias"])
        h = np.array(tokens) + s["encoder.pos_embedding"][0]
        for i in range(TINY.depth):
            at = f"encoder.layers.encoder_layer_{i}"
            q, k, v = np.split(
                norm(h, f"{at}.ln_1") @ s[f"{at}.self_attention.in_proj_weight"].T
                + s[f"{at}.self_attention.in_proj_bias"],
                3,
                axis=1,
            )
            heads = []
            for a in range(TINY.heads):
                mine = slice(4 * a, 4 * a + 4)
                scores = q[:, mine] @ k[:, mine].T / 2.0
                scores = np.exp(scores - scores.max(1, keepdims=True))
                heads.append(scores / scores.sum(1, keepdims=True) @ v[:, mine])
            heard = np.concatenate(heads, axis=1)
            h = h + heard @ s[f"{at}.self_attention.out_proj.weight"].T + s[f"{at}.self_attention.out_proj.bias"]
            inner = norm(h, f"{at}.ln_2") @ s[f"{at}.mlp.0.weight"].T + s[f"{at}.mlp.0.bias"]
            inner = torch.nn.functional.gelu(torch.from_numpy(inner)).numpy()
            h = h + inner @ s[f"{at}.mlp.3.weight"].T + s[f"{at}.mlp.3.bias"]
        h = norm(h, "encoder.ln")[1:]
        out.append(h.reshape(8, 25, 16).transpose(1, 0, 2).reshape(25, 128))
    return np.concatenate(out)


def difference(state: dict[str, torch.Tensor], expected: np.ndarray, x: torch.Tensor) -> float:
    with torch.no_grad():
        got = ours(state)(x)["last"][0].numpy()
    return float(np.abs(got - expected[: len(got)]).max() / np.abs(expected).max())


def test_parity_and_that_permuted_heads_fail_it() -> None:
    state, x = published(), sound(96_000, 1)
    expected = reference(state, x[0].double().numpy(), 300)
    assert difference(state, expected, x) < 1e-4
    for i in range(TINY.depth):  # two heads exchange their queries, or where their output goes
        for name, dim in (("in_proj_weight", 0), ("out_proj.weight", 1)):
            key = f"model.encoder.layers.encoder_layer_{i}.self_attention.{name}"
            order = [*range(4, 8), *range(4), *range(8, state[key].shape[dim])]
            assert difference({**state, key: state[key].index_select(dim, torch.tensor(order))}, expected, x) > 1e-2


def test_log_mel() -> None:
    x = sound(6_400, 2)
    got = LogMel(128)(x)[0].transpose(1, 2).numpy()
    expected = log_mel_reference(x[0].double().numpy())
    assert got.shape == expected.shape == (2, 21, 128)
    assert np.abs(got - expected).max() < 1e-3
    with pytest.raises(InputError, match="too short"):
        LogMel(128)(x[..., :512])


@pytest.mark.parametrize(
    ("n", "real", "as_published"),
    [
        (64_000, (200, 1, 25), (201, 2, 26)),  # 2 s: the published runtime opens a second window
        (63_999, (199, 1, 25), (200, 2, 25)),  # an exact multiple of columns: a whole window of zeros
        (320_000, (1000, 5, 125), (1001, 6, 126)),
        (16_000, (50, 1, 7), (51, 1, 7)),
        (600, (1, 1, 1), (2, 1, 1)),
    ],
)
def test_the_window_in_vain(n: int, real: tuple[int, ...], as_published: tuple[int, ...]) -> None:
    network, theirs = ours(published()), ours(published(), published_tail=True)
    assert network.tail(n) == real
    assert theirs.tail(n) == as_published
    with torch.no_grad():
        a, b = network(sound(n))["last"], theirs(sound(n))["last"]
    assert a.shape[1] == real[2]
    assert b.shape[1] == as_published[2]
    if n == 64_000:  # the frames of the sound are the same; what pooling must not see is the 26th
        assert torch.allclose(a, b[:, :25], atol=1e-5)
        assert not torch.allclose(a.mean(1), b.mean(1), atol=1e-4)


def test_level_of_full_windows_hardly_matters_and_ears_are_not_equalised() -> None:
    network, x = ours(published()), sound(64_000)
    with torch.no_grad():
        a, louder = network(x)["last"], network(4 * x)["last"]
        lopsided = network(x * torch.tensor([1.0, 4.0])[None, :, None])["last"]
        inverted = network(x * torch.tensor([1.0, -1.0])[None, :, None])["last"]
    assert torch.allclose(a, louder, atol=1e-3)
    assert not torch.allclose(a, lopsided, atol=1e-2)
    assert torch.equal(a, inverted)  # blind to interaural phase


def test_layers_and_time_variant() -> None:
    config = Config(patch=(128, 2), width=16, heads=4, depth=2, hidden=32)
    with torch.no_grad():
        states = GramT(config)(sound(RATE))
    assert list(states) == [0, 1, 2, "last"]
    assert {tuple(s.shape) for s in states.values()} == {(1, 50, 16)}
    assert config.hop_s == 0.02


def test_positions() -> None:
    at = sincos_positions(16, (8, 25))
    assert at.shape == (201, 16)
    assert not at[0].any()
    token = at[1 + 3 * 25 + 7]  # frequency 3, time 7
    rates = [1.0, 0.1, 0.01, 0.001]
    waves = [np.sin(7 * np.array(rates)), np.cos(7 * np.array(rates)), np.sin(3 * np.array(rates))]
    assert np.allclose(token[:12], np.concatenate(waves))


def test_every_tensor_of_the_network_is_mapped() -> None:
    table, shapes = gramt_map("patch"), shapes_of(GramT(TINY))
    for prefix in ("", "model.", "encoder.model."):
        state = published(prefix=prefix)
        _, report = apply(state, table, shapes, "test")
        assert {name: shape for name, _, shape in report.used} == {
            k: tuple(v.shape) for k, v in state.items() if not k.startswith("mel_spec") and "mask" not in k
        }
        assert {why for _, why in report.ignored} == {
            "the decoder serves training only",
            "the front end is computed from its formula",
        }
    with pytest.raises(ModelError, match="another shape"):
        apply(published(Config(patch=(8, 8), width=16, heads=4, depth=2, hidden=32)), table, shapes, "test")


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_the_published_sizes(variant: str) -> None:
    config = VARIANTS[variant]
    shapes = blueprint(lambda: GramT(config))
    low, time = config.grid
    assert len(shapes) == 150
    assert shapes["positions"] == (1, 1 + low * time, 768)
    assert shapes["patches.weight"] == (768, 2, *config.patch)
    assert shapes["blocks.11.attention.qkv.weight"] == (2304, 768)
    assert {gramt_map(variant).source(k) for k in shapes} >= {"cls_token", "encoder.ln.weight"}
