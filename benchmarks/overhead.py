"""The share of a run's time that is neither making stimuli nor the model: hashing, scoring rows, writing, planning.

One worker in this process, timed from outside the worker, against the ``seconds_render`` and ``seconds_model`` of the
rows. A sound that several items share is embedded once and counted in each of them, so the model's time is measured
around its ``embed`` instead.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from common import options, show
from otoscope.experiments.experiment import parse_experiment
from otoscope.experiments.runner import run
from otoscope.models.encoders.view import EncoderView
from otoscope.results.store import Results

MODELS = ("logmel-ild", "tiny-wav2vec2:channels=per-channel-concat")


def measure(model: str, task: str, folder: Path) -> dict[str, Any]:
    spent = {"model": 0.0}
    embed = EncoderView.embed

    def timed(self: EncoderView, audio: Any) -> Any:
        start = time.perf_counter()
        try:
            return embed(self, audio)
        finally:
            spent["model"] += time.perf_counter() - start

    def experiment(name: str) -> Any:
        preset = {"models": [model], "grid": [{"tasks": [name]}]}
        return parse_experiment({"presets": {"x": preset}}, name="overhead", preset="x", where="here")

    run(experiment("bmld:frequencies=500,snrs=-14,n_seeds=1"), into=folder / "warm")
    EncoderView.embed = timed  # type: ignore[method-assign]
    try:
        start = time.perf_counter()
        done = run(experiment(task), into=folder / "run")
        wall = time.perf_counter() - start
    finally:
        EncoderView.embed = embed  # type: ignore[method-assign]
    rows = Results.open(folder / "run").rows(columns=["item", "seconds_render"])
    render = pc.sum(rows.group_by("item").aggregate([("seconds_render", "max")])["seconds_render_max"]).as_py()
    return {
        "model": model,
        "items": done.n_items,
        "wall, s": wall,
        "stimuli": render / wall,
        "model share": spent["model"] / wall,
        "rest": 1.0 - (render + spent["model"]) / wall,
    }


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--models", nargs="*", default=MODELS)
    chosen = parser.parse_args()
    rows = []
    for model in chosen.models:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measure(model, f"bmld:grid=cells24,n_seeds={chosen.seeds}", Path(folder)))
    show(rows, chosen.json)


if __name__ == "__main__":
    main()
