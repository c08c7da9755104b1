"""Train the tiny separator that comes with the package.

``python tools/train_tiny_separator.py --audio ../shared/audio/manifest.jsonl --work runs/tiny-separator``

Progress is saved in ``--work``; the same command goes on where it stopped. With ``--ship`` the averaged weights, the
list of what they were trained on and the held-out figures are written into the package.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

import otoscope.models.bundled
from otoscope.models.bundled.separator_network import RATE, TinyNetwork
from otoscope.models.bundled.tiny_separator import NAME, SAMPLING, bare_card
from otoscope.training.separation.evaluate import cases, curves, measure
from otoscope.training.separation.loop import Recipe, State, onward, resume, save, start, train
from otoscope.training.separation.mixtures import Pool, pool

WEIGHTS = Path(otoscope.models.bundled.__file__).parent / "weights"
#: Mixtures of held-out sounds behind the figures, of each origin; generated sounds per class.
HELD_MIXTURES, HELD_GENERATED, HELD_SEED = 64, 6, 20260612
METRICS = ("si_sdri_db", "stoi", "pesq_nb", "latent_error", "power_db", "fidelity_si_sdr_db")
#: The noise of the flow as it was trained, and as the model is not used by default; and how many of the mixtures.
WARM, WARM_MIXTURES = 1.0, 32
#: Mixtures drawn as in the training: how many of each origin, and numbers of steps.
DRAWN_MIXTURES, DRAWN_STEPS = 128, (1, 4, 16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", type=Path, help="manifest.jsonl of recordings; the package's own sounds come too")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--onward", type=Path, help="state.pt of a finished run of these sizes, to begin with")
    parser.add_argument("--ship", action="store_true")
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
    if chosen.onward is not None and not file.is_file():
        state = onward(state, chosen.onward)
    began, losses = time.process_time(), []

    def after(state: State, loss: float) -> None:
        losses.append(loss)
        if state.step % chosen.every == 0 or state.step == recipe.steps:
            save(state, recipe, file)
            line = {"step": state.step, "loss": sum(losses) / len(losses), "cpu_s": time.process_time() - began}
            print(json.dumps(line), flush=True)
            losses.clear()

    train(state, recipe, found, after=after)
    if chosen.ship:
        before = [] if chosen.onward is None else [torch.load(chosen.onward, weights_only=True)["recipe"]]
        ship(state, [*before, asdict(recipe)], found, pool(chosen.audio, RATE, generated=HELD_GENERATED, held=True))


def ship(state: State, recipes: list[dict[str, Any]], found: Pool, held: Pool) -> None:
    tensors = {k: v.half().contiguous() for k, v in state.mean.state_dict().items()}
    state.mean.load_state_dict({k: v.float() for k, v in tensors.items()})  # what is measured is what ships
    rows = measure(state.mean.eval(), bare_card(), SAMPLING, cases(held, HELD_MIXTURES, HELD_SEED))
    about = {
        "recipes": recipes,
        "vocabulary": list(state.mean.words.vocabulary),
        "held_out": curves(rows, METRICS),
        "held_out_warm": warm(state.mean, held),
        "held_out_drawn": drawn(state.mean, held),
        "trained_on_sha256": sorted({c.sha256 for c in found.used}),
    }
    save_file(tensors, str(WEIGHTS / f"{NAME}.safetensors"), {"recipe": json.dumps(recipes)})
    (WEIGHTS / f"{NAME}.json").write_text(json.dumps(about, indent=0) + "\n", encoding="utf-8")


def warm(network: TinyNetwork, held: Pool) -> dict[str, Any]:
    """The curves of an evaluated ``network`` whose flow starts from noise of temperature :data:`WARM`."""
    sampling = replace(SAMPLING, temperature=WARM)
    return curves(measure(network, bare_card(), sampling, cases(held, WARM_MIXTURES, HELD_SEED)), METRICS)


def drawn(network: TinyNetwork, held: Pool) -> dict[str, Any]:
    """Figures of an evaluated ``network`` on mixtures that are drawn as in the training."""
    asked = cases(held, DRAWN_MIXTURES, HELD_SEED, drawn=True)
    return curves(measure(network, bare_card(), SAMPLING, asked, DRAWN_STEPS), ("si_sdri_db", "ideal_mask_db"))


if __name__ == "__main__":
    main()
