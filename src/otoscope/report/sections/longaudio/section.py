"""The part of the page about long audio: length, needles, chains, then every score."""

from __future__ import annotations

from otoscope.core.errors import StoreError
from otoscope.report.headline import Headline
from otoscope.report.run import Run
from otoscope.report.section import Block, Section
from otoscope.report.sections.generic import generic
from otoscope.report.sections.kept import kept
from otoscope.report.sections.longaudio.lengths import change_table, length_figure, lengths, name_of, styles_of
from otoscope.report.sections.longaudio.needles import hops, needles
from otoscope.report.tables import interval, number
from otoscope.tasks.longaudio.study import PREFIX, Study

_CAVEAT = (
    "that a longer recording of other content costs the same: here what is added holds nothing that is asked about, "
    "and the sounds are those of this benchmark."
)


def longaudio(run: Run) -> list[Section]:
    """Sections about the tasks ``longaudio/...`` of a run."""
    study = _study(run)
    found = [lengths(study), needles(study, styles_of(study)), hops(study), kept(run.store, "longaudio")]
    scores = [s for task in run.tasks() if task.startswith(PREFIX) for s in generic(run, task)]
    return [s for s in found if s is not None] + scores


def headline(run: Run) -> Headline:
    """The largest clear change between the shortest and the longest version, or that there is none."""
    study = _study(run)
    told = [(a, a.lengths[-1], d) for a in study if (d := a.change(a.lengths[-1])) is not None]
    if not told:
        return Headline("no comparison", "warn", "No question was asked at two lengths.", _CAVEAT)
    clear = [x for x in told if x[2].low > 0 or x[2].high < 0]
    a, seconds, d = min(clear or told, key=lambda x: x[2].value)
    change = f"{number(d.value, sign=True)} points {interval(d.low, d.high, sign=True)}"
    sentence = (
        f"From {a.lengths[0]:g} to {seconds:g} s, with the content held fixed, {name_of(a.setting)} changes by "
        f"{change} in {a.family}; {len(clear)} of {len(told)} families and settings change beyond their interval."
    )
    lower = [x for x in clear if x[2].value < 0]
    verdict = "length costs" if lower else "no loss seen"
    blocks: list[Block] = [length_figure(study, styles_of(study), "seconds"), change_table(study)]
    return Headline(verdict, "bad" if lower else "plain", sentence, _CAVEAT, blocks)


def _study(run: Run) -> Study:
    if run.store is None:
        raise StoreError("the section on long audio reads rows, and this run was given without its directory")
    return Study(run.store)
