"""Train the tiny binaural encoders that come with the package.

``python tools/train_tiny_binaural.py general --audio ../shared/audio/manifest.jsonl --work runs/tiny-general``

Progress is saved in ``--work``; the same command goes on where it stopped. With ``--ship`` the averaged weights, the
list of what they were trained on and the held-out figures are written into the package.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, fields
from pathlib import Path

import torch
from safetensors.torch import save_file

import otoscope.models.bundled
from otoscope.training.binaural.loop import Recipe, State, resume, save, start, train
from otoscope.training.binaural.objectives import OBJECTIVES
from otoscope.training.binaural.scenes import bank, batch, sources

WEIGHTS = Path(otoscope.models.bundled.__file__).parent / "weights"
#: Scenes of held-out sounds in held-out rooms behind the figures.
HELD_SCENES, HELD_SEED = 400, 20260612


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=sorted(OBJECTIVES))
    parser.add_argument("--audio", type=Path, help="manifest.jsonl of recordings; the package's own sounds come too")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--ship", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--every", type=int, default=100, help="steps between saves")
    for field in fields(Recipe):
        if field.name != "kind":
            parser.add_argument(f"--{field.name.replace('_', '-')}", type=type(field.default), default=field.default)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    recipe = Recipe(**{f.name: getattr(chosen, f.name) for f in fields(Recipe)})
    chosen.work.mkdir(parents=True, exist_ok=True)
    file = chosen.work / "state.pt"
    state = resume(recipe, file) if file.is_file() else start(recipe)
    found, rooms = sources(chosen.audio, held=False), bank(held=False)
    held = batch(sources(chosen.audio, held=True), bank(held=True), HELD_SEED, 0, HELD_SCENES)
    began, losses = time.process_time(), []

    def after(state: State, loss: float) -> None:
        losses.append(loss)
        if state.step % chosen.every == 0 or state.step == recipe.steps:
            save(state, recipe, file)
            line = {"step": state.step, "loss": sum(losses) / len(losses), "cpu_s": time.process_time() - began}
            print(json.dumps({**line, **figures(state, held)}), flush=True)
            losses.clear()

    train(state, recipe, found, rooms, after=after)
    if chosen.ship:
        ship(state, recipe, figures(state, held), [c.sha256 for c in found.used])


def figures(state: State, held: tuple) -> dict[str, float]:
    """Of the averaged weights, on held-out sounds in held-out rooms."""
    state.mean.eval()
    parts = []
    with torch.inference_mode():
        for i in range(0, HELD_SCENES, 100):
            parts.append(
                state.objective.figures(state.mean, torch.from_numpy(held[0][i : i + 100]), held[1][i : i + 100])
            )
    return {k: sum(p[k] for p in parts) / len(parts) for k in parts[0]}


def ship(state: State, recipe: Recipe, held: dict[str, float], used: list[str]) -> None:
    name = f"tiny-binaural-{recipe.kind}"
    tensors = {k: v.contiguous() for k, v in state.mean.state_dict().items()}
    save_file(tensors, str(WEIGHTS / f"{name}.safetensors"), {"recipe": json.dumps(asdict(recipe))})
    about = {"recipe": asdict(recipe), "held_out": held, "trained_on_sha256": sorted(set(used))}
    (WEIGHTS / f"{name}.json").write_text(json.dumps(about, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
