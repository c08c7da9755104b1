"""Where threshold differences come from: EC formulae, people, and listeners that learned from embeddings."""

from __future__ import annotations

from dataclasses import dataclass

from otoscope.core.naming import parse_spec
from otoscope.report.figures.curves import Point, Series
from otoscope.report.figures.style import ROLES, Style
from otoscope.report.figures.svg import swatch
from otoscope.report.pick import Pick, last_layer_only
from otoscope.report.section import Block, Entry, Prose
from otoscope.report.sections.bmld.literature import human_bmld
from otoscope.report.sections.bmld.study import THRESHOLDS, Study
from otoscope.report.tables import plain

_BMLD = "bmld_threshold_db"


@dataclass(frozen=True)
class Source:
    """One curve of threshold differences, with what stands behind it."""

    series: Series
    entry: Entry
    about: str


def sources(study: Study) -> list[Source]:
    """People first, then EC, then the run's own learned listeners."""
    found = [*_human(), *_observers(study), *_listeners(study)]
    return [s for s in found if s.series.points]


def unlike(study: Study) -> list[Block]:
    """What is missing from the figure of thresholds."""
    notes: list[Block] = []
    if not study.tones.models("ec_bmld_db"):
        notes.append(Prose("No EC observer was run.", "missing"))
    if not any(s.metric == _BMLD for s in study.run.of_task(THRESHOLDS)):
        notes.append(Prose("No thresholds were measured from embeddings (task bmld/threshold).", "missing"))
    return notes


def _source(label: str, name: str, style: Style, points: list[Point], about: str, shown: bool = True) -> Source:
    series = f"t{name}"
    return Source(
        Series(label, style, points, series),
        Entry(label, swatch(f"bmld-{name}", style), series, about, shown),
        about,
    )


def _human() -> list[Source]:
    people = "van de Par and Kohlrausch 1999"
    wide = [Point(f, value) for f, _, value in human_bmld(None)]
    widths = ", ".join(f"{plain(w)}" for _, w, _ in human_bmld(None))
    narrow = [Point(f, value) for f, _, value in human_bmld(25.0)]
    about = f"{people}; maskers {widths} Hz wide"
    return [
        _source("people, wide masker", "wide", ROLES["human"], wide, about),
        _source("people, masker 25 Hz wide", "narrow", ROLES["human-narrow"], narrow, people, shown=False),
    ]


def _observers(study: Study) -> list[Source]:
    found = []
    for i, model in enumerate(study.tones.models("ec_bmld_db")):
        style = ROLES.get(parse_spec(model).name, ROLES["observer"])
        points = [
            Point(float(s.factors["frequency_hz"]), s.value)
            for s in study.tones.all(model, "ec_bmld_db")
            if s.value is not None
        ]
        found.append(_source(model, f"ec{i}", style, points, "formula"))
    return found


def _listeners(study: Study) -> list[Source]:
    pick = Pick(last_layer_only(study.run.of_task(THRESHOLDS)))
    found = []
    for i, model in enumerate(pick.models(_BMLD)):
        points = [
            Point(float(s.factors["frequency_hz"]), s.value, s.ci_low, s.ci_high, bound=s.bound)
            for s in pick.all(model, _BMLD, configuration="N0Spi")
            if s.value is not None
        ]
        style = study.styles.get(model, ROLES["observer"])
        found.append(_source(model, f"own{i}", style, points, "measured in this run"))
    return found
