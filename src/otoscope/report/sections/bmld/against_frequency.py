"""The ratio against frequency, beside what EC and people give: two figures, because they are two quantities."""

from __future__ import annotations

from collections.abc import Sequence

from otoscope.report.figures.curves import WIDE, Panel, Point, Series, panel_svg, shared_limits
from otoscope.report.section import TD, Block, Columns, Fold, Panels, Prose, Section, Table
from otoscope.report.sections.bmld.against_snr import legend_entry
from otoscope.report.sections.bmld.sources import Source, sources, unlike
from otoscope.report.sections.bmld.study import Study
from otoscope.report.tables import DASH, db, db_cell, interval, plain

_MEAN = "delta_mean_ungated_db"


def against_frequency(study: Study) -> Section:
    """Ratios on the left, threshold differences on the right."""
    blocks: list[Block] = [
        Prose(
            "Two quantities that share a unit and nothing else. One figure has the ratio of embedding distances, "
            "averaged over the tested SNRs. The other has differences of detection thresholds, N0S0 minus N0Spi: "
            "of people, of models of equalisation and cancellation (EC), and of listeners that learned from "
            "embeddings. Neither can be read on the axis of the other.",
            "caution",
        )
    ]
    found = sources(study)
    frequencies = study.curves.numbers("frequency_hz", _MEAN)
    ratio = _ratio(study, frequencies) if frequencies else Prose("No tones in noise were run.", "missing")
    blocks.append(Columns([ratio, _thresholds(found)]))
    blocks += unlike(study)
    tables: list[Block] = [_ratio_table(study, frequencies)] if frequencies else []
    blocks.append(Fold("The numbers of these curves", [*tables, _threshold_table(found)]))
    return Section("frequency", "Against frequency", blocks)


def _ratio(study: Study, frequencies: Sequence[float]) -> Panels:
    series = [Series(m, study.styles[m], _points(study, m), study.series(m)) for m in study.encoders]
    shown = [s for m, s in zip(study.encoders, series, strict=True) if study.shown(m)]
    panel = Panel(
        "Embedding distances",
        "tone (Hz)",
        "ratio of distances (dB)",
        series,
        ticks=frequencies,
        logarithmic=True,
        y_limits=shared_limits(shown),
    )
    figure = panel_svg("freq", "Ratio of distances against frequency", panel, WIDE)
    legend = [legend_entry(study, m, "freq") for m in study.encoders]
    caption = "Mean over the tested SNRs with 95 % intervals, as the paper's Figure 1a. No gate acts here; see above."
    return Panels("frequency", [figure], legend, caption)


def _points(study: Study, model: str) -> list[Point]:
    return [
        Point(float(s.factors["frequency_hz"]), s.value, s.ci_low, s.ci_high)
        for s in study.curves.all(model, _MEAN)
        if s.value is not None
    ]


def _thresholds(found: Sequence[Source]) -> Panels:
    ticks = sorted({p.x for s in found for p in s.series.points})
    panel = Panel(
        "Detection thresholds",
        "tone (Hz)",
        "BMLD: threshold difference (dB)",
        [s.series for s in found],
        ticks=ticks,
        logarithmic=True,
    )
    figure = panel_svg("bmld", "Threshold differences against frequency", panel, WIDE)
    caption = (
        "Triangles are bounds: a threshold lay outside the tested range. With narrow maskers, BMLDs of people at 2 and "
        "4 kHz rest on the envelope and prove no coding of fine structure."
    )
    return Panels("thresholds-by-frequency", [figure], [s.entry for s in found], caption)


def _ratio_table(study: Study, frequencies: Sequence[float]) -> Table:
    rows: list[list[TD | str]] = [
        [m, *(db_cell(study.curves.one(m, _MEAN, frequency_hz=f)) for f in frequencies)] for m in study.encoders
    ]
    header = ["model", *(f"{plain(f)} Hz" for f in frequencies)]
    return Table("Ratio of embedding distances, mean over SNR, no gate (dB)", header, rows, compact=True)


def _threshold_table(found: Sequence[Source]) -> Table:
    xs = sorted({p.x for s in found for p in s.series.points})
    rows: list[list[TD | str]] = []
    for s in found:
        by_x = {p.x: p for p in s.series.points}
        rows.append([TD(s.series.label, sub=s.about), *(_td(by_x.get(x)) for x in xs)])
    header = ["source", *(f"{plain(x)} Hz" for x in xs)]
    return Table("Threshold differences, N0S0 minus N0Spi (dB)", header, rows, compact=True)


def _td(p: Point | None) -> TD:
    if p is None:
        return TD(DASH, number=True)
    return TD(f"{p.bound or ''}{db(p.y)}", sub=interval(p.low, p.high), number=True)
