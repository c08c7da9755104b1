"""One HTML file about one run directory: opens from disk, asks the network for nothing, carries its sounds.

``write_report`` reads scores through :func:`otoscope.experiments.scores.scores_of` and writes the page atomically. A
task gets a section of its own by one entry in :data:`SECTIONS`; every other task gets tables of its scores. The page is
a pure function of the directory: no clock, no random ids.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from otoscope.core.naming import parse_spec
from otoscope.report.figures.style import css_variables
from otoscope.report.run import Run
from otoscope.report.section import Section
from otoscope.report.sections.bmld.section import bmld
from otoscope.report.sections.failures import failures
from otoscope.report.sections.generic import generic
from otoscope.report.sections.provenance import provenance
from otoscope.report.sections.separation.section import separation
from otoscope.results.files import store_errors
from otoscope.results.scoring import Score

#: Sections of a family of tasks (the part of the name before the slash). A later study adds its line here.
SECTIONS: Mapping[str, Callable[[Run], list[Section]]] = {"bmld": bmld, "separation": separation}


def write_report(
    directory: str | Path, out: str | Path | None = None, *, scores: Sequence[Score] | None = None
) -> Path:
    """Write the page of a run directory; returns its path (default ``DIR/report.html``).

    Raises :class:`~otoscope.core.errors.StoreError` on what is no run directory, and where the page cannot be written.
    """
    run = Run.read(directory, scores)
    target = Path(out) if out is not None else Path(directory) / "report.html"
    _write(target, render(run).encode("utf-8"))
    return target


def render(run: Run) -> str:
    """The page as text."""
    sections = [*_of_tasks(run), failures(run), provenance(run)]
    script = _template_text("report.js")
    environment = _environment()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("page.html").render(
        run=run,
        title=run.title,
        counts=_counts(run),
        sections=sections,
        style=Markup(_template_text("report.css")),
        light=Markup(css_variables(0)),
        dark=Markup(css_variables(1)),
        script=Markup(script),
        script_digest=digest,
    )


def _of_tasks(run: Run) -> list[Section]:
    found: list[Section] = []
    told: set[str] = set()
    for task in run.tasks():
        family = parse_spec(task).name.partition("/")[0]
        if family not in SECTIONS:
            found += generic(run, task)
        elif family not in told:
            told.add(family)
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


def _template_text(name: str) -> str:
    return (files("otoscope.report") / "templates" / name).read_text(encoding="utf-8")


def breakable(text: str) -> Markup:
    """``text`` (escaped) that may break after punctuation: names of models are long and have no spaces."""
    return Markup("<wbr>").join(re.split(r"(?<=[:,/=#|])(?=\S)", text))


def _environment() -> jinja2.Environment:
    names = ("page.html", "blocks.html")
    environment = jinja2.Environment(
        loader=jinja2.DictLoader({n: _template_text(n) for n in names}),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["breakable"] = breakable
    return environment


def _write(path: Path, data: bytes) -> None:
    """Whole or not there. The page can be made again at any time, so nothing is synced to disk."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    with store_errors(path):
        try:
            temporary.write_bytes(data)
            os.replace(temporary, path)
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()
