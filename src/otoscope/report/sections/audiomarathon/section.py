"""The part of the page about AudioMarathon's tasks, and its headline."""

from __future__ import annotations

from otoscope.core.errors import StoreError
from otoscope.report.headline import Headline
from otoscope.report.run import Run
from otoscope.report.section import Block, Section
from otoscope.report.sections.audiomarathon.front import front, front_figure
from otoscope.report.sections.audiomarathon.heads import heads
from otoscope.report.sections.audiomarathon.pruning import pruning
from otoscope.report.sections.audiomarathon.quality import controls, cost_table, published_rows, quality, title
from otoscope.report.sections.generic import generic
from otoscope.report.sections.kept import kept
from otoscope.report.tables import interval, number
from otoscope.tasks.audiomarathon.study import PREFIX, Setting, Study, settings

_CAVEAT = (
    "how the model would do on other recordings. Without --data the items are the package's own miniature, which asks "
    "for no skill of people's interest; times are those of this machine."
)


def audiomarathon(run: Run) -> list[Section]:
    """Sections about the tasks ``audiomarathon/...`` of a run."""
    found = settings(run.scores)
    told = [quality(found), front(found)]
    if run.store is not None:
        study = Study(run.store)
        told += [pruning(study, found), heads(run.store, study, found), kept(run.store, "audiomarathon")]
    told += [controls(found), published_rows()]
    scores = [s for task in run.tasks() if task.startswith(PREFIX) for s in generic(run, task)]
    return [s for s in told if s is not None] + scores


def headline(run: Run) -> Headline:
    """What the bare model gets, and what the best saving below its time keeps."""
    if run.store is None:
        raise StoreError("the headline on AudioMarathon reads rows, and this run was given without its directory")
    found = [s for s in settings(run.scores) if s.where[1] == "intact" and s.tasks]
    known = [s for s in found if s.bare is not None and s.bare.mean() is not None]
    if not known:
        return Headline("no scores", "bad", "No task was scored on a bare model in this run.", _CAVEAT)
    s = known[0]
    assert s.bare is not None
    mean = s.bare.mean()
    assert mean is not None
    sentence = (
        f"{title(s)} has a mean score (macro F1; of transcripts 100 - WER) of {number(mean[0])} "
        f"{interval(mean[1], mean[2])} on average over {len(s.tasks)} tasks"
    )
    blocks: list[Block] = [cost_table(s)]
    verdict = "scores"
    if len(s.savers) > 1:
        sentence += _of_saving(s, Study(run.store))
        blocks.insert(0, front_figure(s, "head"))
        verdict = "quality and cost"
    return Headline(verdict, "plain", f"{sentence}.", _CAVEAT, blocks)


def _of_saving(s: Setting, study: Study) -> str:
    """The intervention that loses least of those that keep at most half of the audio tokens."""
    pairs = study.pairs.get(s.where, {})
    kept = {x.intervention: x.cost("kept_audio_share") for x in s.lines}
    told = [(n, m) for n, p in pairs.items() if (k := kept.get(n)) is not None and k <= 0.55 and (m := p.mean(s.tasks))]
    if not told:
        return ""
    name, m = max(told, key=lambda x: x[1][0])
    share = number(100 * (kept[name] or 0.0), 0)
    change = f"{number(m[0], sign=True)} {interval(m[1], m[2], sign=True)}"
    what = "right answers (of transcripts, right words), item by item,"
    return f"; with {share} % of its audio tokens its share of {what} changes by {change} points at best ({name})"
