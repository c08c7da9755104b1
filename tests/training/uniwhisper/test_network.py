"""The traps of the fact sheet's section 7, one by one, and equality with Whisper."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as tr

from otoscope.core.errors import ModelError, UsageError
from otoscope.models.devices import seeded
from otoscope.models.resolve import load
from otoscope.training.uniwhisper.collate import Layout, Sample
from otoscope.training.uniwhisper.export import export
from otoscope.training.uniwhisper.network import (
    SOUND,
    Adapter,
    Fresh,
    Listener,
    ctc_loss,
    fresh_encoder,
    groups,
    language_model,
    whisper_encoder,
)  # fmt: skip


@pytest.fixture
def listener(models: Path) -> Listener:
    encoder, _ = whisper_encoder(models / "whisper")
    lm, _ = language_model(models / "lm", "frozen")
    with seeded(3):
        return Listener(encoder, Adapter(32, 32), lm, ctc=True)


@pytest.fixture
def layout(models: Path) -> Layout:
    _, tokenizer = language_model(models / "lm", "frozen")
    return Layout(tokenizer, tr.WhisperFeatureExtractor(feature_size=80, chunk_length=2), 4, full_share=0.0)


def samples(*lengths: int) -> list[Sample]:
    rng = np.random.default_rng(1)
    waves = [0.1 * rng.standard_normal(n).astype(np.float32) for n in lengths]
    return [Sample(w, "Which sound is this?", ("rain", "dog bark")[i % 2], "sound", "s") for i, w in enumerate(waves)]


def states_before_pooling(listener: Listener, mel: torch.Tensor) -> torch.Tensor:
    caught: list[torch.Tensor] = []
    handle = listener.encoder.layers[-1].register_forward_hook(
        lambda m, i, out: caught.append(out[0] if isinstance(out, tuple) else out)
    )
    try:
        with torch.no_grad():
            listener.hear(mel)
            return listener.encoder.layer_norm(caught[0])
    finally:
        handle.remove()


def test_a_whole_window_is_whispers_own(listener: Listener, models: Path) -> None:
    whisper = tr.WhisperModel.from_pretrained(models / "whisper").eval()
    mel = torch.randn(2, 80, 200)
    with torch.no_grad():
        wanted = whisper.encoder(mel).last_hidden_state
    assert torch.equal(states_before_pooling(listener.eval(), mel), wanted)


def test_a_short_sound_costs_short_and_is_what_a_table_cut_to_it_gives(listener: Listener, models: Path) -> None:
    """The position table is sliced: a Whisper whose table has only these rows gives the same (traps 5 and 7)."""
    whisper = tr.WhisperModel.from_pretrained(models / "whisper").eval()
    mel = torch.randn(1, 80, 60)
    short = whisper.encoder
    short.config.max_source_positions = 30
    table = torch.nn.Embedding(30, 32)
    table.weight.data = short.embed_positions.weight.data[:30].clone()
    short.embed_positions = table
    with torch.no_grad():
        wanted = short(mel).last_hidden_state
    found = states_before_pooling(listener.eval(), mel)
    assert found.shape == (1, 30, 32)
    assert torch.equal(found, wanted)
    assert not listener.encoder.embed_positions.table.weight.requires_grad
    with pytest.raises(UsageError, match="more than the encoder's window"):
        listener.hear(torch.randn(1, 80, 204))


def test_the_head_is_tied_as_in_the_source(models: Path) -> None:
    lm, tokenizer = language_model(models / "lm", "frozen")
    assert lm.lm_head.weight.data_ptr() == lm.get_input_embeddings().weight.data_ptr()
    again = tr.AutoModelForCausalLM.from_pretrained(models / "lm")
    ids = torch.tensor([tokenizer("Which sound is this?")["input_ids"]])
    with torch.no_grad():
        assert torch.equal(lm(input_ids=ids).logits, again(input_ids=ids).logits)


def test_only_the_answer_and_its_end_are_learned(layout: Layout) -> None:
    laid = layout.lay_out(samples(9_600, 16_000), np.random.default_rng(0))
    for i, answer in enumerate(("rain", "dog bark")):
        learned = laid.labels[i][laid.labels[i] != -100].tolist()
        assert learned == [*layout._ids(answer), layout.tokenizer.eos_token_id]
        assert laid.answers[i] == layout._ids(answer)
        there = laid.attention[i].bool()
        assert (laid.labels[i][~there] == -100).all()
    assert (laid.ids == SOUND).sum(1).tolist() == [15, 25]  # 25 a second
    assert laid.learned == sum(len(a) + 1 for a in laid.answers)
    assert 0 < laid.waste < 1


def test_the_loss_is_that_of_the_same_network_written_out(listener: Listener, layout: Layout) -> None:
    laid = layout.lay_out(samples(9_600, 16_000), np.random.default_rng(0))
    with torch.no_grad():
        heard = listener.eval()(laid.mel, laid.frames, laid.ids, laid.labels, laid.attention)
        for i in range(2):
            states = listener.hear(laid.mel)[i : i + 1, : int(listener.tokens(laid.frames)[i])]
            tokens = listener.adapter(states)
            n = int(laid.attention[i].sum())
            ids = laid.ids[i, :n]
            embeds = listener.lm.get_input_embeddings()(ids.clamp(min=0))
            embeds[ids == SOUND] = tokens[0]
            logits = listener.lm(inputs_embeds=embeds[None]).logits[0]
            own = laid.labels[i, :n]
            at = (own != -100).nonzero()[:, 0]
            wanted = -logits.log_softmax(-1)[at - 1, own[at]].sum()
            torch.testing.assert_close(heard.losses[i].sum(), wanted, rtol=1e-4, atol=1e-4)


def test_text_is_padded_on_the_right_and_places_count_from_nought(listener: Listener, layout: Layout) -> None:
    """Trap 4: with padding on the left, as the library's processor does it, the places of a short row would depend on
    the longest row of its batch."""
    short, long = samples(9_600, 32_000)
    rng = np.random.default_rng(0)
    alone, beside = layout.lay_out([short], rng), layout.lay_out([short, long], rng)
    n = int(alone.attention.sum())
    assert beside.attention[0].tolist() == [1] * n + [0] * (beside.ids.shape[1] - n)
    assert torch.equal(beside.ids[0, :n], alone.ids[0])
    embeds = listener.lm.get_input_embeddings()(beside.ids.clamp(min=0))
    seen: list[torch.Tensor] = []
    handle = listener.lm.model.rotary_emb.register_forward_pre_hook(
        lambda m, args, kwargs: seen.append(kwargs["position_ids"] if "position_ids" in kwargs else args[1]),
        with_kwargs=True,
    )
    with torch.no_grad():
        wanted = listener.lm(inputs_embeds=embeds[:1, :n]).logits[0]
        found = listener.lm(inputs_embeds=embeds, attention_mask=beside.attention).logits[0, :n]
    handle.remove()
    assert [p[0, :n].tolist() for p in seen] == [list(range(n))] * 2
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_gradients_cross_the_frozen_model_and_stop_at_no_weight_of_it(listener: Listener, layout: Layout) -> None:
    laid = layout.lay_out(samples(9_600, 16_000), np.random.default_rng(0))
    listener.lm.gradient_checkpointing_enable({"use_reentrant": False})
    listener.train()
    heard = listener(laid.mel, laid.frames, laid.ids, laid.labels, laid.attention)
    (heard.losses.sum() + ctc_loss(listener, heard, laid.answers)).backward()
    without = {n for n, p in listener.named_parameters() if p.requires_grad and p.grad is None}
    assert without == set()
    assert all(p.grad is None for p in listener.lm.parameters())
    assert float(listener.encoder.conv1.weight.grad.abs().sum()) > 0


def test_silence_that_is_added_changes_no_token_count(listener: Listener, layout: Layout) -> None:
    waves = [s.wave for s in samples(9_600, 16_000)]
    short, frames = layout.features(waves, np.random.default_rng(0))
    full, again = Layout(layout.tokenizer, layout.extractor, 4, full_share=1.0).features(
        waves, np.random.default_rng(3)
    )
    assert frames.tolist() == again.tolist() == [60, 100]
    assert full.shape[-1] > short.shape[-1]
    torch.testing.assert_close(full[0, :, :50], short[0, :, :50])  # the floor is each clip's own


def test_half_the_rate_is_half_the_tokens(models: Path, layout: Layout) -> None:
    encoder, _ = whisper_encoder(models / "whisper")
    lm, tokenizer = language_model(models / "lm", "frozen")
    slow = Listener(encoder, Adapter(32, 32, 12.5), lm)
    laid = Layout(tokenizer, layout.extractor, 8, 0.0).lay_out(samples(9_600, 16_000), np.random.default_rng(0))
    assert (laid.ids == SOUND).sum(1).tolist() == [8, 13]
    assert slow(laid.mel, laid.frames, laid.ids, laid.labels, laid.attention).tokens.tolist() == [8, 13]
    with pytest.raises(UsageError, match="no adapter of 50 Hz"):
        Adapter(32, 32, 50)


def test_exported_it_is_a_whisper_for_everybody(listener: Listener, models: Path, tmp_path: Path) -> None:
    _, config = whisper_encoder(models / "whisper")
    with torch.no_grad():
        listener.encoder.conv1.weight.mul_(1.5)
    folder = export(listener, config, tmp_path / "out", str(models / "whisper"))
    whisper = tr.WhisperModel.from_pretrained(folder).eval()
    source = tr.WhisperModel.from_pretrained(models / "whisper")
    mel = torch.randn(1, 80, 200)
    with torch.no_grad():
        assert torch.equal(whisper.encoder(mel).last_hidden_state, states_before_pooling(listener.eval(), mel))
    ours, theirs = whisper.decoder.state_dict(), source.decoder.state_dict()
    assert all(torch.equal(ours[n], theirs[n]) for n in theirs)
    pooled = tr.AudioFlamingo3Encoder.from_pretrained(export(listener, config, tmp_path / "pooled", pooled=True)).eval()
    with torch.no_grad():
        found = pooled(mel, input_features_mask=torch.ones(1, 200, dtype=torch.long)).last_hidden_state
        assert torch.equal(found, listener.hear(mel))
    encoder = load(str(folder))
    assert encoder.card.fixed_duration_s == 2.0


def test_an_encoder_that_is_drawn_is_exported_without_a_decoder(models: Path, tmp_path: Path) -> None:
    encoder, config = fresh_encoder(Fresh(32, 2, 2, 80, 2.0), 0)
    other, _ = fresh_encoder(Fresh(32, 2, 2, 80, 2.0), 0)
    assert torch.equal(encoder.conv1.weight, other.conv1.weight)
    lm, _ = language_model(models / "lm", "frozen")
    folder = export(Listener(encoder, Adapter(32, 32), lm), config, tmp_path / "out", half=True)
    whisper = tr.WhisperModel.from_pretrained(folder)
    assert len(whisper.decoder.layers) == 0
    assert load(str(folder)).card.rate == 16_000


def test_rates_fall_with_depth_and_norms_do_not_decay(listener: Listener) -> None:
    found = groups(listener, (1e-3, 1e-2), 0.1, 0.5)
    by = {id(p): g for g in found for p in g["params"]}
    names = dict(listener.named_parameters())
    rate = {n: by[id(p)]["peak"] for n, p in names.items() if p.requires_grad}
    assert rate["adapter.first.weight"] == 1e-2
    assert rate["encoder.layer_norm.weight"] == 1e-3
    assert rate["encoder.layers.1.fc1.weight"] == 1e-3
    assert rate["encoder.layers.0.fc1.weight"] == 5e-4
    assert rate["encoder.conv1.weight"] == 2.5e-4
    assert by[id(names["encoder.layers.0.fc1.bias"])]["weight_decay"] == 0.0
    assert sum(len(g["params"]) for g in found) == sum(p.requires_grad for p in names.values())


def test_what_cannot_be_used_is_said(models: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no Whisper checkpoint"):
        whisper_encoder(tmp_path)
    with pytest.raises(ModelError, match="no causal language model"):
        language_model(tmp_path, "frozen")
    with pytest.raises(UsageError, match="no decoder of the kind"):
        language_model(models / "lm", "warm")  # type: ignore[arg-type]
