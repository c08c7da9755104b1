"""The separation study's part of the page: what a prompted separator uses, and what may be left out of its solve."""

from __future__ import annotations

from otoscope.core.errors import StoreError
from otoscope.report.run import Run
from otoscope.report.section import Section
from otoscope.report.sections.generic import generic
from otoscope.report.sections.separation.convergence import convergence
from otoscope.report.sections.separation.findings import findings
from otoscope.report.sections.separation.listen import listen
from otoscope.report.sections.separation.probes import probes
from otoscope.report.sections.separation.saving import saving
from otoscope.tasks.separation.study import Study


def separation(run: Run) -> list[Section]:
    """Sections about the task ``separation`` of a run; those that compare are left out where nothing was compared."""
    if run.store is None:
        raise StoreError("the section on separation reads rows, and this run was given without its directory")
    study = Study(run.store)
    found = [findings(study), probes(study), convergence(run), saving(study), listen(run.store)]
    scores = [s for task in run.tasks() if task == "separation" for s in generic(run, task)]
    return [s for s in found if s is not None] + scores
