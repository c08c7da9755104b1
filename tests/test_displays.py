"""Every public object shows itself: models their card and sites, interventions their plan, results their table."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import otoscope
from otoscope.core.display import Displayed
from otoscope.interventions.catalogue import INTERVENTIONS
from otoscope.models.resolve import resolve


def printed(thing: object) -> str:
    out = io.StringIO()
    Console(file=out, width=160, color_system=None).print(thing)
    return out.getvalue()


@pytest.mark.parametrize("name", ["tiny-separator", "tiny-audiolm", "tiny-uniwhisper", "logmel", "ec-durlach"])
def test_a_model_shows_its_card_and_then_its_sites(name: str) -> None:
    model = resolve(name)
    assert isinstance(model, Displayed)
    assert "\n" not in repr(model)
    assert " object at 0x" not in repr(model)
    before = printed(model)
    assert model.card.summary[:30] in before
    assert name in before
    if name in ("tiny-separator", "tiny-audiolm"):
        assert "call load()" in before
        assert "self_q" not in before
        model.load()
        after = printed(model)
        assert "self_q" in after
        assert "call load()" not in after
        assert "self_q" in model._repr_html_()


def test_an_encoder_of_ones_own_says_that_nobody_described_its_sites(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import torch\n"
        "class Net(torch.nn.Module):\n"
        "    rate = 16000\n"
        "    channels = 1\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.conv = torch.nn.Conv1d(1, 4, 400, 160)\n"
        "    def forward(self, x):\n"
        "        return self.conv(x.mean(1, keepdim=True)).transpose(1, 2)\n"
    )
    model = otoscope.load(f"file:{tmp_path / 'mine.py'}#Net")
    assert "site" in printed(model)


#: Parameters without which an intervention is refused.
_NEEDED = {
    "ablate": ":site=cross_attn_out",
    "knock-heads": ":which=named,layer=1,heads=0",
    "restore": ":site=text_memory,prompt=a dog barking",
    "split-prompt": ":prompt=a dog barking,take=keys",
}


@pytest.mark.parametrize("name", sorted(INTERVENTIONS))
def test_every_intervention_shows_itself(name: str) -> None:
    method = otoscope.intervention(name + _NEEDED.get(name, ""))
    assert isinstance(method, Displayed)
    assert f"Intervention {method.identity()['class']}" in printed(method)
    assert "<strong>" in method._repr_html_()


def test_a_plan_is_a_table(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text('{"freeze": {"3": 0.25, "1": 0.5}}')
    text = printed(otoscope.intervention(f"lsac:plan={plan}"))
    assert "map frozen from flow time" in text
    assert text.index("0.5") < text.index("0.25")
    assert "Not fitted yet" in printed(otoscope.intervention("lsac"))
    both = printed(otoscope.intervention("prune/fastv:keep=0.3+evict/knorm:keep=0.5"))
    assert "keep=0.3" in both
    assert "evict/knorm" in both


def test_results_and_scores_are_tables(tmp_path: Path) -> None:
    done = otoscope.run("bmld", into=tmp_path / "run", models=["logmel"], tasks=["bmld:frequencies=500,n_seeds=2"])
    text = repr(done.results)
    assert "Results in" in text
    assert "logmel" in text
    assert "otoscope.scores(" in text
    assert done.results.shown().html().count("<tr>") > 1
    scores = otoscope.scores(done.results)
    assert len(scores) > 0
    assert isinstance(scores, list)
    assert f"{len(scores)} scores" in repr(scores)
    assert all(np.isfinite(s.value) for s in scores if s.value is not None)


def test_an_experiment_shows_its_grid() -> None:
    from otoscope.experiments.experiment import load_experiment

    experiment = load_experiment("lsac")
    assert repr(experiment) == f"Experiment('lsac', preset='small', {len(experiment.cells())} cells)"
    assert "fewer-steps" in printed(experiment)


def test_items_and_cards_show_themselves() -> None:
    item = otoscope.task("bmld").items()[0]
    assert item.id in printed(item)
    assert item.group in item._repr_html_()
    card = otoscope.load("logmel").card
    assert repr(card) == "Card('logmel', encoder, 16000 Hz, 2 channels)"
    assert card.summary[:20] in card._repr_html_()
