"""The flow separator over a codec that loses nothing: contract, determinism, prompts, pieces, candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import otoscope
from otoscope.core.audio import Audio
from otoscope.core.errors import InputError, ModelError, UsageError
from otoscope.core.nouns import Card, Separator, Sited, Span, StemPrompt, Stems
from otoscope.models.separators.dit import NULL, WANTED
from otoscope.models.separators.flow import FlowSeparator, Sampling
from otoscope.models.separators.solver import solve, uniform_grid

RATE, HOP = 800, 8
CARD = Card("ours", "separator", "", RATE, 1)
EULER = Sampling("euler", 3)


class Frames:
    """Eight samples are one frame of eight channels; counts what it is asked."""

    rate, hop, latent = RATE, HOP, HOP

    def __init__(self) -> None:
        self.encoded = self.decoded = 0

    def encode(self, x: Tensor) -> Tensor:
        self.encoded += 1
        return torch.nn.functional.pad(x, (0, -x.shape[-1] % HOP)).unflatten(-1, (-1, HOP))

    def decode(self, latents: Tensor) -> Tensor:
        self.decoded += 1
        return latents.flatten(-2)


class Letters:
    """Each letter is a token that depends on it alone."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        self.asked += texts
        rows = [torch.randn(24, generator=torch.Generator().manual_seed(ord(c))) for c in texts[0]]
        return torch.stack(rows)[None], torch.ones(1, len(rows), dtype=torch.bool)


def sound(n: int, seed: int = 0, rate: int = RATE, channels: int = 1) -> Audio:
    return Audio((0.1 * np.random.default_rng(seed).standard_normal((channels, n))).astype(np.float32), rate)


def one(separator: FlowSeparator, mixture: Audio, prompt: StemPrompt | None = None, seed: int = 1) -> Stems:
    return separator.separate([mixture], [prompt or StemPrompt()], [seed])[0]


def distance(a: Stems, b: Stems) -> float:
    return float(np.abs(a.target.samples - b.target.samples).max())


@pytest.fixture
def build(network):
    def make(sampling: Sampling = EULER, words: Any = "letters", **more: Any) -> FlowSeparator:
        words = Letters() if words == "letters" else words
        return FlowSeparator(CARD, network, Frames(), words, sampling, {"weights": "abc"}, **more)

    return make


def test_it_is_a_separator_with_sites(build) -> None:
    separator = build()
    assert isinstance(separator, Separator)
    assert isinstance(separator, Sited)
    assert separator.identity() == {"weights": "abc", "sampling": asdict(EULER)}
    assert separator.network.get_submodule(separator.sites.places("schedule")[0].path) is not None


