"""A run of probes in one sentence: the first pair of models over all tasks."""

from __future__ import annotations

from otoscope.core.errors import StoreError
from otoscope.report.headline import Headline
from otoscope.report.run import Run
from otoscope.report.sections.probes.averages import points_of, score_table
from otoscope.report.sections.probes.versus import CAVEAT, verdict_of, versus_figure, whole
from otoscope.report.tables import interval, number
from otoscope.tasks.probes.findings import p_text
from otoscope.tasks.probes.study import Study


def headline(run: Run) -> Headline:
    """Of the first probe of the run; of a single model its scores."""
    if run.store is None:
        raise StoreError("the headline on probes reads rows, and this run was given without its directory")
    study = Study(run.store)
    if not study.readings:
        return Headline("no scores", "bad", "No probe was fitted in this run.", CAVEAT)
    probe = study.probes[0]
    table = score_table(probe, points_of(study, probe))
    if not study.versus:
        (model,) = study.models[:1]
        n = len(study.tasks)
        return Headline("scores", "plain", f"{model} was read on {n} tasks; nothing was compared.", CAVEAT, [table])
    baseline, other = study.pairs[0]
    over_all = whole(study, baseline, other)
    verdict, tone = verdict_of(over_all)
    said = [
        f"{number(v.difference.value, 3, sign=True)} {interval(v.difference.low, v.difference.high, 3, sign=True)} "
        f"by {v.probe} (p {p_text(v.p_holm)})"
        for v in over_all
    ]
    sentence = f"{other} minus {baseline}, mean over {len(over_all[0].by_task)} tasks: {'; '.join(said)}."
    return Headline(verdict, tone, sentence, CAVEAT, [versus_figure(study, probe, "front"), table])
