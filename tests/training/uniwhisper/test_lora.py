"""A decoder that is adapted at low rank."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from otoscope.core.errors import UsageError
from otoscope.training.uniwhisper.lora import Adapted, with_lora
from otoscope.training.uniwhisper.network import language_model
from otoscope.training.uniwhisper.plan import plan
from otoscope.training.uniwhisper.recipe import read_recipe
from otoscope.training.uniwhisper.trainer import Trainer


def test_it_begins_as_the_model_that_it_adapts(models: Path) -> None:
    plain, tokenizer = language_model(models / "lm", "frozen")
    adapted, _ = language_model(models / "lm", "lora", rank=4)
    ids = torch.tensor([tokenizer("Which sound is this?")["input_ids"]])
    with torch.no_grad():
        assert torch.equal(adapted(input_ids=ids).logits, plain(input_ids=ids).logits)
    learned = {n: p for n, p in adapted.named_parameters() if p.requires_grad}
    assert {n.rpartition(".")[2] for n in learned} == {"down", "up"}
    assert len(learned) == 2 * 2 * 7  # two layers of seven maps
    assert adapted.lm_head.weight.data_ptr() == adapted.get_input_embeddings().weight.data_ptr()
    with pytest.raises(UsageError, match="rank=0"):
        with_lora(adapted, 0)


def test_the_change_is_of_the_paper_and_of_that_rank() -> None:
    torch.manual_seed(0)
    base = torch.nn.Linear(12, 9)
    layer = Adapted(base, 3, 6.0)
    torch.nn.init.normal_(layer.up)
    x = torch.randn(5, 12)
    torch.testing.assert_close(layer(x), torch.nn.functional.linear(x, layer.weight, base.bias))
    assert torch.linalg.matrix_rank(layer.weight - base.weight, tol=1e-4) == 3
    torch.testing.assert_close(layer.weight - base.weight, 2.0 * layer.up @ layer.down)


def test_it_is_trained_beside_the_encoder_and_comes_back(recipe: Callable[..., Path], tmp_path: Path) -> None:
    chosen = read_recipe(recipe("lora", ('source = "lm"', 'source = "lm"\nkind = "lora"\nrank = 2')))
    trainer = Trainer(chosen, tmp_path / "run")
    before = {n: p.detach().clone() for n, p in trainer.listener.named_parameters()}
    trainer.run(stop=5)
    now = dict(trainer.listener.named_parameters())
    moved = {n for n in now if not torch.equal(before[n], now[n])}
    assert {n for n in moved if n.startswith("lm.")} == {n for n in now if n.endswith((".down", ".up"))}
    assert "encoder.layers.0.fc1.weight" in moved
    again = dict(Trainer(chosen, tmp_path / "run").listener.named_parameters())
    assert all(torch.equal(now[n], again[n]) for n in now)
    frozen = read_recipe(recipe("frozen"))
    extra = sum(p.numel() for n, p in now.items() if n.startswith("lm.") and p.requires_grad)
    # The estimate counts square maps: those of the shared keys and values are smaller.
    assert 0 <= plan(chosen).weights_trained - plan(frozen).weights_trained - extra <= 0.3 * extra