@pytest.mark.parametrize("n", [1, 7, 8, 9, 803])
def test_stems_are_as_long_as_the_mixture(build, n: int) -> None:
    stems = one(build(), sound(n))
    assert stems.target.samples.shape == stems.residual.samples.shape == (1, n)
    assert stems.latents is not None
    assert stems.latents.shape == (-(-n // HOP), 2 * HOP)
    assert stems.evaluations == 3


def test_it_is_the_flow_of_its_network_from_its_noise(build) -> None:
    separator, mixture = build(), sound(96)
    prompt = StemPrompt("cat", (Span(0.02, 0.06),))
    stems = one(separator, mixture, prompt, seed=11)
    noise = torch.randn(12, 16, generator=torch.Generator().manual_seed(11))[None]
    heard = torch.from_numpy(mixture.samples.copy()).reshape(1, 12, 8).repeat(1, 1, 2)
    text, mask = Letters().encode(["cat"])
    anchors = torch.tensor([[NULL] * 2 + [WANTED] * 4 + [NULL] * 6])
    with torch.no_grad():
        end = solve(lambda x, t: separator.network(x, t, heard, text, mask, anchors), noise, uniform_grid(3), "euler")[
            0
        ].numpy()
    np.testing.assert_allclose(stems.latents, end, atol=1e-6)
    np.testing.assert_allclose(stems.target.samples[0], end[:, :8].ravel(), atol=1e-6)
    np.testing.assert_allclose(stems.residual.samples[0], end[:, 8:].ravel(), atol=1e-6)


def test_equal_seeds_are_equal_and_each_mixture_is_alone(build) -> None:
    mixtures, prompts = [sound(100), sound(333, 1)], [StemPrompt("ab"), StemPrompt()]
    together = build().separate(mixtures, prompts, [1, 2])
    alone = [one(build(), m, p, s) for m, p, s in zip(mixtures, prompts, (1, 2), strict=True)]
    for a, b in zip(together, alone, strict=True):
        assert np.array_equal(a.target.samples, b.target.samples)
        assert np.array_equal(a.latents, b.latents)
    assert distance(together[0], one(build(), mixtures[0], prompts[0], 5)) > 1e-3


def test_every_prompt_reaches_the_stems(build) -> None:
    prompts = [
        StemPrompt(),
        StemPrompt("a"),
        StemPrompt("b"),
        StemPrompt(spans=(Span(0.1, 0.3),)),
        StemPrompt(spans=(Span(0.1, 0.3, "-"),)),
        StemPrompt("a", (Span(0.1, 0.3),)),
    ]
    found = [one(build(), sound(400), p).target.samples.tobytes() for p in prompts]
    assert len(set(found)) == len(prompts)


def test_text_and_mixture_are_encoded_once_for_all_evaluations(network) -> None:
    codec, words, calls = Frames(), Letters(), []
    network.register_forward_hook(lambda *a: calls.append(1))
    separator = FlowSeparator(CARD, network, codec, words, Sampling("midpoint", 5), {})
    stems = one(separator, sound(200), StemPrompt("abc"))
    assert (codec.encoded, codec.decoded, words.asked) == (1, 1, ["abc"])
    assert len(calls) == stems.evaluations == 10
    cut = FlowSeparator(CARD, network, codec, words, Sampling("euler", 2, chunk_s=0.1, overlap_s=0.02), {})
    places = 1 + -(-(25 - 10) // 8)
    assert one(cut, sound(200), StemPrompt("abc")).evaluations == 2 * places
    assert words.asked == ["abc", "abc"]
    assert codec.encoded == 1 + places


def test_the_schedule_can_be_changed_from_outside(build) -> None:
    separator, mixture = build(Sampling("euler", 4)), sound(100)
    place = separator.network.get_submodule(separator.sites.places("schedule")[0].path)
    handle = place.register_forward_hook(lambda m, a, out: out[::2])
    halved = one(separator, mixture)
    handle.remove()
    assert halved.evaluations == 2
    wanted = one(build(Sampling("euler", 2)), mixture)
    assert np.array_equal(halved.target.samples, wanted.target.samples)
    assert one(separator, mixture).evaluations == 4


@pytest.mark.parametrize("n", [79, 80, 81, 160, 799, 803])
def test_pieces_give_the_length_of_the_whole(build, n: int) -> None:
    whole, cut = one(build(), sound(n)), one(build(replace(EULER, chunk_s=0.2, overlap_s=0.05)), sound(n))
    assert cut.target.n == whole.target.n == n
    assert cut.latents is not None
    assert cut.latents.shape == whole.latents.shape
    # One piece of the same noise is the same thing.
    assert (distance(whole, cut) == 0) == (n <= 160)


def test_pieces_agree_with_the_whole_where_the_network_sees_only_one_frame(build, monkeypatch) -> None:
    def local(state: Tensor, time: Tensor, mixture: Tensor, **_: Any) -> Tensor:
        return mixture - state

    whole, cut = build(), build(replace(EULER, chunk_s=0.2, overlap_s=0.05))
    monkeypatch.setattr(whole.network, "forward", local)
    assert distance(one(whole, sound(803)), one(cut, sound(803))) < 1e-6


def test_spans_are_told_to_the_piece_that_they_are_in(build) -> None:
    separator = build(replace(EULER, chunk_s=0.2, overlap_s=0.05))
    far = StemPrompt(spans=(Span(0.7, 0.9),))
    spoken, silent = one(separator, sound(803), far), one(separator, sound(803))
    changed = np.flatnonzero(spoken.target.samples[0] != silent.target.samples[0])
    assert changed.min() > 0.4 * RATE
    assert changed.max() > 0.7 * RATE


def test_candidates_are_the_best_of_as_many_noises(build) -> None:
    mixture = sound(120)
    stems = one(build(replace(EULER, candidates=4)), mixture, seed=3)
    assert stems.evaluations == 4 * 3
    # The same noises, one by one: the first is that of the seed, the others follow in the generator.
    generator, errors, targets = torch.Generator().manual_seed(3), [], []
    separator = build()
    heard = torch.from_numpy(mixture.samples.copy()).reshape(1, 15, 8).repeat(1, 1, 2)
    for _ in range(4):
        noise = torch.randn(15, 16, generator=generator)[None]
        with torch.no_grad():
            end = solve(lambda x, t: separator.network(x, t, heard), noise, uniform_grid(3), "euler")[0].numpy()
        targets.append(end[:, :8].ravel())
        errors.append(np.mean((targets[-1] + end[:, 8:].ravel() - mixture.samples[0]) ** 2))
    assert len({round(float(e), 6) for e in errors}) == 4
    np.testing.assert_allclose(stems.target.samples[0], targets[int(np.argmin(errors))], atol=1e-6)
    assert "ranker" not in build().identity()
    assert build(replace(EULER, candidates=4)).identity()["ranker"] == {"closeness": 1}


class Loudest:
    def identity(self) -> Mapping[str, Any]:
        return {"loudest": 1}

    def __call__(self, mixture: Tensor, stems: Tensor) -> float:
        return float(stems[0].square().mean())


def test_a_ranker_of_ones_own(build) -> None:
    many = replace(EULER, candidates=5)
    own, ours = build(many, ranker=Loudest()), build(many)
    loud, close = (one(s, sound(120)).target.samples for s in (own, ours))
    assert np.mean(loud**2) >= np.mean(close**2)
    assert own.identity()["ranker"] == {"loudest": 1}


def test_half_precision_is_near_and_repeats(network) -> None:
    mixture, prompt = sound(300), StemPrompt("a", (Span(0.1, 0.2),))
    full = one(FlowSeparator(CARD, network, Frames(), Letters(), EULER, {}), mixture, prompt)
    low = FlowSeparator(CARD, network, Frames(), Letters(), replace(EULER, dtype="bfloat16"), {})
    first, second = one(low, mixture, prompt), one(low, mixture, prompt)
    assert next(low.network.parameters()).dtype == torch.bfloat16
    assert np.array_equal(first.target.samples, second.target.samples)
    assert 0 < distance(full, first) < 0.1 * np.abs(full.target.samples).max()
    assert first.latents is not None
    assert first.latents.dtype == np.float32


def test_refusals(build, network) -> None:
    separator = build()
    with pytest.raises(UsageError, match="1 mixtures, 2 prompts"):
        separator.separate([sound(80)], [StemPrompt()] * 2, [1])
    with pytest.raises(InputError, match="801 Hz"):
        one(separator, sound(80, rate=801))
    with pytest.raises(InputError, match="2 channels"):
        one(separator, sound(80, channels=2))
    with pytest.raises(ModelError, match="no text encoder"):
        one(build(words=None), sound(80), StemPrompt("a"))
    one(build(words=None), sound(80), StemPrompt(spans=(Span(0.0, 0.05),)))
    with pytest.raises(InputError, match="does not fit"):
        one(separator, sound(80), StemPrompt(spans=(Span(0.0, 0.5),)))
    with pytest.raises(UsageError, match="shorter than two frames"):
        one(build(replace(EULER, chunk_s=0.01, overlap_s=0.0)), sound(80))
    with pytest.raises(ModelError, match="800 Hz and 8 channels"):
        FlowSeparator(replace(CARD, rate=16000), network, Frames(), None, EULER, {})


def test_temperature_scales_the_start(build) -> None:
    mixture = sound(100)
    cold = [one(build(Sampling("euler", 3, temperature=0.0)), mixture, seed=s) for s in (1, 2)]
    assert distance(*cold) == 0.0, "without noise the seed is nothing"
    starts = []
    separator = build(Sampling("euler", 1, temperature=0.5))
    with torch.no_grad():
        handle = separator.network.state.register_forward_pre_hook(lambda _, args: starts.append(args[0].clone()))
        one(separator, mixture)
        handle.remove()
    full = torch.randn(starts[0].shape[1:], generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(starts[0][0], 0.5 * full)


def test_consistent_stems_sum_to_the_mixture(build) -> None:
    mixture = sound(105)
    loose, tight = (one(build(Sampling("euler", 3, consistent=c)), mixture) for c in (False, True))
    missing = mixture.samples - loose.target.samples - loose.residual.samples
    assert np.abs(missing).max() > 0.01
    np.testing.assert_allclose(tight.target.samples, loose.target.samples + missing / 2, atol=1e-6)
    np.testing.assert_allclose(tight.target.samples + tight.residual.samples, mixture.samples, atol=1e-6)


def test_a_network_that_breaks_is_said_to(build, monkeypatch) -> None:
    separator = build()
    monkeypatch.setattr(separator.network, "forward", lambda state, **_: state * float("nan"))
    with pytest.raises(ModelError, match="NaN"):
        one(separator, sound(80))


@pytest.mark.parametrize(
    "wrong",
    [
        {"solver": "rk4"},
        {"steps": 0},
        {"steps": 2.5},
        {"steps": True},
        {"candidates": 0},
        {"chunk_s": 1.0, "overlap_s": 0.6},
        {"chunk_s": -1.0},
        {"chunk_s": "long"},
        {"overlap_s": None},
        {"dtype": "int8"},
        {"temperature": -0.1},
        {"temperature": "hot"},
        {"consistent": 1},
    ],
)
def test_samplings_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Sampling(**wrong)


def test_it_keeps_the_contract(build) -> None:
    found = {c.name: c for c in otoscope.check(build())}
    assert not [c for c in found.values() if c.status != "passed"]
    assert found["prompts"].detail == "takes no prompt, words, spans, words and spans"
    assert found["determinism"].figure == found["mixtures alone"].figure == found["restores"].figure == 0.0
    assert found["noise seed"].figure > 0.01


def test_a_site_that_is_not_there_or_does_nothing_fails(build) -> None:
    separator = build()
    del separator.network.time_memory
    separator.network.time_memory = lambda x: x  # works, and is no place
    found = {c.name: c for c in otoscope.check(separator)}
    assert [name for name, c in found.items() if not c.passed] == ["restores"]
    assert "the network has no time_memory" in found["restores"].detail
