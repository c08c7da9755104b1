"""One training run from its recipe to the exported encoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otoscope.training.uniwhisper.recipe import Recipe
from otoscope.training.uniwhisper.trainer import Trainer
from otoscope.training.uniwhisper.watch import Watch

#: The split that held-out losses are measured on.
HELD_OUT = "test"


@dataclass(frozen=True)
class Done:
    """Where the run stands; ``encoder`` is the exported folder of a run that is complete."""

    step: int
    steps: int
    skipped: int
    encoder: Path | None


def train(
    recipe: Recipe,
    folder: Path,
    tell: Callable[[Mapping[str, Any]], None] = lambda line: None,
    stop: int | None = None,
) -> Done:
    """Run ``recipe`` in ``folder``, from where it stopped; at its end the averaged encoder is exported to
    ``folder/encoder`` (Whisper's form, or CLAP's) and, of Whisper, ``folder/encoder-pooled``."""
    trainer = Trainer(recipe, folder)
    watch = Watch(trainer, recipe.load_sources(HELD_OUT), tell)
    trainer.run(watch, stop)
    steps = recipe.optimise.steps
    encoder: Path | None = None
    if trainer.step >= steps:
        encoder = folder / "encoder"
        if trainer.accelerator.is_main_process:
            with trainer.averaged() as listener:
                trainer.parts.write(listener, encoder)
                if trainer.parts.config is not None:
                    trainer.parts.write(listener, folder / "encoder-pooled", pooled=True)
        trainer.accelerator.wait_for_everyone()
    return Done(trainer.step, steps, trainer.skipped, encoder)
