"""Models against each other, paired by item: a finding per pair, differences by domain as a figure and a table."""

from __future__ import annotations

from collections.abc import Sequence

from otoscope.report.figures.forest import Forest, Mark, Marks, forest_svg
from otoscope.report.figures.style import subject_styles
from otoscope.report.figures.svg import swatch
from otoscope.report.section import TD, Block, Entry, Finding, Findings, Fold, Panels, Prose, Section, Table, Tone
from otoscope.report.sections.probes.words import cell, probe_title, task_title
from otoscope.report.tables import interval, number
from otoscope.tasks.probes.averages import ASSUMES
from otoscope.tasks.probes.findings import p_text
from otoscope.tasks.probes.study import ALL, Study, Versus

#: What a difference of the whole list must fall below.
ALPHA = 0.05
CAVEAT = (
    "that the order holds elsewhere: tasks are those of this run, and another choice may turn it round. A difference "
    "from a random-weight twin is what training is worth; without a twin, a gain may be the architecture's."
)


def versus(study: Study) -> Section | None:
    """None where one model was run."""
    if not study.versus:
        return None
    lead = Prose(
        "Each difference is of the same test items. A domain is the mean of its tasks, each task alike; its interval "
        f"combines those of the tasks: {ASSUMES}. p is from sign flips of whole groups (speakers, recordings) "
        f"through all tasks at once, after Holm's correction for the {len(study.versus)} comparisons of this page."
    )
    blocks: list[Block] = [lead, Findings([finding_of(study, *pair) for pair in study.pairs if _own(study, *pair)])]
    blocks += [versus_figure(study, probe, f"versus{i}") for i, probe in enumerate(study.probes)]
    blocks.append(Fold("All differences", [versus_table(study.versus)], len(study.versus) <= 16))
    blocks.append(Fold("By task", [_by_task(study.versus)], False))
    return Section("versus", "Encoders against each other", blocks)


def _own(study: Study, baseline: str, other: str) -> list[Versus]:
    return [v for v in study.versus if (v.baseline, v.other) == (baseline, other)]


def whole(study: Study, baseline: str, other: str) -> list[Versus]:
    """Over all tasks, one per probe (of a run with one domain, over that)."""
    own = _own(study, baseline, other)
    return [v for v in own if v.domain == ALL] or own


def finding_of(study: Study, baseline: str, other: str) -> Finding:
    """What the probes say of one pair."""
    own = _own(study, baseline, other)
    over_all = whole(study, baseline, other)
    verdict, tone = verdict_of(over_all)
    first = over_all[0]
    facts = [
        (
            f"{v.probe}, {v.domain}",
            f"{number(v.difference.value, 3, sign=True)} "
            f"{interval(v.difference.low, v.difference.high, 3, sign=True)}, p {p_text(v.p_holm)}",
        )
        for v in own
        if v is not first
    ]
    text = f"Mean over {len(first.by_task)} tasks, {other} minus {baseline}, read by {first.probe}: "
    text += f"{interval(first.difference.low, first.difference.high, 3, sign=True)}, p {p_text(first.p_holm)}."
    caveat = f"What this does not say: {CAVEAT}"
    return Finding(
        f"{other} against {baseline}", verdict, tone, number(first.difference.value, 3, sign=True), text, facts, caveat
    )


def verdict_of(over_all: Sequence[Versus]) -> tuple[str, Tone]:
    """Of one pair over all tasks, by every probe."""
    up = [v for v in over_all if v.p_holm < ALPHA and (v.difference.value or 0.0) > 0]
    down = [v for v in over_all if v.p_holm < ALPHA and (v.difference.value or 0.0) < 0]
    if up and down:
        return "it depends on the probe", "warn"
    if not up and not down:
        return "no difference shown", "warn"
    some = "" if len(up or down) == len(over_all) else " by some probes"
    return (f"better{some}", "good") if up else (f"worse{some}", "bad")


def versus_figure(study: Study, probe: str, name: str) -> Panels:
    """Differences by domain; pairs have a colour and a mark each."""
    found = [v for v in study.versus if v.probe == probe]
    pairs = list(dict.fromkeys((v.baseline, v.other) for v in found))
    labels = {pair: f"{pair[1]} minus {pair[0]}" for pair in pairs}
    styles = subject_styles(labels.values())
    groups = list(dict.fromkeys(v.domain for v in found))
    series = [
        Marks(
            styles[labels[pair]],
            [
                Mark(v.domain, v.difference.value, v.difference.low, v.difference.high)
                for v in found
                if (v.baseline, v.other) == pair and v.difference.value is not None
            ],
            f"pair-{i}",
        )
        for i, pair in enumerate(pairs)
    ]
    shape = Forest("", "difference of the score", groups, series)
    figure = forest_svg(name, f"Differences by domain, {probe}", shape)
    legend = [
        Entry(labels[pair], swatch(f"{name}-{i}", styles[labels[pair]]), f"pair-{i}") for i, pair in enumerate(pairs)
    ]
    return Panels(name, [figure], legend, f"{probe_title(probe)}. Bars are 95 % intervals.", [probe])


def versus_table(found: Sequence[Versus]) -> Table:
    """A line per pair, probe and domain."""
    header = ["model", "minus", "probe", "domain", "difference", "p (Holm)", "tasks", "items"]
    rows: list[list[TD | str]] = [
        [v.other, v.baseline, v.probe, v.domain, cell(v.difference, sign=True), p_text(v.p_holm), str(len(v.by_task)),
         str(v.n)]
        for v in found
    ]  # fmt: skip
    return Table("Paired differences", header, rows, compact=True)


def _by_task(found: Sequence[Versus]) -> Table:
    """The differences that a domain's is the mean of."""
    rows: list[list[TD | str]] = [
        [v.other, v.baseline, v.probe, v.domain, task_title(task), cell(d, sign=True)]
        for v in found
        if v.domain != ALL
        for task, d in v.by_task.items()
    ]
    return Table("Differences by task", ["model", "minus", "probe", "domain", "task", "difference"], rows, compact=True)
