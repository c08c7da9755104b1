"""SAM Audio by name, from tiny random checkpoints in the published layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import otoscope
from otoscope.core.audio import Audio
from otoscope.core.errors import InputError, ModelError, UsageError
from otoscope.core.identity import canonical
from otoscope.core.naming import Spec
from otoscope.core.nouns import Separator, Sited, Span, StemPrompt, Stems
from otoscope.models.resolve import card_for, resolve
from otoscope.models.separators.dacvae import DacVae, MarkedCodec
from otoscope.models.separators.dit import FlowNetwork
from otoscope.models.separators.flow import FlowSeparator, Sampling
from otoscope.models.separators.sam_audio import SamAudio

FAST: dict[str, Any] = {"solver": "euler", "steps": 2}
MIXTURE = Audio((0.1 * np.random.default_rng(0).standard_normal((1, 2001))).astype(np.float32), 48000)
SPANS = StemPrompt(spans=(Span(0.01, 0.03),))


@pytest.fixture(scope="module")
def state(scramble, tiny_files) -> dict[str, torch.Tensor]:
    return tiny_files.tensors(scramble(tiny_files.dit()))


@pytest.fixture(scope="module")
def folder(state, tmp_path_factory, tiny_files) -> Path:
    return tiny_files.write(tmp_path_factory.mktemp("sam"), state)


@pytest.fixture(scope="module")
def t5(tmp_path_factory, tiny_files) -> Path:
    return tiny_files.write_t5(tmp_path_factory.mktemp("t5"))


def one(model: Any, prompt: StemPrompt = SPANS, seed: int = 1) -> Stems:
    return model.separate([MIXTURE], [prompt], [seed])[0]


def same(a: Stems, b: Stems) -> bool:
    return np.array_equal(a.target.samples, b.target.samples) and np.array_equal(a.residual.samples, b.residual.samples)


def test_a_checkpoint_loads_and_equals_its_parts_put_together(folder, state, tiny_files) -> None:
    model = otoscope.load("sam-audio-small", path=str(folder), **FAST)
    assert isinstance(model, Separator)
    assert isinstance(model, Sited)
    stems = one(model)
    assert stems.target.n == stems.residual.n == MIXTURE.n
    assert stems.evaluations == 2
    # The same weights, put into modules of their own without the loader.
    network = FlowNetwork(tiny_files.dit())
    network.load_state_dict({k: v for k, v in state.items() if not k.startswith(("audio_codec.", "vision_encoder."))})
    codec = DacVae(tiny_files.CODEC)
    codec.load_state_dict({k.removeprefix("audio_codec."): v for k, v in state.items() if k.startswith("audio_codec.")})
    by_hand = FlowSeparator(model.card, network, MarkedCodec(codec, 0), None, Sampling("euler", 2), {})
    assert same(one(by_hand), stems)


def test_every_layout_is_the_same_model(folder, state, tmp_path, tiny_files) -> None:
    first = one(otoscope.load("sam-audio-small", path=str(folder), **FAST))
    for kind in ("safetensors", "sharded"):
        other = tiny_files.write(tmp_path / kind, state, kind)
        assert same(first, one(otoscope.load("sam-audio-large-tv", path=str(other), **FAST)))


def test_the_report_names_every_tensor(folder, state) -> None:
    report = otoscope.load("sam-audio-small", path=str(folder), **FAST).report
    assert {theirs for theirs, _, _ in report.used} | {theirs for theirs, _ in report.ignored} == set(state)
    assert dict(report.ignored) == dict.fromkeys(
        ["vision_encoder.model.visual.proj", "vision_encoder.model.logit_scale"],
        "sees video, which no prompt here has",
    )
    assert len(report.lines()) == len(state)


@pytest.mark.parametrize("name", ["transformer.layers.2.attention.wq.weight", "audio_codec.decoder.model.0.weight_g"])
def test_a_missing_tensor_is_named(state, tmp_path, name: str, tiny_files) -> None:
    broken = {k: v for k, v in state.items() if k != name}
    where = tiny_files.write(tmp_path, broken, "safetensors")
    with pytest.raises(ModelError, match=f"lacks 1 tensor.*{name}"):
        otoscope.load("sam-audio-small", path=str(where))


def test_other_tensors_that_do_not_fit(state, tmp_path, tiny_files) -> None:
    for i, (change, message) in enumerate(
        (
            ({"decoder.extra": torch.ones(1)}, "has unknown 1 tensor"),
            ({"proj.bias": torch.ones(3)}, "in another shape"),
            ({"proj.bias": torch.full((64,), float("nan"))}, "NaN"),
        )
    ):
        where = tiny_files.write(tmp_path / str(i), {**state, **change}, "safetensors")
        with pytest.raises(ModelError, match=message):
            otoscope.load("sam-audio-small", path=str(where))
    where = tiny_files.write(tmp_path / "twice", state, "safetensors")
    (where / "copy.safetensors").write_bytes((where / "model-0.safetensors").read_bytes())
    with pytest.raises(ModelError, match="is in two files"):
        otoscope.load("sam-audio-small", path=str(where))


def test_folders_that_hold_no_checkpoint(state, tmp_path, tiny_files) -> None:
    with pytest.raises(ModelError, match="no such folder"):
        otoscope.load("sam-audio-small", path=str(tmp_path / "nowhere"))
    with pytest.raises(ModelError, match=r"no config\.json"):
        otoscope.load("sam-audio-small", path=str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps(tiny_files.CONFIG))
    with pytest.raises(ModelError, match=r"neither checkpoint\.pt nor a safetensors"):
        otoscope.load("sam-audio-small", path=str(tmp_path))
    (tmp_path / "checkpoint.pt").write_bytes(b"no archive")
    with pytest.raises(ModelError, match="cannot be read"):
        otoscope.load("sam-audio-small", path=str(tmp_path))


def test_missing_weights_are_one_line_that_says_what_to_do(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError) as caught:
        otoscope.load("sam-audio-base")
    text = str(caught.value)
    assert "\n" not in text
    for needed in ("config.json and checkpoint.pt", "facebook/sam-audio-base", "SAM License", "path=FOLDER"):
        assert needed in text


def test_bfloat16_weights_are_cast_as_they_are_read(folder, state, tmp_path, tiny_files) -> None:
    full = one(otoscope.load("sam-audio-small", path=str(folder), **FAST))
    low = otoscope.load("sam-audio-small", path=str(folder), dtype="bfloat16", **FAST)
    assert {p.dtype for p in low.network.parameters()} == {torch.bfloat16}
    gap = np.abs(full.latents - one(low).latents).max()  # a random decoder saturates
    assert 0 < gap < 0.1 * np.abs(full.latents).max()
    # A checkpoint that was stored in bfloat16 runs in float32 as well.
    halves = {k: v.bfloat16() if not k.startswith("audio_codec") else v for k, v in state.items()}
    stored = otoscope.load("sam-audio-small", path=str(tiny_files.write(tmp_path, halves)), **FAST)
    assert {p.dtype for p in stored.network.parameters()} == {torch.float32}
    assert 0 < np.abs(full.latents - one(stored).latents).max() < 0.1 * np.abs(full.latents).max()


def test_the_model_does_not_hang_on_the_file(state, tmp_path, tiny_files) -> None:
    where = tiny_files.write(tmp_path, state)
    model = otoscope.load("sam-audio-small", path=str(where), **FAST)
    before = one(model)
    with (where / "checkpoint.pt").open("r+b") as file:
        file.seek(10_000)
        file.write(bytes(1_000_000))
    assert same(before, one(model))


def test_messages(folder) -> None:
    zero, again, other = (
        one(otoscope.load("sam-audio-small", path=str(folder), message=m, **FAST)) for m in (0, 0, 40_000)
    )
    assert same(zero, again)
    assert not same(zero, other)
    assert np.array_equal(zero.latents, other.latents)  # the watermark is the decoder's alone
    for wrong in (-1, 65_536, True, 1.5):
        with pytest.raises(UsageError, match="16 bits"):
            SamAudio("sam-audio-small", message=wrong)


def test_words_through_t5(folder, t5) -> None:
    model = otoscope.load("sam-audio-small", path=str(folder), text_path=str(t5), **FAST)
    dog, cat, none = (one(model, StemPrompt(text)) for text in ("dog", "cat", ""))
    assert not same(dog, cat)
    assert not same(dog, none)
    assert same(dog, one(model, StemPrompt("dog")))
    # The states are those of the library's own encoder.
    from transformers import AutoTokenizer, T5EncoderModel

    ids = AutoTokenizer.from_pretrained(str(t5))(["dog"], return_tensors="pt").input_ids
    with torch.no_grad():
        wanted = T5EncoderModel.from_pretrained(str(t5)).eval()(ids).last_hidden_state
    got, mask = model.flow._words.encode(["dog"])
    torch.testing.assert_close(got, wanted)
    assert mask.tolist() == [[True] * 4]
    with pytest.raises(InputError, match="18 tokens, at most 16"):
        one(model, StemPrompt("a dog in the rain"))


def test_without_a_text_encoder_only_words_are_refused(folder, tmp_path, t5, tiny_files) -> None:
    model = otoscope.load("sam-audio-small", path=str(folder), **FAST)
    one(model)
    one(model, StemPrompt())
    with pytest.raises(ModelError, match=r"needs the text encoder.*text_path=FOLDER"):
        one(model, StemPrompt("dog"))
    with pytest.raises(ModelError, match="no such folder"):
        one(otoscope.load("sam-audio-small", path=str(folder), text_path="/nowhere", **FAST), StemPrompt("dog"))
    from transformers import BertConfig, BertModel, T5Config

    other = tmp_path / "other"  # its tensors have other names; the library would draw those of T5
    tiny_files.write_t5(other)
    BertModel(BertConfig(vocab_size=32, hidden_size=24, num_hidden_layers=1, num_attention_heads=2)).save_pretrained(
        str(other)
    )
    T5Config(vocab_size=32, d_model=24, num_layers=1).save_pretrained(str(other))
    with pytest.raises(ModelError, match="the weights lack"):
        one(otoscope.load("sam-audio-small", path=str(folder), text_path=str(other), **FAST), StemPrompt("dog"))
    wide = tiny_files.write_t5(tmp_path, 32)
    with pytest.raises(ModelError, match="32 wide, the separator was trained with 24"):
        one(otoscope.load("sam-audio-small", path=str(folder), text_path=str(wide), **FAST), StemPrompt("dog"))


def test_random_weights(folder, tiny_files) -> None:
    def drawn(seed: int) -> Any:
        return otoscope.load("sam-audio-small", path=str(folder), init="random", seed=seed, **FAST)

    assert same(one(drawn(1)), one(drawn(1)))
    assert not same(one(drawn(1)), one(drawn(2)))
    assert drawn(1).report is None
    assert drawn(1).network.config == tiny_files.dit()


def test_identity_is_over_all_that_can_change_a_number(folder, state, t5, tmp_path, tiny_files) -> None:
    base: dict[str, Any] = {"path": str(folder)}
    other = tiny_files.write(tmp_path, {**state, "proj.bias": state["proj.bias"] + 1})
    names = [
        {},
        {"path": str(other)},
        {"init": "random"},
        {"init": "random", "seed": 1},
        {"text_path": str(t5)},
        {"message": 1},
        {"solver": "euler"},
        {"steps": 8},
        {"chunk_s": 10.0},
        {"candidates": 2},
        {"dtype": "bfloat16"},
    ]
    found = [canonical(resolve(Spec("sam-audio-small", {**base, **n})).identity()) for n in names]
    assert len(set(found)) == len(names)
    copy = tiny_files.write(tmp_path / "copy", state)
    assert json.loads(canonical(resolve(f"sam-audio-small:path={copy}").identity())) == json.loads(found[0])
    assert canonical(resolve(f"sam-audio-base:path={folder}", device="auto").identity()) == found[0]


@pytest.mark.parametrize("size", ["small", "base", "large"])
@pytest.mark.parametrize("variant", ["", "-tv"])
def test_cards(size: str, variant: str) -> None:
    card = card_for(f"sam-audio-{size}{variant}:message=7")
    assert (card.capability, card.rate, card.channels) == ("separator", 48_000, 1)
    assert card.hub_id == f"facebook/sam-audio-{size}{variant}"
    assert "SAM License" in card.licence
    assert any("watermark" in note for note in card.notes)
    assert card.extra["message"] == 7


@pytest.mark.parametrize(
    "name", ["solver=rk4", "steps=0", "seed=3", "init=fresh", "device=cpu", "stepz=3", "layer=3", "dtype=int8"]
)
def test_parameters_that_make_no_sense(name: str) -> None:
    with pytest.raises(UsageError):
        resolve(f"sam-audio-small:{name}")
