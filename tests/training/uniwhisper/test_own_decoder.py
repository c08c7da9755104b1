"""Ablation A: Whisper's own decoder answers, from the states that Whisper's decoder knows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from otoscope.core.errors import ModelError, UsageError
from otoscope.training.uniwhisper.collate import Layout, Sample
from otoscope.training.uniwhisper.network import SOUND, Adapter, Listener, language_model, whisper_encoder
from otoscope.training.uniwhisper.plan import plan
from otoscope.training.uniwhisper.recipe import read_recipe
from otoscope.training.uniwhisper.session import train


def test_the_loss_is_that_of_whisper_itself(whole: Path) -> None:
    import transformers as tr

    encoder, config = whisper_encoder(whole)
    lm, tokenizer = language_model(whole, "whisper")
    listener = Listener(encoder, Adapter(config.d_model, config.d_model), lm).eval()
    layout = Layout(tokenizer, tr.WhisperFeatureExtractor.from_pretrained(whole), None, 0.0, lm.start)
    wave = np.random.default_rng(0).standard_normal(32_000).astype(np.float32) * 0.1  # the whole window
    laid = layout.lay_out([Sample(wave, "Which sound is this?", "rain", "sound", "s")], np.random.default_rng(0))
    assert not (laid.ids == SOUND).any()
    assert int(laid.ids[0, 0]) == config.decoder_start_token_id
    whisper = tr.WhisperForConditionalGeneration(config).eval()
    whisper.model.load_state_dict(tr.WhisperModel.from_pretrained(whole).state_dict())
    whisper.tie_weights()
    with torch.no_grad():
        ours = listener(laid.mel, laid.frames, laid.ids, laid.labels, laid.attention).losses
        scores = whisper(laid.mel, decoder_input_ids=laid.ids).logits[:, :-1]
    theirs = torch.nn.functional.cross_entropy(scores.transpose(1, 2), laid.labels[:, 1:], reduction="none")
    assert int((theirs > 0).sum()) == laid.learned > 1
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_it_is_trained_to_an_encoder(whole: Path, recipe: Callable[..., Path], tmp_path: Path) -> None:
    import transformers as tr

    (tmp_path / "whole").symlink_to(whole)
    path = recipe(
        "own", ('source = "whisper"', 'source = "whole"'), ('source = "lm"', 'source = "whole"\nkind = "whisper"')
    )
    planned = plan(read_recipe(path))
    assert planned.weights_frozen == 0
    assert planned.flops > 0
    done = train(read_recipe(path), tmp_path / "run")
    assert done.encoder is not None
    before, after = (tr.WhisperModel.from_pretrained(p).encoder.state_dict() for p in (whole, done.encoder))
    moved = [n for n in before if not torch.equal(before[n], after[n])]
    assert "layers.0.fc1.weight" in moved
    assert "embed_positions.weight" not in moved


def test_what_does_not_go_with_it_is_said(
    whole: Path, models: Path, recipe: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "whole").symlink_to(whole)
    path = recipe(
        "own", ('source = "lm"', 'source = "whole"\nkind = "whisper"'), ("warmup = 2", "warmup = 2\nctc = 0.5")
    )
    with pytest.raises(UsageError, match="CTC"):
        train(read_recipe(path), tmp_path / "run")
    with pytest.raises(ModelError, match="no Whisper checkpoint"):
        language_model(models / "nothing", "whisper")
    lm, _ = language_model(whole, "whisper")
    long = torch.ones(1, 97, dtype=torch.long)
    with pytest.raises(ModelError, match="97 tokens"):
        lm(long, long, torch.zeros(1, 4, 32))
