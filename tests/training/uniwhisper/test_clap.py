"""Ablation B: CLAP's audio encoder in Whisper's place, from a checkpoint of random weights as the library writes it."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as tr

from otoscope.core.audio import Audio
from otoscope.core.errors import InputError, ModelError, UsageError
from otoscope.models.devices import seeded
from otoscope.models.resolve import load
from otoscope.training.uniwhisper.clap import clap_encoder
from otoscope.training.uniwhisper.network import Adapter, Listener, groups
from otoscope.training.uniwhisper.own_decoder import own_decoder
from otoscope.training.uniwhisper.parts import build
from otoscope.training.uniwhisper.plan import plan
from otoscope.training.uniwhisper.recipe import read_recipe
from otoscope.training.uniwhisper.session import train
from otoscope.training.uniwhisper.trainer import Trainer

CLAP = (
    ('source = "whisper"', 'source = "clap"\nkind = "clap"'),
    ("full_share = 0.3", "full_share = 0.0"),
    ("steps = 10", "steps = 2"),
)


@pytest.fixture(scope="module")
def clap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A twelfth of the published widths, the published geometry."""
    folder = tmp_path_factory.mktemp("clap")
    audio = {"depths": [1, 1, 1, 1], "patch_embeds_hidden_size": 8, "hidden_size": 64, "num_hidden_layers": 4}
    audio["num_attention_heads"] = [1, 1, 2, 2]
    text = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    text["vocab_size"] = 16
    with seeded(0):
        model = tr.ClapModel(tr.ClapConfig(audio_config=audio, text_config=text, projection_dim=8))
        model.audio_model.audio_encoder.batch_norm.running_mean.normal_()
    model.save_pretrained(folder)
    tr.ClapFeatureExtractor(truncation="rand_trunc").save_pretrained(folder)
    return folder


@pytest.fixture
def written(recipe: Callable[..., Path], clap: Path, tmp_path: Path) -> Callable[..., Path]:
    (tmp_path / "clap").symlink_to(clap)
    return lambda *changes: recipe("clap", *CLAP, *changes)


def test_its_states_are_the_librarys_in_time_and_one_step_is_one_token(clap: Path) -> None:
    tower, extractor = clap_encoder(clap)
    assert (tower.steps, tower.per_token) == (32, Fraction(1001, 32))
    wave = 0.1 * np.random.default_rng(0).standard_normal(3 * 48_000).astype(np.float32)
    features = extractor(wave, sampling_rate=48_000, return_tensors="pt").input_features
    whole = tr.ClapModel.from_pretrained(clap).eval().audio_model
    with torch.no_grad():
        states = tower.eval()(features.transpose(2, 3))
        wanted = whole(input_features=features)
    assert states.shape == (1, 32, 64)
    torch.testing.assert_close(states.mean(1), wanted.pooler_output)
    with torch.no_grad():  # a change late in the window is heard in late steps most
        late = features.clone()
        late[:, :, 880:] += 3.0
        moved = (tower(late.transpose(2, 3)) - states).norm(dim=-1)[0]
    assert int(moved.argmax()) >= 27


def test_a_recipe_trains_it_and_the_export_is_a_clap_for_everybody(
    written: Callable[..., Path], clap: Path, tmp_path: Path
) -> None:
    recipe = read_recipe(written())
    parts = build(recipe)
    tower = parts.listener.encoder.train()
    assert not tower.model.audio_encoder.batch_norm.training  # its statistics stay
    done = train(recipe, tmp_path / "run")
    assert done.encoder is not None
    assert not (tmp_path / "run" / "encoder-pooled").exists()
    after, before = (tr.ClapModel.from_pretrained(f) for f in (done.encoder, clap))
    moved = {n for n, t in after.state_dict().items() if not torch.equal(t, before.state_dict()[n])}
    assert any("layers.0" in n for n in moved)
    assert all(n.startswith("audio_model.") and "running" not in n for n in moved)
    encoder = load(str(done.encoder))
    assert (encoder.card.rate, encoder.card.fixed_duration_s) == (48_000, 10.0)
    wave = 0.1 * np.random.default_rng(1).standard_normal((1, 96_000)).astype(np.float32)
    (found,) = encoder.encode([Audio(wave, 48_000)])
    assert found.frames["last"].shape == (1, 7, 64)  # 2 s of 10.01 s in 32 steps
    trained, extractor = clap_encoder(done.encoder)
    features = extractor(wave[0], sampling_rate=48_000, return_tensors="pt").input_features
    with torch.no_grad():
        wanted = trained.eval()(features.transpose(2, 3))[0, :7].numpy()
    np.testing.assert_allclose(found.frames["last"][0], wanted, atol=1e-5)


