"""The paper's values beside the measured ones."""

from __future__ import annotations

from otoscope.report.section import Prose, Section
from otoscope.report.sections.bmld.study import Study


def published(study: Study) -> Section:
    """What the paper printed, and what this run measured."""
    return Section(
        "published", "Published values", [Prose("The published values are not in this installation.", "missing")]
    )
