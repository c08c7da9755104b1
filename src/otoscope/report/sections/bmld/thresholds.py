"""True thresholds of a learned listener, and the BMLD in the psychoacoustic sense."""

from __future__ import annotations

from collections.abc import Sequence

from otoscope.report.figures.curves import Panel, Point, Series, panel_svg
from otoscope.report.figures.style import SUBJECT_COLOURS, Style
from otoscope.report.figures.svg import swatch
from otoscope.report.pick import Pick, last_layer_only
from otoscope.report.section import TD, Block, Entry, Fold, Panels, Prose, Section, Table
from otoscope.report.sections.bmld.study import THRESHOLDS, Study
from otoscope.report.tables import DASH, db_cell, interval, number, percent, plain
from otoscope.results.scoring import Score

_MARKERS = ("o", "s", "^", "D", "v", "P")
_THRESHOLD, _BMLD = "threshold_db", "bmld_threshold_db"


def thresholds(study: Study) -> Section:
    """Tables of thresholds and of their differences, and the points behind them."""
    pick = Pick(last_layer_only(study.run.of_task(THRESHOLDS)))
    if not pick:
        text = "No thresholds were measured (task bmld/threshold): nothing here can be set beside human dB."
        return Section("thresholds", "Thresholds", [Prose(text, "missing")])
    blocks: list[Block] = [
        Prose(
            "A listener learned from the embeddings (standardise, PCA, shrinkage LDA; folds keep noises whole) "
            "says which of two intervals holds the tone. The noises of the intervals are independent, the level "
            "roves. The threshold is where a psychometric function passes the target; N0S0 minus another "
            "configuration is its BMLD. This protocol is ours, the paper has no thresholds. The listener is no "
            "ideal observer: a threshold is an upper bound on what the embedding holds."
        )
    ]
    found = pick.models(_THRESHOLD, _BMLD)
    models = [m for m in (*study.roles.subjects, *study.roles.references, *study.roles.all_twins) if m in found]
    configurations = _configurations(pick)
    frequencies = pick.numbers("frequency_hz", _THRESHOLD)
    blocks.append(_table(pick, models, configurations, frequencies))
    blocks.append(
        Prose(
            "A value with < or > is a bound: the threshold lies outside the tested range, and nothing is "
            "extrapolated. Null is the proportion correct after the labels of the training intervals were "
            "permuted; it should be near 50 %.",
            "note",
        )
    )
    styles = {
        c: Style(SUBJECT_COLOURS[i % len(SUBJECT_COLOURS)], _MARKERS[i % len(_MARKERS)])
        for i, c in enumerate(configurations)
    }
    for i, m in enumerate(models):
        figure = _psychometric(pick, m, f"psy{i}", styles, frequencies)
        blocks.append(Fold(f"{m}: proportion correct against SNR", [figure], shown=i < 2))
    return Section("thresholds", "Thresholds", blocks)


def _configurations(pick: Pick) -> list[str]:
    return list(dict.fromkeys(str(s.factors["configuration"]) for s in pick if "configuration" in s.factors))


def _table(pick: Pick, models: Sequence[str], configurations: Sequence[str], frequencies: Sequence[float]) -> Table:
    rows: list[list[TD | str]] = []
    for m in models:
        for f in frequencies:
            for c in configurations:
                threshold = pick.one(m, _THRESHOLD, frequency_hz=f, configuration=c)
                if threshold is None:
                    continue
                bmld = pick.one(m, _BMLD, frequency_hz=f, configuration=c)
                null = _null(pick, m, f, c)
                rows.append(
                    [
                        m,
                        TD(f"{plain(f)} Hz", number=True),
                        c,
                        db_cell(threshold),
                        TD("reference", number=True) if c == "N0S0" and bmld is None else db_cell(bmld),
                        TD(DASH if null is None else percent(null), number=True),
                        TD(str(threshold.n), number=True),
                    ]
                )
    header = ["model", "tone", "configuration", "threshold (dB SNR)", "BMLD (dB)", "null", "pairs"]
    return Table("Thresholds and threshold differences, with 95 % intervals", header, rows)


def _null(pick: Pick, model: str, frequency: float, configuration: str) -> float | None:
    found = [
        s.value
        for s in pick.all(model, "null_accuracy")
        if s.factors.get("frequency_hz", frequency) == frequency
        and s.factors.get("configuration", configuration) == configuration
        and s.value is not None
    ]
    return sum(found) / len(found) if found else None


def _psychometric(
    pick: Pick, model: str, name: str, styles: dict[str, Style], frequencies: Sequence[float]
) -> Panels | Prose:
    panels = []
    used: dict[str, None] = {}
    for f in frequencies:
        series = []
        for c, style in styles.items():
            points = [
                _point(s) for s in pick.all(model, "accuracy", frequency_hz=f, configuration=c) if s.value is not None
            ]
            if points:
                used[c] = None
                series.append(Series(c, style, points, ""))
        if not series:
            continue
        ticks = sorted({p.x for s in series for p in s.points})
        panel = Panel(
            f"{plain(f)} Hz",
            "SNR (dB)",
            "proportion correct",
            series,
            ticks=ticks[:: -(-len(ticks) // 9)],
            y_limits=(0.35, 1.03),
            y_ticks=(0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
            levels=((0.5, "chance"),),
        )
        alt = f"{model}: proportion correct against SNR at {plain(f)} Hz"
        panels.append(panel_svg(f"{name}-{plain(f)}", alt, panel))
    if not panels:
        return Prose(f"No proportions correct are stored for {model}.", "missing")
    legend = [
        Entry(c, swatch(f"{name}-{c}", styles[c]), note=_thresholds_of(pick, model, c, frequencies)) for c in used
    ]
    return Panels(name, panels, legend, "Points are proportions of held-out pairs, with 95 % intervals.")


def _point(s: Score) -> Point:
    return Point(float(s.factors["snr_db"]), float(s.value or 0.0), s.ci_low, s.ci_high)


def _thresholds_of(pick: Pick, model: str, configuration: str, frequencies: Sequence[float]) -> str:
    parts = []
    for f in frequencies:
        s = pick.one(model, _THRESHOLD, frequency_hz=f, configuration=configuration)
        if s is not None and s.value is not None:
            ends = interval(s.ci_low, s.ci_high)
            parts.append(f"{plain(f)} Hz: {s.bound or ''}{number(s.value)} dB {ends}".strip())
    return "; ".join(parts)
