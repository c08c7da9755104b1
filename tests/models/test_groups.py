"""Groups of models, and random weights of published architectures without a file."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from otoscope.core.errors import ModelError, UsageError
from otoscope.core.naming import parse_spec
from otoscope.experiments.experiment import load_experiment, parse_experiment
from otoscope.experiments.plan import Settings, make_plan
from otoscope.models.encoders.hub_cards import BY_NAME
from otoscope.models.encoders.published_configs import CONFIGS, published_config
from otoscope.models.groups import ALL_NINE, expand
from otoscope.models.resolve import resolve

NAMES = {parse_spec(m).name for m in ALL_NINE.members}


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    """No checkpoint on this machine, and no network."""
    import huggingface_hub.constants as hub

    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path / "empty"))
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)


def test_all_nine_are_nine_architectures_and_their_traps_run_both_ways() -> None:
    members = [str(m) for m in expand(parse_spec("all-nine"))]
    assert len(NAMES) == 9
    assert {"encodec-48khz:normalize=true", "encodec-48khz:normalize=false"} <= set(members)
    assert {f"wavjepa-nat:merge={m}" for m in ("mean", "concat", "difference")} <= set(members)


def test_parameters_of_a_group_go_to_its_members_and_equal_ones_run_once() -> None:
    members = [str(m) for m in expand(parse_spec("all-nine:merge=mean,init=random,seed=2"))]
    assert "hubert-large:init=random,merge=mean,seed=2" in members
    assert sum(m.startswith("wavjepa-nat") for m in members) == 1
    with pytest.raises(UsageError, match="files of one model"):
        expand(parse_spec("all-nine:path=x"))


def test_a_group_where_one_model_is_wanted_lists_its_members() -> None:
    with pytest.raises(UsageError, match="stands for 12 models") as caught:
        resolve("all-nine")
    assert "gram-t" in str(caught.value)


def test_an_experiment_takes_a_group_from_the_command_line_and_from_a_file() -> None:
    exp = load_experiment("bmld", "chen2026").override(models=["all-nine"], twins=1)
    models = {str(c.model) for c in exp.cells()}
    assert {str(m) for m in expand(parse_spec("all-nine"))} <= models
    assert "dspast:init=random,seed=1" in models
    table = {"presets": {"x": {"models": ["all-nine"], "grid": [{"tasks": ["bmld"]}]}}}
    assert len(parse_experiment(table, name="x", preset="x", where="here").models) == len(ALL_NINE.members)


def test_weights_that_are_missing_are_named_with_their_source_and_licence(offline: None) -> None:
    exp = load_experiment("bmld", "chen2026").override(models=["all-nine"], tasks=["bmld:grid=chen2026"])
    planned = {str(p.cell.model): p.error for p in make_plan(exp, Settings()).cells}
    for member in expand(parse_spec("all-nine")):
        error = planned[str(member)]
        card = resolve(member).card
        assert error is not None
        assert "\n" not in error
        assert str(card.hub_id) in error
        assert f"licence: {card.licence}" in error
        assert any(file in error for file in ("config.json", "model.safetensors", "finetuned.pth", "DSpAST-stage3"))


@pytest.mark.parametrize("name", sorted(NAMES & set(CONFIGS)))
def test_random_weights_of_a_published_name_need_no_file(name: str, offline: None) -> None:
    model = resolve(f"{name}:init=random,seed=1")
    identity = model.identity()
    assert identity == resolve(f"{name}:init=random,seed=1").identity()
    assert identity != resolve(f"{name}:init=random,seed=2").identity()
    with pytest.raises(ModelError):  # a pinned revision means its own config
        resolve(f"{name}:init=random,revision=main").identity()


#: Parameters, or bytes of the published file (its page lists 76.3 MB; 74 and 76 million are the papers' own figures).
PUBLISHED_SIZES = {"encodec-48khz": ("megabytes", 76.3, 0.1), "dac-44khz": ("millions", 76.6, 0.7)}
LARGE = {"hubert-large": 316.0, "wavlm-large": 316.0, "wav2vec2-large": 316.0, "wav2vec2-large-lv60": 316.0}


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_architectures_have_the_published_size(name: str) -> None:
    import torch
    from transformers import AutoConfig, AutoModel

    described = published_config(name, BY_NAME[name].extra["model_type"])
    assert described is not None
    config = AutoConfig.for_model(described.pop("model_type"), **described)
    with torch.device("meta"):
        model = AutoModel.from_config(config)
    millions = sum(p.numel() for p in model.parameters()) / 1e6
    if name in LARGE:
        assert millions == pytest.approx(LARGE[name], abs=1.5)
    if name in PUBLISHED_SIZES:
        what, size, tolerance = PUBLISHED_SIZES[name]
        megabytes = sum(t.numel() for t in model.state_dict().values()) * 4 / 1e6
        assert (megabytes if what == "megabytes" else millions) == pytest.approx(size, abs=tolerance)
    family = resolve(f"{name}:init=random").encoder.family
    card = BY_NAME[name]
    assert (family.rate, family.channels, family.layers) == (card.rate, card.channels, card.layers)


def test_cards_of_all_nine_cost_no_torch() -> None:
    code = (
        "import sys\n"
        "from otoscope.cli import main\n"
        "for name in sys.argv[1:]:\n"
        "    try: main(['show', name])\n"
        "    except SystemExit as e: assert not e.code, name\n"
        "assert 'torch' not in sys.modules\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", code, *sorted(NAMES)], capture_output=True, text=True, check=True, env={**os.environ}
    ).stdout
    assert out.count("licence") >= 9
    assert out.count("hub id") == 9
