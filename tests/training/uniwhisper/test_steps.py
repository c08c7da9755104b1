"""What one step learns from: traps 7 (the position table) and 9 (accumulated losses) of the fact sheet's section 7."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as tr

from otoscope.training.uniwhisper.recipe import read_recipe
from otoscope.training.uniwhisper.session import train
from otoscope.training.uniwhisper.trainer import Trainer


def test_the_position_table_is_whispers_after_training_as_before(
    recipe: Callable[..., Path], models: Path, tmp_path: Path
) -> None:
    """Neither steps, nor decay, nor the average of weights, nor batches cut to short sounds change a row of it."""
    path = recipe("decayed", ("warmup = 2", "warmup = 0\ndecay = 0.5"))
    trainer = Trainer(read_recipe(path), tmp_path / "run")
    table = trainer.listener.encoder.embed_positions.table.weight
    learned = {id(p) for group in trainer.optimiser.param_groups for p in group["params"]}
    assert id(table) not in learned
    done = train(read_recipe(path), tmp_path / "run")
    assert done.encoder is not None
    after, before = (tr.WhisperModel.from_pretrained(f).encoder for f in (done.encoder, models / "whisper"))
    assert torch.equal(after.embed_positions.weight, before.embed_positions.weight)
    assert not torch.equal(after.conv1.weight, before.conv1.weight)


@pytest.mark.parametrize("unit", ["tokens", "clips"])
def test_accumulated_batches_are_one_batch(recipe: Callable[..., Path], tmp_path: Path, unit: str) -> None:
    """The gradient of a step is that of the sum of losses over all its answer tokens by their number; the mean of the
    batches' own means, which accumulation often is, would be another."""
    by_clip = "" if unit == "tokens" else "\ntoken_average = false"
    path = recipe("step", ("warmup = 2", f"warmup = 0\nclip = 1e9{by_clip}"))
    trainer = Trainer(read_recipe(path), tmp_path / "run")
    batches = list(itertools.islice(trainer._stream(), 2))
    counts = [b.learned if unit == "tokens" else len(b.tasks) for b in batches]
    assert counts[0] != counts[1]

    def gradient(weigh: Callable[[int, float], float]) -> torch.Tensor:
        trainer.listener.zero_grad()
        for i, (b, n) in enumerate(zip(batches, counts, strict=True)):
            losses = trainer.listener(b.mel, b.frames, b.ids, b.labels, b.attention).losses.sum(1)
            if unit == "clips":
                losses = losses / (b.labels[:, 1:] != -100).sum(1)
            (losses.sum() * weigh(i, n)).backward()
        return flat(trainer.listener.parameters())

    trainer.listener.encoder.train()
    wanted = gradient(lambda i, n: 1 / sum(counts))
    means = gradient(lambda i, n: 1 / n / len(counts))
    trainer.listener.zero_grad()
    seen: list[torch.Tensor] = []
    step = trainer.optimiser.step

    def caught(*args: Any, **more: Any) -> Any:
        seen.append(flat(trainer.listener.parameters()))
        return step(*args, **more)

    trainer.optimiser.step = caught  # type: ignore[method-assign]
    told = trainer._step(batches)
    torch.testing.assert_close(seen[0], wanted, rtol=1e-4, atol=1e-7)
    assert float((means - wanted).norm() / wanted.norm()) > 0.01
    assert told.norm == pytest.approx(float(wanted.norm()), rel=1e-4)


def flat(parameters: Any) -> torch.Tensor:
    found: Sequence[torch.Tensor] = [p.grad.flatten() for p in parameters if p.grad is not None]
    return torch.cat([*found]).clone()
