"""The tables printed after a run: who is in them, and as what."""

from __future__ import annotations

from types import SimpleNamespace

from otoscope.results.scoring import Score
from otoscope.tasks.bmld.findings import tables

GRID = "bmld:grid=chen2026"


def score(model: str, metric: str, value: float | None, condition: str = "intact", **factors: float) -> Score:
    return Score(GRID, condition, model, "none", metric, {"frequency_hz": 500, **factors}, value, value, value)


TWIN = "dac:init=random,seed=1"
SCORES = [
    score("ec-chen2026", "ec_bmld_db", 15.7),
    score("dac", "ec_bmld_db", None),  # what a failed item leaves: every metric, without a value
    score("dac", "delta_bmld_db", None, snr_db=-14),
    score("dac", "delta_mean_ungated_db", None),
    score(TWIN, "delta_bmld_db", 0.4, snr_db=-14),
    score(TWIN, "delta_mean_ungated_db", 0.4),
]
ABSENT = [SimpleNamespace(model="dac", error="dac_16khz is not here"), SimpleNamespace(model=TWIN, error=None)]


def test_a_model_that_could_not_be_had_says_why_and_has_no_figures() -> None:
    found = {title.split(" (")[0]: rows for title, _, rows in tables(SCORES, ABSENT)}
    assert found["Does the embedding carry interaural phase?"] == [
        ["dac", "not run", *[None] * 5, "dac_16khz is not here"]
    ]
    assert found["BMLD of the analytic observers"] == [["ec-chen2026", "500 Hz", "15.7"]]


def test_random_weights_beside_published_values_are_called_so() -> None:
    rows = next(rows for title, _, rows in tables(SCORES, ABSENT) if title.startswith("Published values"))
    measured = {row[0]: row[1] for row in rows if "measured" in row[1]}
    assert measured == {"ec-chen2026": "measured here", TWIN: "measured here, random weights"}