def test_a_stopped_run_goes_on_to_the_same_weights(written: Callable[..., Path], tmp_path: Path) -> None:
    """CLAP has dropout, so the random numbers of a step must not depend on where the run was begun."""
    recipe = read_recipe(written())
    straight = Trainer(recipe, tmp_path / "a")
    straight.run()
    Trainer(recipe, tmp_path / "b").run(stop=1)
    resumed = Trainer(recipe, tmp_path / "b")
    resumed.run()
    ours, theirs = straight.listener.encoder.state_dict(), resumed.listener.encoder.state_dict()
    assert all(torch.equal(ours[n], theirs[n]) for n in ours)


def test_rates_fall_with_its_stages(models: Path, clap: Path) -> None:
    from otoscope.training.uniwhisper.network import language_model

    tower, _ = clap_encoder(clap)
    lm, _ = language_model(models / "lm", "frozen")
    listener = Listener(tower, Adapter(64, 32), lm)
    by = {id(p): g["peak"] for g in groups(listener, (1e-3, 1e-2), 0.1, 0.5) for p in g["params"]}
    named = {n.removeprefix("encoder.model.audio_encoder."): p for n, p in listener.named_parameters()}
    rate = {n: by[id(p)] for n, p in named.items() if id(p) in by}
    assert rate["norm.weight"] == 1e-3
    assert rate["layers.3.blocks.0.layernorm_before.weight"] == 1e-3
    assert rate["layers.0.blocks.0.layernorm_before.weight"] == pytest.approx(1.25e-4)
    assert rate["patch_embed.proj.weight"] == pytest.approx(6.25e-5)


def test_what_does_not_go_with_it_is_said(
    written: Callable[..., Path], clap: Path, models: Path, whole: Path, tmp_path: Path
) -> None:
    for old, new, said in (
        ("full_share = 0.0", 'full_share = 0.0\nforgetting = "whisper"', "CLAP has none"),
        ("full_share = 0.0", "full_share = 0.0\ncheckpointing = true", "no checkpointing"),
        ('kind = "clap"', 'kind = "beats"', "no encoder of the kind 'beats'"),
    ):
        with pytest.raises(InputError, match=said):
            read_recipe(written((old, new)))
    with pytest.raises(ModelError, match="no CLAP checkpoint"):
        clap_encoder(tmp_path / "nowhere")
    tower, _ = clap_encoder(clap)
    decoder, _ = own_decoder(whole)
    with pytest.raises(UsageError, match="not CLAP's"):
        Listener(tower, Adapter(64, 32), decoder)
    fused = tr.ClapConfig.from_pretrained(clap)
    fused.audio_config.enable_fusion = True
    tr.ClapModel(fused).save_pretrained(tmp_path / "fused")
    tr.ClapFeatureExtractor().save_pretrained(tmp_path / "fused")
    with pytest.raises(ModelError, match="fuses several views"):
        clap_encoder(tmp_path / "fused")


def test_its_cost_is_planned(written: Callable[..., Path]) -> None:
    told = plan(read_recipe(written()))
    assert told.encoder_positions == pytest.approx(32 * told.clips)
    assert told.weights_trained > 10_000
