"""The separator's study in one sentence: what taking a part away costs, and who saves better."""

from __future__ import annotations

from otoscope.core.errors import StoreError
from otoscope.report.headline import Headline
from otoscope.report.run import Run
from otoscope.report.section import Block, Tone
from otoscope.report.sections.separation.findings import finding_of
from otoscope.report.sections.separation.probes import probe_table
from otoscope.report.sections.separation.saving import front_figure, loss_table
from otoscope.report.tables import interval, number
from otoscope.results.compare import Comparison
from otoscope.tasks.separation.findings import digits
from otoscope.tasks.separation.study import Rivalry, Study

#: The measure that the sentence about a probe is in, and the saving that the figure is against.
_MEASURE, _SAVING = "si_sdr_db", "saved_flops"
#: How a metric is called in a sentence, where its name alone says less.
_SAID = {
    "si_sdr_db": "dB SI-SDR",
    "sar_db": "dB SAR",
    "stoi": "STOI",
    "pesq_nb": "PESQ",
    "latent_cosine": "latent cosine",
    "fidelity_si_sdr_db": "dB fidelity",
}
_CAVEAT = (
    "that another separator would do the same: this is one small model on this run's items. A loss in one measure is "
    "not a loss for a listener, and the seconds are those of this machine."
)


def headline(run: Run) -> Headline:
    """From the first setting of the ways of saving, and the probe that changes most."""
    if run.store is None:
        raise StoreError("the headline on separation reads rows, and this run was given without its directory")
    study = Study(run.store)
    said: list[str] = []
    blocks: list[Block] = []
    verdict = "no comparison"
    tone: Tone = "warn"
    rivalries = [r for r in study if r.methods]
    if rivalries:
        found = finding_of(rivalries[0])
        verdict, tone = found.verdict, found.tone
        said.append(_of_saving(rivalries[0], verdict, found.figure))
        blocks += [front_figure(rivalries[0], _SAVING), loss_table(rivalries[0])]
    probes = [c for c in study.probes if c.metric == _MEASURE and c.difference is not None]
    if probes:
        said.insert(0, _of_probe(max(probes, key=lambda c: abs(c.difference or 0.0))))
        if not rivalries:
            verdict, tone = "the probes tell", "plain"
            blocks.append(probe_table(study))
    if not said:
        return Headline(verdict, "warn", "Nothing was compared in this run.", _CAVEAT)
    return Headline(verdict, tone, f"{'. '.join(said)}.", _CAVEAT, blocks)


def _of_saving(rivalry: Rivalry, verdict: str, count: str) -> str:
    """How often, and the first comparison that says something, at equal FLOPs where there is one."""
    text = f"At equal savings LSAC loses less than fewer solver steps in {count} comparisons"
    measures = [m for m in rivalry.metrics if m not in rivalry.flat]
    duels = [d for m in measures for d in rivalry.duels[m, _SAVING] if d.difference is not None]
    told = next((d for d in duels if d.winner), duels[0] if duels else None)
    if told is None or told.difference is None or told.saved is None:
        return f"{text}: {verdict}"
    n, d = digits(told.metric), told.difference
    more = f"{number(-d.value, n)} {interval(-d.high, -d.low, n)} {_SAID.get(told.metric, told.metric)} more"
    return f"{text}; {told.method}, where {number(100 * told.saved, 0)} % of all FLOPs are saved, loses {more}"


def _of_probe(c: Comparison) -> str:
    assert c.difference is not None
    n = digits(c.metric)
    change = f"{number(c.difference, n, sign=True)} dB SI-SDR {interval(c.ci_low, c.ci_high, n, sign=True)}"
    return f"Under {c.other} the separator changes by {change}".strip()
