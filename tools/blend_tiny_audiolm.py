"""Blend the weights of two stages of the tiny audio language model: a later one learns new questions, an earlier one
knows the old ones better, and a mean of the two can do both (weight-space ensembling of a fine-tuned model with what it
began from, arXiv 2109.01903).

``python tools/blend_tiny_audiolm.py --work runs/blend --earlier runs/second --later runs/fourth --share 0.75`` writes a
run that ``tools/bundle_tiny_audiolm.py`` takes, measured on the package's held-out voices and seeds.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from otoscope.models.resolve import load
from otoscope.tasks.audiomarathon.miniature.pool import read_pool
from otoscope.training.audiolm.evaluate import figures, long_figures
from otoscope.training.audiolm.loop import Recipe, start
from otoscope.training.audiolm.network import make_extractor, read_folder, write_folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="the folder to write")
    parser.add_argument("--earlier", type=Path, required=True, help="a run that the later one came from")
    parser.add_argument("--later", type=Path, required=True)
    parser.add_argument("--share", type=float, required=True, help="of the later one's weights, from 0 to 1")
    parser.add_argument("--measure", type=int, default=100, help="held-out items per figure; half of it: long sounds")
    parser.add_argument("--items", type=int, default=77, help="seed of the held-out items")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    earlier, later = _about(chosen.earlier), _about(chosen.later)
    if earlier["recipe"] not in later["begun_from"] or later["left_out"] is not None:
        parser.error(f"{chosen.later} was not begun from {chosen.earlier}, or left something out")
    before, _ = read_folder(chosen.earlier / "model")
    after, tokenizer = read_folder(chosen.later / "model")
    mean = {name: torch.lerp(before[name], after[name], chosen.share) for name in after}
    state = start(Recipe(**later["recipe"]), tokenizer, torch.device("cpu"), mean)
    write_folder(chosen.work / "model", state.mean, tokenizer, make_extractor())
    model, test = load(str(chosen.work / "model")), read_pool(None, "test")
    held = figures(model, test, None, chosen.measure, chosen.items)
    held |= long_figures(model, test, max(1, chosen.measure // 2), seed=chosen.items)
    blend = {"share": chosen.share, "stage": later["begun_from"].index(earlier["recipe"]) + 1}
    about = {**later, "blend": blend, "items_seed": chosen.items, "held_out": held}
    (chosen.work / "about.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def _about(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "about.json").read_text(encoding="utf-8"))
    return found


if __name__ == "__main__":
    main()
