"""Train the tiny separator that comes with the package.

``python tools/train_tiny_separator.py --audio ../shared/audio/manifest.jsonl --work runs/tiny-separator``

Progress is saved in ``--work``; the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import fields
from pathlib import Path

import torch

from otoscope.models.bundled.separator_network import RATE
from otoscope.training.separation.loop import Recipe, State, resume, save, start, train
from otoscope.training.separation.mixtures import pool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", type=Path, help="manifest.jsonl of recordings; the package's own sounds come too")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--every", type=int, default=100, help="steps between saves")
    for field in fields(Recipe):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=type(field.default), default=field.default)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    recipe = Recipe(**{f.name: getattr(chosen, f.name) for f in fields(Recipe)})
    chosen.work.mkdir(parents=True, exist_ok=True)
    file = chosen.work / "state.pt"
    found = pool(chosen.audio, RATE)
    state = resume(recipe, found, file) if file.is_file() else start(recipe, found)
    began, losses = time.process_time(), []

    def after(state: State, loss: float) -> None:
        losses.append(loss)
        if state.step % chosen.every == 0 or state.step == recipe.steps:
            save(state, recipe, file)
            line = {"step": state.step, "loss": sum(losses) / len(losses), "cpu_s": time.process_time() - began}
            print(json.dumps(line), flush=True)
            losses.clear()

    train(state, recipe, found, after=after)


if __name__ == "__main__":
    main()
