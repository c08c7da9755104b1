"""Put a trained tiny audio language model into the package.

``python tools/bundle_tiny_audiolm.py runs/tiny-audiolm --folds runs/fold-theo ...`` copies the checkpoint that
``tools/train_tiny_audiolm.py`` or ``tools/blend_tiny_audiolm.py`` wrote, and joins its facts with those of the runs
that left a speaker and a fold out.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from otoscope.models.bundled.tiny_audiolm import FACTS, FOLDER

#: What of a recipe is the network's. Runs that left something out may be of fewer steps, which the card tells.
SHAPE = ("width", "tower_layers", "text_layers", "heads")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="the run that was trained on everything")
    parser.add_argument("--folds", type=Path, nargs="+", required=True, help="such runs with --leave-out")
    chosen = parser.parse_args()
    whole, folds = _about(chosen.run), [_about(folder) for folder in chosen.folds]
    if whole["left_out"] is not None:
        parser.error(f"{chosen.run} left out {whole['left_out']}: the shipped weights are trained on everything")
    for folder, fold in zip(chosen.folds, folds, strict=True):
        if fold["left_out"] is None or any(fold["recipe"][k] != whole["recipe"][k] for k in SHAPE):
            parser.error(f"{folder} left nothing out, or has a network of another shape than {chosen.run}")
    facts = {
        "recipe": whole["recipe"],
        "begun_from": whole["begun_from"],
        "blend": whole.get("blend"),
        "seeds": whole["seeds"],
        "folds": [{"left_out": f["left_out"], "recipe": f["recipe"], "held_out": f["held_out"]} for f in folds],
        "generated": {"held_out": whole["held_out"], "items_seed": whole.get("items_seed", 77)},
        "trained_on_sha256": whole["trained_on_sha256"],
    }
    if FOLDER.exists():
        shutil.rmtree(FOLDER)
    shutil.copytree(chosen.run / "model", FOLDER)
    for file in FOLDER.iterdir():
        file.chmod(0o644)
    FACTS.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def _about(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "about.json").read_text(encoding="utf-8"))
    return found


if __name__ == "__main__":
    main()
