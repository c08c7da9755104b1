"""Draw the figures of the documentation into docs/assets: closed forms, and a small run of the reference front ends."""

from __future__ import annotations

import json
import tempfile
from importlib.resources import files
from pathlib import Path

import matplotlib
import numpy as np

from otoscope.experiments.experiment import parse_experiment
from otoscope.experiments.runner import run
from otoscope.experiments.scores import scores_of
from otoscope.models.observers.ec import ec_durlach_bmld
from otoscope.models.observers.ec_chen2026 import ec_chen2026_bmld

matplotlib.use("Agg")
matplotlib.rcParams.update({"svg.hashsalt": "otoscope", "svg.fonttype": "path", "font.size": 9})

import matplotlib.pyplot as plt  # noqa: E402

ASSETS = Path(__file__).parents[1] / "docs" / "assets"
INK, ORANGE, BLUE = "#1b1f24", "#c44e00", "#0067a8"
FREQUENCIES = (125, 250, 500, 1000, 2000, 4000)
FRONT_ENDS = {
    "logmel-ipd": ("uses phase", INK, "-", "o"),
    "logmel-ild": ("cannot see phase", ORANGE, "--", "s"),
    "logmel": ("each ear alone", "#00795a", "-.", "^"),
    "random-conv": ("untrained", "#9a3f86", ":", "D"),
    "left-only": ("left ear only", "#59636e", "-", ""),
}
SNRS = tuple(range(-30, 11, 4))


def ec_curves() -> None:
    data = json.loads((files("otoscope.tasks.bmld") / "data" / "human_vandepar1999.json").read_text(encoding="utf-8"))
    human = {s["frequency_hz"]: s["values"][-1] for s in data["series"] if s["id"].endswith("/bmld")}
    f = np.geomspace(125, 4000, 200)
    figure, axes = plt.subplots(figsize=(5.6, 3.2), layout="constrained")
    axes.plot(f, [ec_durlach_bmld("N0Spi", x) for x in f], color=INK, label="ec-durlach: Durlach's closed form")
    axes.plot(f, [ec_chen2026_bmld(x) for x in f], color=BLUE, linestyle="--", label="ec-chen2026: as published")
    axes.plot(list(human), list(human.values()), "*", color=ORANGE, markersize=9, label="listeners, widest masker")
    axes.set(xscale="log", xlabel="tone frequency (Hz)", ylabel="BMLD of N0Spi (dB)", ylim=(0, 28))
    axes.set_xticks(FREQUENCIES, [str(x) for x in FREQUENCIES])
    axes.minorticks_off()
    _finish(figure, axes, "ec-curves.svg")


def front_ends(n_seeds: int = 24) -> None:
    task = f"bmld:frequencies=500,n_seeds={n_seeds},snrs={' '.join(map(str, SNRS))}"
    preset = {"models": list(FRONT_ENDS), "grid": [{"tasks": [task]}]}
    experiment = parse_experiment({"presets": {"figure": preset}}, name="figure", preset="figure", where=__file__)
    figure, axes = plt.subplots(figsize=(5.6, 3.2), layout="constrained")
    with tempfile.TemporaryDirectory() as folder:
        run(experiment, into=folder)
        scores = [s for s in scores_of(folder) if s.metric == "delta_bmld_db" and s.value is not None]
    for model, (label, colour, line, marker) in FRONT_ENDS.items():
        own = sorted((s for s in scores if s.model == model), key=lambda s: s.factors["snr_db"])
        x = [s.factors["snr_db"] for s in own]
        style = {"color": colour, "linestyle": line, "marker": marker, "markersize": 4}
        axes.plot(x, [s.value for s in own], label=f"{model}: {label}", **style)
        low, high = [s.ci_low for s in own], [s.ci_high for s in own]
        axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.axhline(0, color="#d0d5db", linewidth=0.8, zorder=0)
    axes.set(xlabel="signal-to-noise ratio (dB)", ylabel="distance ratio (dB)", xticks=SNRS)
    _finish(figure, axes, "front-ends.svg")


def _finish(figure: plt.Figure, axes: plt.Axes, name: str) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    ASSETS.mkdir(parents=True, exist_ok=True)
    figure.savefig(ASSETS / name, metadata={"Date": None, "Creator": None}, facecolor="white")
    plt.close(figure)
    print(ASSETS / name)


if __name__ == "__main__":
    ec_curves()
    front_ends()
