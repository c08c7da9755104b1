"""Quality and cost in one table, the ten scores, what answers rest on, and the published rows beside them."""

from __future__ import annotations

from collections.abc import Sequence

from otoscope.report.section import TD, Block, Fold, Prose, Section, Table
from otoscope.report.tables import DASH, interval, number, significant
from otoscope.results.scoring import Score
from otoscope.tasks.answers import LOAD, PHASES
from otoscope.tasks.audiomarathon.kinds import KINDS
from otoscope.tasks.audiomarathon.published import CAVEATS, means, published
from otoscope.tasks.audiomarathon.scores import chance
from otoscope.tasks.audiomarathon.study import Line, Mean, Setting

#: Columns of cost: name of the score, header, factor, digits.
_COSTS = (
    ("seconds_first_token", "first token (s)", 1.0), ("seconds_first_token_p90", "p90 (s)", 1.0),
    ("seconds_per_token", "per token (ms)", 1e3),
    ("real_time_factor", "s per s of sound", 1.0), ("audio_tokens", "audio tokens", 1.0),
    ("kept_audio_share", "kept (%)", 100.0), ("kept_cache_share", "kept cache (%)", 100.0),
    ("cache_bytes", "cache (MB)", 1e-6), ("peak_bytes", "peak (MB)", 1e-6), ("same_answer", "same answers (%)", 100.0),
)  # fmt: skip
_LEAD = (
    "Sound scores count a reply that cannot be read as wrong and compare classes; official ones leave it out, as the "
    "publication does. Semantic and acoustic tasks stand apart because pruning harms them differently. Costs are means "
    "over the tasks of each task's median (p90: of its 90th percentile), measured on the machine of this run; the time "
    "to the first token is audio encoder and prefill, of a model that has answered before, without reading the file."
)


def quality(found: Sequence[Setting]) -> Section | None:
    """One table per setting with costs, then the ten scores."""
    told = [s for s in found if s.where[1] == "intact" and s.tasks]
    if not told:
        return None
    blocks: list[Block] = [Prose(_LEAD)]
    for s in told:
        blocks.append(cost_table(s))
        if (phases := phase_table(s)) is not None:
            blocks.append(Fold(f"Phases of an answer, {title(s)}", [phases]))
        blocks.append(
            Fold(f"Scores of the tasks, {title(s)}", [task_table(s, "score"), task_table(s, "score_official")])
        )
    return Section("quality", "Quality and cost", blocks)


def title(s: Setting) -> str:
    model, condition, params = s.where
    parts = [model, "" if condition == "intact" else condition, params]
    return ", ".join(p for p in parts if p)


def cost_table(s: Setting) -> Table:
    """A line per intervention."""
    costs = [(n, h, f) for n, h, f in _COSTS if any(x.cost(n) is not None for x in s.lines)]
    header = ["intervention", "mean", "official", "% of bare, official", "semantic", "acoustic", "unparsed (%)"]
    rows = [[*_head(s, x), *(_cost(x.cost(n), f) for n, _, f in costs)] for x in s.lines]
    n = f"mean of the {len(s.tasks)} tasks {', '.join(KINDS[t].code for t in s.tasks)}"
    return Table(f"{title(s)}: {n}", [*header, *(h for _, h, _ in costs)], rows, compact=True)


def phase_table(s: Setting) -> Table | None:
    """A line per intervention: median seconds of every phase, the 90th percentile below, and its peak memory."""
    phases = [p for p in (LOAD, *PHASES, "request") if any(x.cost(f"seconds_{p}") is not None for x in s.lines)]
    if not phases:
        return None
    told = [p for p in phases if any(x.cost(f"peak_bytes_{p}") is not None for x in s.lines)]
    rows: list[Sequence[TD | str]] = [
        [
            x.intervention,
            *(_with_p90(x, f"seconds_{p}") for p in phases),
            *(_cost(x.cost(f"peak_bytes_{p}"), 1e-6) for p in told),
        ]
        for x in s.lines
    ]
    header = ["intervention", *(f"{p} (ms)" for p in phases), *(f"peak, {p} (MB)" for p in told)]
    return Table("Medians, 90th percentiles below them; means over the tasks", header, rows, compact=True)


