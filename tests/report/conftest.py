"""A run as the page sees it, made of scores written by hand: quick, and with every oddity at hand."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from otoscope.report.run import Run
from otoscope.results.cells import Cell
from otoscope.results.scoring import Score

SUBJECT = "tiny-stereo"
TWIN = "tiny-stereo:init=random,seed=1"
FREQUENCIES = (500, 1000, 4000)
SNRS = (-22, -14, -6, 2)
CONDITIONS = ("intact", "high-pass:order=12", "mel-equalised", "vocoder", "magnitude-only", "phase-only", "nu-masker")


def ratio(model: str, condition: str, frequency: float, snr: float) -> float:
    """Curves of the shapes that the front ends have."""
    fall = 1.0 / (1.0 + math.exp((snr + 10.0) / 5.0))
    if model.startswith("logmel-ild"):
        scale = {"intact": 1.0, "magnitude-only": 0.6, "phase-only": 0.4}.get(condition, 0.2)
        return scale * (9.0 * math.exp(-(snr + 30.0) / 9.0))
    if model.startswith("logmel-ipd"):
        return {"magnitude-only": 0.0, "vocoder": 0.1, "nu-masker": 0.0}.get(condition, 18.0) * fall
    if model == "left-only":
        return 0.0
    if model == SUBJECT:
        return {"magnitude-only": 0.3, "vocoder": 0.2, "nu-masker": 0.0}.get(condition, 8.0) * fall - 0.4
    return 1.4 + 0.5 * math.sin(frequency + snr)


class Maker:
    """Scores with the fields that :func:`otoscope.results.scoring.score_cell` fills."""

    def __init__(self) -> None:
        self.scores: list[Score] = []

    def add(self, model: str, metric: str, value: float | None, condition: str = "intact", **extra: Any) -> None:
        factors = extra.pop("factors", {})
        task = extra.pop("task", "bmld")
        spread = extra.pop("spread", 0.4)
        low, high = (None, None) if value is None or spread is None else (value - spread, value + spread)
        fields = {"ci_low": low, "ci_high": high, "n": 12, "n_groups": 12, "status": "ok"} | extra
        self.scores.append(Score(task, condition, model, "none", metric, factors, value, **fields))

    def tones(self, model: str, conditions: tuple[str, ...] = CONDITIONS, task: str = "bmld") -> None:
        for condition in conditions:
            for f in FREQUENCIES:
                for snr in SNRS:
                    where = {"frequency_hz": f, "snr_db": snr, "layer": "last"}
                    value = ratio(model, condition, f, snr)
                    closed = (snr == -22 and f == 4000) or condition.startswith("high-pass")
                    self.add(model, "delta_ungated_db", value, condition, factors=where, task=task)
                    why = "not detected: both distances are under a tenth of the variation between noises"
                    gated = {"value": None, "note": why, "status": "undefined"} if closed else {"value": value}
                    self.add(model, "delta_bmld_db", gated.pop("value"), condition, factors=where, task=task, **gated)
                by = {"frequency_hz": f, "layer": "last"}
                mean = sum(ratio(model, condition, f, s) for s in SNRS) / len(SNRS)
                self.add(model, "delta_mean_ungated_db", mean, condition, factors=by, task=task)
                self.add(model, "smallest_detectable_db", 0.7, condition, factors=by, task=task, spread=None)
            for metric, value in (
                ("unmasking_share", 0.5),
                ("reversal_share", 0.125),
                ("unmasking_share_ungated", 0.75),
                ("reversal_share_ungated", 0.25),
                ("detected_share", 0.625),
            ):
                self.add(model, metric, value, condition, factors={"layer": "last"}, task=task, spread=None)

    def thresholds(self, model: str) -> None:
        for f in (500, 4000):
            for k, configuration in enumerate(("N0S0", "N0Spi")):
                where = {"frequency_hz": f, "configuration": configuration, "layer": "last"}
                beyond = {"bound": "<", "spread": None} if (f, configuration) == (4000, "N0Spi") else {}
                self.add(model, "threshold_db", -18.0 - 11.0 * k, factors=where, task="bmld/threshold", **beyond)
                if configuration != "N0S0":
                    over = {"bound": ">", "spread": None} if beyond else {}
                    self.add(model, "bmld_threshold_db", 11.0, factors=where, task="bmld/threshold", **over)
                self.add(model, "null_accuracy", 0.49, factors=where, task="bmld/threshold")
                for snr in (-36, -30, -24, -18, -12):
                    p = 0.5 + 0.5 / (1.0 + math.exp(-(snr + 18.0 + 11.0 * k) / 2.0))
                    point = {**where, "snr_db": snr}
                    self.add(model, "accuracy", p, factors=point, task="bmld/threshold", spread=0.06)

    def speech(self, model: str) -> None:
        for room in ("dry/0deg", "dry/45deg", "office/0deg"):
            for snr in (-18, -12, -6, 0):
                where = {"room": room, "snr_db": snr, "layer": "last"}
                value = ratio(model, "intact", 500, snr)
                self.add(model, "delta_ungated_db", value, factors=where, task="bmld/speech")
                self.add(model, "delta_bmld_db", value, factors=where, task="bmld/speech")
        for metric in ("unmasking_share", "reversal_share", "detected_share"):
            self.add(model, metric, 0.3, factors={"layer": "last"}, task="bmld/speech", spread=None)
            self.add(model, f"{metric}_ungated", 0.4, factors={"layer": "last"}, task="bmld/speech", spread=None)


def cell(model: str, condition: str = "intact", task: str = "bmld", **changes: Any) -> Cell:
    fields: dict[str, Any] = {"status": "done", "n_items": 144, "n_done": 144, "n_failed": 0, **changes}
    alias = f"{task} | {condition} | {model} | seed 0"
    name = f"c{zlib.crc32(alias.encode()):010d}"
    return Cell(name, alias, task, condition, model, "none", 0, "{}", **fields)


def record(models: list[str], references: list[str]) -> dict[str, Any]:
    return {
        "experiment": {
            "name": "bmld",
            "preset": "small",
            "title": "BMLD: does a frozen encoder carry interaural phase?",
            "models": models,
            "references": references,
            "seeds": [0],
            "twins": 1,
            "grid": [],
        },
        "excluded": [],
        "execution": {"workers": 1, "batch": 16},
        "environment": {
            "python": "3.11.9",
            "platform": "Linux",
            "cpus": 2,
            "packages": {"otoscope": "0.1.0", "numpy": "2.0.0"},
            "argv": ["otoscope", "run", "bmld", "--into", "runs/a b"],
        },
    }


REFERENCES = ["ec-durlach", "ec-chen2026", "left-only", "logmel-ild", "logmel-ipd"]


def make_run(subject: str = SUBJECT, **changes: Any) -> Run:
    """A whole run: subject, twin, references, thresholds, speech, EC."""
    maker = Maker()
    for model in ("left-only", TWIN.replace(SUBJECT, subject)):
        maker.tones(model, ("intact",))
    for model in (subject, "logmel-ild", "logmel-ipd"):
        maker.tones(model)
        maker.speech(model)
    maker.thresholds("ec-listener")
    maker.thresholds(subject)
    for f, value in ((500, 10.73), (1000, 6.14), (4000, 0.01)):
        maker.add("ec-durlach", "ec_bmld_db", value, factors={"frequency_hz": f}, spread=0.0)
        maker.add("ec-chen2026", "ec_bmld_db", value + 3.0, factors={"frequency_hz": f}, spread=0.0)
    models = dict.fromkeys(s.model for s in maker.scores)
    fields: dict[str, Any] = {
        "name": "run",
        "scores": maker.scores,
        "cells": [cell(m) for m in models],
        "records": [record([subject], [*REFERENCES, "ec-listener"])],
    }
    return Run(**(fields | changes))


@pytest.fixture
def maker() -> Maker:
    return Maker()


@pytest.fixture
def new_run() -> Callable[..., Run]:
    return make_run


@pytest.fixture
def new_cell() -> Callable[..., Cell]:
    return cell


@pytest.fixture(scope="session")
def run() -> Run:
    return make_run()
