"""True thresholds of a learned listener, and the BMLD in the psychoacoustic sense."""

from __future__ import annotations

import math
from collections.abc import Sequence

from otoscope.core.naming import parse_spec
from otoscope.report.figures.curves import Panel, Point, Series, panel_svg
from otoscope.report.figures.style import SUBJECT_COLOURS, Style
from otoscope.report.figures.svg import swatch
from otoscope.report.pick import Pick, last_layer_only
from otoscope.report.section import TD, Block, Entry, Fold, Panels, Prose, Section, Table
from otoscope.report.sections.bmld.study import THRESHOLDS, Study
from otoscope.report.tables import DASH, db_cell, percent, plain
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
            "ideal observer: a better readout of the same embedding could hear more."
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
            "permuted; over many permutations it is 50 %, but a few of them scatter widely for a listener with one "
            "variable.",
            "note",
        )
    )
    styles = {
        c: Style(SUBJECT_COLOURS[i % len(SUBJECT_COLOURS)], _MARKERS[i % len(_MARKERS)])
        for i, c in enumerate(configurations)
    }
    if not any("floor_db" in parse_spec(s.task).params for s in pick):
        blocks.append(
            Prose(
                "No interaural floor was set, so N0 is the same in both ears to the last bit. A front end that "
                "sees the phase between the ears then finds any deviation, however faint, and its threshold for "
                "N0Spi says little. Set floor_db for thresholds that can be set beside those of people.",
                "caution",
            )
        )
    own = [m for m in models if m not in study.roles.all_twins]
    blocks.append(_psychometric(pick, own, "psy", styles, frequencies))
    twins = [m for m in models if m not in own]
    if twins:
        blocks.append(
            Fold(f"Random-weights twins ({len(twins)})", [_psychometric(pick, twins, "psyt", styles, frequencies)])
        )
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
    pick: Pick, models: Sequence[str], name: str, styles: dict[str, Style], frequencies: Sequence[float]
) -> Panels | Prose:
    """One panel per model and tone; the configurations are its curves."""
    found: dict[str, list[Series]] = {}
    for m in models:
        for f in frequencies:
            series = [
                Series(c, style, points, f"c{i}")
                for i, (c, style) in enumerate(styles.items())
                if (points := _points(pick, m, f, c))
            ]
            if series:
                found[f"{m}, {plain(f)} Hz"] = series
    if not found:
        return Prose("No proportions correct are stored.", "missing")
    every = [p for all_series in found.values() for s in all_series for p in s.points]
    lowest = min([0.4, *(p.y if p.low is None else p.low for p in every)])
    bottom = math.floor(10.0 * lowest) / 10.0
    xs = sorted({p.x for p in every})
    panels = []
    for i, (title, series) in enumerate(found.items()):
        panel = Panel(
            "",
            "SNR (dB)",
            "proportion correct",
            series,
            ticks=xs[:: -(-len(xs) // 9)],
            y_limits=(bottom - 0.02, 1.03),
            y_ticks=[t / 10.0 for t in range(round(10 * bottom), 11, 2 if bottom < 0.3 else 1)],
            levels=((0.5, "chance"),),
        )
        panels.append(panel_svg(f"{name}{i}", f"{title}: proportion correct against SNR", panel))
    used = list(dict.fromkeys(s.label for all_series in found.values() for s in all_series))
    legend = [Entry(c, swatch(f"{name}-{i}", styles[c]), f"c{list(styles).index(c)}") for i, c in enumerate(used)]
    return Panels(name, panels, legend, "Points are proportions of held-out pairs, with 95 % intervals.", list(found))


def _points(pick: Pick, model: str, frequency: float, configuration: str) -> list[Point]:
    found = pick.all(model, "accuracy", frequency_hz=frequency, configuration=configuration)
    return [_point(s) for s in found if s.value is not None]


def _point(s: Score) -> Point:
    return Point(float(s.factors["snr_db"]), float(s.value or 0.0), s.ci_low, s.ci_high)