def _with_p90(x: Line, name: str) -> TD:
    middle, late = x.cost(name), x.cost(f"{name}_p90")
    if middle is None:
        return TD(DASH, number=True)
    return TD(significant(1e3 * middle), "" if late is None else f"p90 {significant(1e3 * late)}", number=True)


def _head(s: Setting, x: Line) -> list[TD | str]:
    relative = s.relative(x)
    unparsed = x.mean("unparsed_share")
    share = None if unparsed is None else unparsed[0]
    return [
        x.intervention,
        _mean(x.mean()),
        _mean(x.mean("score_official")),
        TD(number(relative), number=True),
        _mean(x.mean(tasks=s.of_domain("semantic"))),
        _mean(x.mean(tasks=s.of_domain("acoustic"))),
        TD(number(share), number=True, tone="warn" if share is not None and share > 5 else None),
    ]


def _mean(found: Mean | None) -> TD:
    return TD(DASH, number=True) if found is None else TD(number(found[0]), interval(found[1], found[2]), number=True)


def _cost(value: float | None, factor: float) -> TD:
    return TD(DASH if value is None else significant(value * factor), number=True)


def task_table(s: Setting, metric: str) -> Table:
    """A line per intervention, a column per task."""
    rows: list[Sequence[TD | str]] = [
        [x.intervention, *(_score(x.scores.get(metric, {}).get(t)) for t in s.tasks)] for x in s.lines
    ]
    word = "Sound scores" if metric == "score" else "Official scores"
    return Table(f"{word}, {title(s)}", ["", *(KINDS[t].code for t in s.tasks)], rows, compact=True)


def _score(x: Score | None) -> TD:
    if x is None:
        return TD(DASH, number=True)
    return TD(number(x.value), interval(x.ci_low, x.ci_high), number=True)


def controls(found: Sequence[Setting]) -> Section | None:
    """The bare model with and without what it should need: right answers by condition, and what guessing gets."""
    by: dict[tuple[str, str], list[Setting]] = {}
    for s in found:
        if s.bare is not None:
            by.setdefault((s.where[0], s.where[2]), []).append(s)
    blocks: list[Block] = []
    for (model, params), same in by.items():
        if len(same) < 2:
            continue
        keys = [t for t in KINDS if any(t in s.tasks for s in same) and not KINDS[t].free]
        rows: list[Sequence[TD | str]] = []
        for s in same:
            scores = s.bare.scores.get("accuracy", {}) if s.bare else {}
            rows.append([s.where[1], *(_score(scores.get(t)) for t in keys)])
        rows.append(["guessing", *(TD(number(chance(KINDS[t])), number=True) for t in keys)])
        name = ", ".join(p for p in (model, params) if p)
        blocks.append(Table(f"Right answers (%), {name}", ["condition", *(KINDS[t].code for t in keys)], rows))
    if not blocks:
        return None
    lead = (
        "audio-blind asks without the sound, shuffled-audio with another item's: what is still right rests on the "
        "words of the question. crop gives a short piece, transcript-only the words to read."
    )
    return Section("controls", "What the answers rest on", [Prose(lead), *blocks])


def published_rows() -> Section:
    """The publication's leaderboard, with what must be known before comparing."""
    data = published()
    header = ["model", *(KINDS[k].code for k in data["order"]), "ten", "nine"]
    rows: list[Sequence[TD | str]] = []
    for model, row in data["rows"].items():
        both = means(dict(zip(data["order"], row["scores"], strict=True)))
        cells = [TD(number(v), number=True) for v in row["scores"]]
        rows.append([model, *cells, TD(number(both["ten"]), number=True), TD(number(both["nine"]), number=True)])
    human = data["human"]
    cells = [TD(number(v), number=True) for v in human["scores"]]
    rows.append(["Human", *cells, TD(DASH, number=True), TD(number(human["mean_of_nine"]), number=True)])
    caveat = f"Not measured here, and not to be compared line by line: {'; '.join(CAVEATS)}."
    table = Table("Published rows (arXiv 2510.07293)", header, rows, compact=True)
    return Section(
        "published", "The published leaderboard", [Prose(caveat, "caution"), Fold("Sixteen models", [table])]
    )
