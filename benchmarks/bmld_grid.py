"""The paper's grid (6 frequencies, 21 SNRs, 100 seeds) on two encoders: time, peak memory, and that memory stays flat.

Each run is ``otoscope run`` in a process of its own, once with few seeds and once with ten times as many. Work is
proportional to seeds once started, so the time for all 100 is extrapolated from the two runs; it says so.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from common import child, options, otoscope, show

MODELS = ("logmel-ild", "tiny-wav2vec2:channels=per-channel-concat")
ALL_SEEDS = 100
CELLS = 6 * 21

EXPERIMENT = """
title = "grid"
[presets.grid]
models = ["{model}"]
[[presets.grid.grid]]
tasks = ["bmld:grid=chen2026,n_seeds={seeds}"]
"""


def run(folder: Path, model: str, seeds: int, threads: int) -> dict[str, float]:
    path = folder / "grid.toml"
    path.write_text(EXPERIMENT.format(model=model, seeds=seeds), encoding="utf-8")
    into = folder / f"{model.split(':')[0]}-{seeds}"
    spent = child(otoscope("run", str(path), "--into", str(into), "--json"), OMP_NUM_THREADS=str(threads))
    return {"wall_s": spent.wall_s, "peak_mb": spent.peak_mb}


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--seeds", type=int, default=1, help="of the small run; the large one has ten times as many")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--models", nargs="*", default=MODELS)
    chosen = parser.parse_args()
    few, many = chosen.seeds, 10 * chosen.seeds
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for model in chosen.models:
            small, large = (run(Path(folder), model, n, chosen.threads) for n in (few, many))
            per_seed = (large["wall_s"] - small["wall_s"]) / (many - few)
            rows.append(
                {
                    "model": model,
                    "items": many * CELLS,
                    f"{few} seeds, s": small["wall_s"],
                    f"{many} seeds, s": large["wall_s"],
                    "items/s": CELLS / per_seed,
                    f"{ALL_SEEDS} seeds, min (extrapolated)": (large["wall_s"] + (ALL_SEEDS - many) * per_seed) / 60,
                    f"peak MB, {few} seeds": small["peak_mb"],
                    f"peak MB, {many} seeds": large["peak_mb"],
                    "memory ratio": large["peak_mb"] / small["peak_mb"],
                }
            )
    show(rows, chosen.json)


if __name__ == "__main__":
    main()
