"""One HTML file about one run directory: opens from disk, asks the network for nothing, carries its sounds.

``write_report`` reads scores through :func:`otoscope.experiments.scores.scores_of` and writes the page atomically. A
task gets a section of its own by one entry in :data:`SECTIONS`; every other task gets tables of its scores. The page is
a pure function of the directory: no clock, no random ids.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from otoscope.core.naming import parse_spec
from otoscope.report.html import document, write_page
from otoscope.report.run import Run
from otoscope.report.section import Section
from otoscope.report.sections.audiomarathon.section import audiomarathon
from otoscope.report.sections.bmld.section import bmld
from otoscope.report.sections.failures import failures
from otoscope.report.sections.generic import generic
from otoscope.report.sections.longaudio.section import longaudio
from otoscope.report.sections.probes.section import probes
from otoscope.report.sections.provenance import provenance
from otoscope.report.sections.separation.section import separation
from otoscope.results.scoring import Score

#: Sections of a family of tasks (the part of the name before the slash). A later study adds its line here.
SECTIONS: Mapping[str, Callable[[Run], list[Section]]] = {
    "audiomarathon": audiomarathon,
    "bmld": bmld,
    "separation": separation,
    "longaudio": longaudio,
    "probes": probes,
    "xares": probes,
}


def write_report(
    directory: str | Path, out: str | Path | None = None, *, scores: Sequence[Score] | None = None
) -> Path:
    """Write the page of a run directory; returns its path (default ``DIR/report.html``).

    Raises :class:`~otoscope.core.errors.StoreError` on what is no run directory, and where the page cannot be written.
    """
    run = Run.read(directory, scores)
    target = Path(out) if out is not None else Path(directory) / "report.html"
    write_page(target, render(run))
    return target


def render(run: Run) -> str:
    """The page as text."""
    return document("page.html", title=run.title, run=run, counts=_counts(run), sections=sections_of(run))


def sections_of(run: Run) -> list[Section]:
    """All sections about a run: by task, then what failed and how it was made."""
    return [*_of_tasks(run), failures(run), provenance(run)]


def _of_tasks(run: Run) -> list[Section]:
    found: list[Section] = []
    told: set[Callable[[Run], list[Section]]] = set()  # families may share a section
    for task in run.tasks():
        family = parse_spec(task).name.partition("/")[0]
        if family not in SECTIONS:
            found += generic(run, task)
        elif SECTIONS[family] not in told:
            told.add(SECTIONS[family])
            found += SECTIONS[family](run)
    return found


def _counts(run: Run) -> Sequence[tuple[str, str]]:
    models = len({c.model for c in run.cells}) or len({s.model for s in run.scores})
    facts: dict[str, Any] = {
        "models": models,
        "cells": len(run.cells),
        "items": sum(c.n_items for c in run.cells),
        "failed items": sum(c.n_failed for c in run.cells),
        "scores": len(run.scores),
    }
    presets = [str(r.get("experiment", {}).get("preset", "")) for r in run.records]
    return [("preset", ", ".join(dict.fromkeys(p for p in presets if p))), *((k, str(v)) for k, v in facts.items())]
