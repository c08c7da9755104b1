"""The encoders' part of the page: who is better and where, every score, averages, then task by task."""

from __future__ import annotations

from otoscope.core.errors import StoreError
from otoscope.report.run import Run
from otoscope.report.section import Prose, Section
from otoscope.report.sections.probes.averages import averages, scores
from otoscope.report.sections.probes.tasks import by_task
from otoscope.report.sections.probes.versus import versus
from otoscope.tasks.probes.study import Study


def probes(run: Run) -> list[Section]:
    """Sections about all probe tasks of a run, ``probes/...`` and ``xares/...`` together."""
    if run.store is None:
        raise StoreError("the section on probes reads rows, and this run was given without its directory")
    study = Study(run.store)
    if not study.readings:
        return [Section("scores", "Scores by task", [Prose("No probe was fitted in this run.", "missing")])]
    found = [versus(study), scores(study), averages(study), by_task(run, study)]
    return [s for s in found if s is not None]
