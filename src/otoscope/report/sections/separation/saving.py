"""What is saved and what is lost: Pareto fronts with intervals on both axes, tables, headline ratios, and the worth of
choosing layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from otoscope.report.figures.curves import WIDE, Panel, Point, Series, panel_svg
from otoscope.report.figures.style import Style, subject_styles
from otoscope.report.figures.svg import swatch
from otoscope.report.section import TD, Block, Entry, Fold, Panels, Prose, Section, Table
from otoscope.report.tables import interval, number
from otoscope.results.trades import Trade, front
from otoscope.stats.intervals import Interval
from otoscope.tasks.separation.findings import EQUAL, digits, headline, title
from otoscope.tasks.separation.study import FEWER_STEPS, METHOD, PLACEBO, SAVINGS, Rivalry, Study, is_called, ladder_of

_LEAD = (
    "A loss is what an item has with the unmodified model less what it has with an intervention, on the same item and "
    "noise. A saving is the share that was not computed; seconds are measured, on the machine of this run. Lower and "
    "further right is better. Bars are 95 % intervals over items."
)


def saving(study: Study) -> Section | None:
    """One part per setting of the ways of saving; None where nothing was saved."""
    rivalries = list(study)
    if not rivalries:
        return None
    blocks: list[Block] = [Prose(_LEAD)]
    for i, rivalry in enumerate(rivalries):
        blocks.append(Fold(title(rivalry), _of_setting(f"saving{i}", rivalry), i == 0))
    return Section("saving", "What may be left out", blocks)


def _of_setting(name: str, rivalry: Rivalry) -> list[Block]:
    blocks: list[Block] = []
    for axis in SAVINGS:
        figure = front_figure(rivalry, axis, name)
        blocks.append(Fold(f"Against saved {EQUAL[axis]}", [figure], axis != "saved_seconds"))
    blocks.append(loss_table(rivalry))
    blocks += _ratios(rivalry)
    return blocks + _choice(rivalry) + _power(rivalry)


def front_figure(rivalry: Rivalry, axis: str, name: str = "front") -> Panels:
    """Losses against one kind of saving, a panel per measure; the caption names who is on the front."""
    found = {m: [by[m] for by in rivalry.trades.values() if m in by] for m in rivalry.metrics}
    families = list(dict.fromkeys(map(_family, rivalry.trades)))
    styles = subject_styles(families)
    panels = [_panel(f"{name}-{axis}-{m}", m, axis, trades, styles, name) for m, trades in found.items()]
    legend = [Entry(f, swatch(f"{name}-{axis}-{i}", styles[f]), f"{name}-{i}") for i, f in enumerate(families)]
    best = [f"{m}: {', '.join(t.intervention for t in front(trades, axis))}" for m, trades in found.items()]
    caption = "On the front (no other saves more and loses less), " + "; ".join(best) + "."
    return Panels(f"{name}-{axis}", panels, legend, caption, [f"lost {m}" for m in found])


def _panel(
    name: str, metric: str, axis: str, trades: Sequence[Trade], styles: Mapping[str, Style], series: str
) -> Markup:
    by: dict[str, list[Point]] = {}
    for t in trades:
        x, y = t.saved[axis], t.loss
        by.setdefault(_family(t.intervention), []).append(
            Point(100 * x.value, y.value, y.low, y.high, x_low=100 * x.low, x_high=100 * x.high)
        )
    curves = [Series(f, styles[f], points, f"{series}-{list(styles).index(f)}", line=False) for f, points in by.items()]
    shape = Panel("", f"saved {EQUAL[axis]} (%)", "", curves)
    return panel_svg(name, f"Loss of {metric} against saved {EQUAL[axis]}", shape, WIDE)


def _family(intervention: str) -> str:
    """What shares a look: the settings of a ladder, of the method, of its placebo."""
    for name in (METHOD, PLACEBO):
        if is_called(intervention, name):
            return name
    ladder = ladder_of(intervention)
    if ladder in FEWER_STEPS:
        return f"fewer steps, {FEWER_STEPS[ladder]}"
    return ladder or intervention


def loss_table(rivalry: Rivalry) -> Table:
    """Every way of saving, a line each."""
    metrics = rivalry.metrics
    lines: list[list[TD | str]] = []
    for name, by in rivalry.trades.items():
        saved = next(iter(by.values())).saved
        lost = [_number(by[m].loss, digits(m)) if m in by else "" for m in metrics]
        lines.append([name, *(_share(saved[a]) for a in SAVINGS), *lost])
    header = ["intervention", *(f"saved {EQUAL[a]}" for a in SAVINGS), *(f"lost {m}" for m in metrics)]
    return Table(f"Savings and losses: {title(rivalry)}", header, lines, compact=True)


def _ratios(rivalry: Rivalry) -> list[Block]:
    caption, header, rows = headline(rivalry)
    if not rows:
        return []
    text = (
        "loss_ratio_vs_fewer_steps is the loss of fewer steps over the method's at the same saving, read off the line "
        "between the tested numbers of steps. It is undefined where either loss cannot be told from none. Where fewer "
        "steps lose nothing (flat), no way of caching can do better."
    )
    return [Prose(text), Table(caption, header, [[str(c) for c in r] for r in rows], compact=True)]


def _choice(rivalry: Rivalry) -> list[Block]:
    rows: list[list[TD | str]] = []
    for metric in rivalry.metrics:
        for s in rivalry.selection(metric):
            rows.append([s.method, metric, _number(s.worth, digits(metric), sign=True), str(s.n_draws)])
    if not rows:
        return []
    text = (
        "The same number of layers with the same freezing times, drawn at random instead of by their convergence. What "
        "choosing is worth is the placebo's loss less the method's: around 0, which layers are frozen does not matter."
    )
    header = ["plan", "measure", "worth", "draws"]
    return [Prose(text), Table("What choosing layers is worth", header, rows, compact=True)]


def _power(rivalry: Rivalry) -> list[Block]:
    rows: list[list[TD | str]] = []
    for name in rivalry.trades:
        for metric, trade in rivalry.trades[name].items():
            least, groups = rivalry.detectable(name, metric)
            n = digits(metric)
            shown = "" if least != least else number(least, n)
            rows.append([name, metric, _number(trade.loss, n, sign=True), TD(shown, number=True), str(groups)])
    if not rows:
        return []
    text = (
        "A loss that cannot be told from none may be none, or too small for this run. Detectable is the least mean "
        "loss that as many groups of items, with losses spread as here, show with probability 0.8 (paired t-test, two "
        "sides, 0.05, not corrected for the number of comparisons)."
    )
    header = ["intervention", "measure", "lost", "detectable", "groups"]
    return [Fold("What this run could have found", [Prose(text), Table("Power", header, rows, compact=True)], False)]


def _share(x: Interval) -> TD:
    return TD(f"{number(100 * x.value, 1)} %", interval(100 * x.low, 100 * x.high, 1), number=True)


def _number(x: Interval, n: int, *, sign: bool = False) -> TD:
    return TD(number(x.value, n, sign=sign), interval(x.low, x.high, n), number=True)
