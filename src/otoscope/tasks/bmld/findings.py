"""The benchmark's answer in a few tables: verdicts, thresholds, and the paper's values on the paper's grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from otoscope.audio.binaural_presets import CHEN2026, FREQUENCIES_HZ
from otoscope.core.naming import parse_spec
from otoscope.results.scoring import Score
from otoscope.tasks.bmld.literature import paper
from otoscope.tasks.bmld.verdict import Evidence, verdicts

Table = tuple[str, list[str], list[list[Any]]]


def tables(scores: Sequence[Score], cells: Sequence[Any] = ()) -> list[Table]:
    """Verdicts per model; analytic BMLDs; threshold BMLDs. Tables without rows are left out."""
    absent = {c.model: c.error for c in cells if c.error}
    present = [s for s in scores if s.model not in absent]
    found = [_verdicts(verdicts(present), absent), _analytic(present), _thresholds(present), _published(present)]
    return [t for t in found if t[2]]


def _verdicts(evidence: Sequence[Evidence], absent: Mapping[str, str]) -> Table:
    """``absent``: models that could not be had, and why."""
    header = ["model", "verdict", "intact dB", "phase-only dB", "magnitude-only dB", "at", "detected", "why"]
    models = [*absent, *(e.model for e in evidence)]
    rows: list[list[Any]] = [
        [
            e.model,
            e.verdict,
            _db(e.intact_db),
            _db(e.phase_only_db),
            _db(e.magnitude_only_db),
            f"{e.at[0]:g} Hz, {e.at[1]:+g} dB" if e.at else None,
            f"{e.detected}/{e.cells}",
            e.reason,
        ]
        for e in evidence
        if not is_twin(e.model, models)
    ]
    rows += [[model, "not run", None, None, None, None, None, why] for model, why in absent.items()]
    return "Does the embedding carry interaural phase?", header, rows


def is_twin(model: str, models: Sequence[str]) -> bool:
    """Whether ``model`` is a random-weight twin of another of ``models``: evidence about that one, not a subject."""
    spec = parse_spec(model)
    base = spec.without("init", "seed")
    return spec.params.get("init") == "random" and any(parse_spec(m) == base for m in models if m != model)


def _analytic(scores: Sequence[Score]) -> Table:
    rows: list[list[Any]] = [
        [s.model, f"{s.factors['frequency_hz']:g} Hz", _db(s.value)]
        for s in scores
        if s.metric == "ec_bmld_db" and s.condition == "intact" and s.value is not None
    ]
    return (
        "BMLD of the analytic observers (threshold differences; not comparable with the ratios)",
        ["observer", "tone", "dB"],
        rows,
    )


def _thresholds(scores: Sequence[Score]) -> Table:
    header = ["model", "tone", "configuration", "BMLD dB", "95 %", "pairs"]
    rows: list[list[Any]] = [
        [
            s.model,
            f"{s.factors['frequency_hz']:g} Hz",
            s.factors["configuration"],
            "not heard in either" if s.value is None else f"{s.bound or ''}{s.value:.1f}",
            f"[{_db(s.ci_low) or '?'}, {_db(s.ci_high) or '?'}]",
            s.n,
        ]
        for s in scores
        if s.metric == "bmld_threshold_db"
        and parse_spec(s.task).name == "bmld/threshold"
        and not is_twin(s.model, [t.model for t in scores])
    ]
    return "Threshold BMLD of a learned listener (re N0S0)", header, rows


def _published(scores: Sequence[Score]) -> Table:
    """Figure 1a of the paper above what was measured on its grid; empty unless that grid was run."""
    title = "Published values (arXiv 2606.14820, fig. 1a, decoded) and what this run measured"
    measured: dict[str, dict[float, float | None]] = {}
    for s in scores:
        on_grid = parse_spec(s.task).params.get("grid") == CHEN2026.name and s.condition == "intact"
        if on_grid and s.value is not None and s.metric in ("delta_mean_ungated_db", "ec_bmld_db"):
            measured.setdefault(s.model, {})[float(s.factors["frequency_hz"])] = s.value
    header = ["series", "kind", *(f"{f:g} Hz" for f in FREQUENCIES_HZ)]
    if not measured:
        return title, header, []
    rows: list[list[Any]] = [
        [series["model"], f"published: {series['quantity']}", *(_db(v) for v in series["values"])]
        for series in paper()["series"]
        if series["figure"] == "1a"
    ]
    for model, values in measured.items():
        random = parse_spec(model).params.get("init") == "random"
        kind = "measured here, random weights" if random else "measured here"
        rows.append([model, kind, *(_db(values.get(f)) for f in FREQUENCIES_HZ)])
    return title, header, rows


def _db(value: float | None) -> str | None:
    return None if value is None else f"{value:.1f}"
