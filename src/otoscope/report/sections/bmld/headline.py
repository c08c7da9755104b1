"""The benchmark in one sentence: which of the models carry interaural phase, and the figure of the strongest."""

from __future__ import annotations

from otoscope.report.headline import Headline
from otoscope.report.run import Run
from otoscope.report.section import Block, Columns
from otoscope.report.sections.bmld.against_snr import one_curve
from otoscope.report.sections.bmld.findings import NOT, TONES_OF_VERDICT, finding
from otoscope.report.sections.bmld.study import Study, study_of
from otoscope.report.sections.bmld.verdict_table import verdicts_at_a_glance

#: From the strongest verdict to the weakest.
_ORDER = ("phase", "magnitude texture", "none", "unresolved", "undefined")
_WORDS = {
    "phase": "carries interaural phase",
    "magnitude texture": "responds to the two ears' levels, not to their phase",
    "none": "shows no effect of the relation between the ears",
    "unresolved": "cannot be told apart from nothing by this run",
    "undefined": "gives no ratio that could be read",
}


def headline(run: Run) -> Headline:
    """The subjects' verdicts; the references where no subject gave distances."""
    study = study_of(run)
    leads = sorted((m for m in study.leads if m in study.evidence), key=lambda m: _rank(study, m))
    if not leads:
        return Headline("no verdict", "bad", "No model gave a curve for tones in noise.", "anything about a model.")
    said = []
    for model in leads:
        found = finding(study.evidence[model], study)
        number = f" ({found.figure})" if found.figure != "no figure" else ""
        said.append(f"{model} {_WORDS[study.evidence[model].verdict]}{number}")
    first = study.evidence[leads[0]]
    blocks: list[Block] = []
    if first.at is not None:
        blocks.append(one_curve(study, leads[0], first.at[0]))
    blocks.append(verdicts_at_a_glance(study))
    caveat = finding(first, study).caveat.removeprefix(NOT)
    tone = TONES_OF_VERDICT[first.verdict]
    return Headline(first.verdict, tone, f"{'; '.join(said)}.", caveat, [Columns(blocks)])


def _rank(study: Study, model: str) -> int:
    return _ORDER.index(study.evidence[model].verdict)
