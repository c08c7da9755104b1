"""The benchmark's part of the page: finding first, method last."""

from __future__ import annotations

from otoscope.report.run import Run
from otoscope.report.section import Section
from otoscope.report.sections.bmld.against_frequency import against_frequency
from otoscope.report.sections.bmld.against_snr import against_snr
from otoscope.report.sections.bmld.findings import findings
from otoscope.report.sections.bmld.ladder import ladder
from otoscope.report.sections.bmld.listen import listen
from otoscope.report.sections.bmld.published import published
from otoscope.report.sections.bmld.speech import speech
from otoscope.report.sections.bmld.study import study_of
from otoscope.report.sections.bmld.thresholds import thresholds
from otoscope.report.sections.bmld.verdict_table import verdict_table


def bmld(run: Run) -> list[Section]:
    """Sections about the tasks ``bmld``, ``bmld/threshold`` and ``bmld/speech`` of a run."""
    study = study_of(run)
    parts = (
        findings,
        verdict_table,
        against_snr,
        against_frequency,
        ladder,
        thresholds,
        speech,
        listen,
        published,
    )
    return [part(study) for part in parts]
