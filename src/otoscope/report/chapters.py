"""One page about several runs: a chapter each, with a headline in front and the whole study folded behind it.

A family of tasks gets a headline by one entry in :data:`HEADLINES`; every other one is told by its first scores.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from markupsafe import Markup

from otoscope.core.errors import UsageError
from otoscope.core.naming import parse_spec
from otoscope.report.headline import Headline
from otoscope.report.html import document, environment, write_page
from otoscope.report.page import sections_of
from otoscope.report.run import Run
from otoscope.report.sections.audiomarathon.section import headline as audiomarathon
from otoscope.report.sections.bmld.headline import headline as bmld
from otoscope.report.sections.longaudio.section import headline as longaudio
from otoscope.report.sections.probes.headline import headline as probes
from otoscope.report.sections.separation.headline import headline as separation
from otoscope.report.tables import factor_names, interval, score_table, significant
from otoscope.results.heard import heard_before

HEADLINES: Mapping[str, Callable[[Run], Headline]] = {
    "bmld": bmld,
    "separation": separation,
    "longaudio": longaudio,
    "audiomarathon": audiomarathon,
    "probes": probes,
    "xares": probes,
}
#: Scores in the table of a study without a headline of its own.
_FIRST = 12
#: What in a chapter's markup names or points to an element.
_NAMES = re.compile(r'( (?:id="|href="#|xlink:href="#|aria-labelledby="|for="))([^"]+)(")|(url\(#)([^)]+)(\))')


@dataclass(frozen=True)
class Chapter:
    """``body`` is finished markup in which every name begins with ``id``."""

    id: str
    title: str
    headline: Headline
    body: Markup


def write_chapters(directories: Sequence[str | Path], out: str | Path, title: str) -> list[Chapter]:
    """Write one page about run directories to ``out``; returns its chapters, in the order given.

    Raises :class:`~otoscope.core.errors.StoreError` on what is no run directory, and where the page cannot be written.
    """
    if not directories:
        raise UsageError("a page needs at least one run directory")
    runs = [Run.read(d) for d in directories]
    found = [chapter(run, f"study{i + 1}") for i, run in enumerate(runs)]
    write_page(Path(out), render(found, runs, title))
    return found


def render(chapters: Sequence[Chapter], runs: Sequence[Run], title: str) -> str:
    """The page as text."""
    cells = [c for run in runs for c in run.cells]
    counts = {
        "studies": len(runs),
        "models": len({c.model for c in cells}),
        "cells": len(cells),
        "items": sum(c.n_items for c in cells),
        "failed items": sum(c.n_failed for c in cells),
    }
    names = ", ".join(run.name for run in runs)
    figures = [(name, str(n)) for name, n in counts.items() if n]
    return document("chapters.html", title=title, name=names, counts=figures, chapters=chapters)


def chapter(run: Run, ident: str) -> Chapter:
    """One run as a chapter."""
    head = headline_of(run)
    # The figure of the headline stands in the whole study once more.
    front = environment().get_template("headline.html").render(headline=head, command=_command(run))
    whole = environment().get_template("chapter.html").render(sections=sections_of(run))
    body = _named(front, f"{ident}-front") + _named(whole, ident)
    return Chapter(ident, run.title, head, Markup(body))


def headline_of(run: Run) -> Headline:
    """The finding of a run in one sentence. What a model makes of its own training items is no finding."""
    found = _headline_of(run)
    if known := heard_before(run.scores):
        sentence = f"{'; '.join(known)}: the figures below are no held-out figures."
        return replace(found, verdict="not held out", tone="bad", sentence=sentence)
    return found


def _headline_of(run: Run) -> Headline:
    for task in run.tasks():
        family = parse_spec(task).name.partition("/")[0]
        if family in HEADLINES:
            return HEADLINES[family](run)
    known = [s for s in run.scores if s.value is not None]
    if not known:
        return Headline("no scores", "bad", "Nothing was scored in this run.", "anything about a model.")
    s = known[0]
    ends = interval(s.ci_low, s.ci_high, 3)
    table = score_table("The first scores", known[:_FIRST], factors=factor_names(known[:_FIRST]))
    sentence = f"{s.model} has {s.metric} {significant(s.value)} {ends}".strip()
    return Headline("scores", "plain", f"{sentence}.", "why; the tables of the whole study say more.", [table])


def _command(run: Run) -> str:
    """What makes this run by itself."""
    experiments = [r["experiment"] for r in run.records if "experiment" in r]
    if not experiments:
        return ""
    last = experiments[-1]
    limit = f" --limit {last['limit']}" if last.get("limit") else ""
    return f"otoscope run {last.get('name', '')} --preset {last.get('preset', '')}{limit}"


def _named(markup: str, ident: str) -> str:
    """Every name within a chapter with the chapter's in front: two runs of one study may stand on one page."""
    return _NAMES.sub(lambda m: "".join((m[1] or m[4], ident, "-", m[2] or m[5], m[3] or m[6])), markup)
