"""The ratio against SNR, one panel per frequency, and by layer where several were read."""

from __future__ import annotations

from collections.abc import Sequence

from otoscope.report.figures.curves import WIDE, Band, Panel, Point, Series, beyond, panel_svg, shared_limits
from otoscope.report.figures.svg import band_swatch, swatch
from otoscope.report.pick import layers_of
from otoscope.report.section import TD, Block, Entry, Fold, Panels, Prose, Section, Table
from otoscope.report.sections.bmld.study import GATED, RATIO, Study
from otoscope.report.tables import DASH, db, interval, plain
from otoscope.results.scoring import Score

_Y = "ratio of distances (dB)"
_CLOSED = (
    "A line with a shaded 95 % interval is the gated ratio. A thin line with hollow marks is the paper's ratio "
    "where a gate closed it: the distances there are too small for their ratio to mean anything."
)


def against_snr(study: Study) -> Section:
    """One panel per frequency."""
    frequencies = study.curves.numbers("frequency_hz", RATIO, GATED)
    if not frequencies:
        return Section("snr", "Against SNR", [Prose("No tones in noise were run.", "missing")])
    curves = {f: [_curve(study, m, f) for m in study.encoders] for f in frequencies}
    bands = {f: _null_band(study, f) for f in frequencies}
    shown = [s for found in curves.values() for m, s in zip(study.encoders, found, strict=True) if study.shown(m)]
    limits = shared_limits(shown, [b for b in bands.values() if b])
    ticks = _thin(study.curves.numbers("snr_db", RATIO, GATED))
    panels = []
    for f in frequencies:
        panel = _panel(f"{plain(f)} Hz", curves[f], bands[f], ticks, limits)
        panels.append(panel_svg(f"snr{plain(f)}", f"Ratio against SNR at {plain(f)} Hz", panel))
    legend = [legend_entry(study, m, "snr") for m in study.encoders]
    caption = f"{_CLOSED} All panels share one axis."
    if any(bands.values()):
        n = sum(len(study.twins(m)) for m in study.encoders)
        legend.append(
            Entry("random-weights twins", band_swatch("snr-band", "band"), "twins", f"{n}, range of intervals")
        )
    else:
        caption += " No random-weights twins were run, or none passed the gates: there is no null band."
    outside = beyond(shown, limits)
    if outside:
        caption += f" {outside} closed points lie beyond the axis and stand at its edge as triangles."
    blocks: list[Block] = [
        Prose(
            "How much further the tone of opposite polarity (SpiN0) moves the embedding than the tone that is the "
            "same in both ears (S0N0), in dB: 20 log10 of the two distances to the noise alone (eq. 1 of arXiv "
            "2606.14820). All models whose features are compressive return to 0 dB at high SNR, where both tones "
            "move the embedding alike; that decay is no loss of sensitivity."
        ),
        Panels("snr", panels, legend, caption),
        _layers(study),
        Fold("The numbers of these curves", [_numbers(study, f) for f in frequencies]),
    ]
    blocks += [
        Prose(f"Also run with other parameters: {v}. Its rungs are in the ladder.", "note") for v in study.variants[1:]
    ]
    return Section("snr", "Against SNR", blocks)


def one_curve(study: Study, model: str, frequency: float) -> Panels:
    """A model's curve at one frequency with what it is read against: the figure beside its finding."""
    models = [model, *(m for m in study.encoders if m != model and m in study.roles.references and study.shown(m))]
    curves, band = [_curve(study, m, frequency) for m in models], _null_band(study, frequency)
    ticks = _thin(study.curves.numbers("snr_db", RATIO, GATED))
    limits = shared_limits(curves, [band] if band else [])
    title = f"{plain(frequency)} Hz, intact stimulus"
    svg = panel_svg("finding", f"{model} at {plain(frequency)} Hz", _panel(title, curves, band, ticks, limits), WIDE)
    legend = [
        Entry(m, swatch(f"finding-{study.series(m)}", study.styles[m]), "", "" if m == model else "reference")
        for m in models
    ]
    if band:
        legend.append(Entry("random-weights twins", band_swatch("finding-band", "band")))
    return Panels("finding", [svg], legend, "The gated ratio with its 95 % interval. At 0 dB both tones act alike.")


def _panel(
    title: str, curves: Sequence[Series], band: Band | None, ticks: Sequence[float], limits: tuple[float, float]
) -> Panel:
    return Panel(title, "SNR (dB)", _Y, curves, [band] if band else [], ticks=ticks, y_limits=limits)


def _curve(study: Study, model: str, frequency: float) -> Series:
    points = []
    for s in study.curves.all(model, RATIO, frequency_hz=frequency):
        if s.value is None:
            continue
        gated = study.curves.one(model, GATED, frequency_hz=frequency, snr_db=s.factors["snr_db"])
        x = float(s.factors["snr_db"])
        if gated is not None and gated.value is not None:
            points.append(Point(x, gated.value, gated.ci_low, gated.ci_high))
        else:
            points.append(Point(x, s.value, trusted=False))
    return Series(model, study.styles[model], points, study.series(model))


def _null_band(study: Study, frequency: float) -> Band | None:
    """Lowest to highest end of the intervals of all twins at each SNR, where they pass the gates."""
    ends: dict[float, list[float]] = {}
    for m in study.encoders:
        for twin in study.twins(m):
            for s in study.curves.all(twin, GATED, frequency_hz=frequency):
                if s.value is not None:
                    found = [v for v in (s.value, s.ci_low, s.ci_high) if v is not None]
                    ends.setdefault(float(s.factors["snr_db"]), []).extend(found)
    if not ends:
        return None
    x = sorted(ends)
    return Band(x, [min(ends[v]) for v in x], [max(ends[v]) for v in x], series="twins")


def legend_entry(study: Study, model: str, figure: str) -> Entry:
    """A model's line in the legend of ``figure``; it hides the model's curves."""
    note = "" if model in study.roles.subjects else "reference"
    name = f"{figure}-{study.series(model)}"
    return Entry(model, swatch(name, study.styles[model]), study.series(model), note, study.shown(model))


def _thin(ticks: Sequence[float], most: int = 8) -> list[float]:
    """At most ``most`` ticks, evenly picked from the tested values."""
    step = -(-len(ticks) // most)
    return list(ticks[::step])


def _numbers(study: Study, frequency: float) -> Table:
    snrs = study.curves.numbers("snr_db", RATIO, GATED)
    rows: list[list[TD | str]] = []
    for m in [*study.encoders, *study.roles.all_twins]:
        if not study.curves.all(m, RATIO, frequency_hz=frequency):
            continue
        row: list[TD | str] = [m]
        for snr in snrs:
            ungated = study.curves.one(m, RATIO, frequency_hz=frequency, snr_db=snr)
            gated = study.curves.one(m, GATED, frequency_hz=frequency, snr_db=snr)
            row.append(_number(gated, ungated))
        rows.append(row)
    return Table(
        f"{plain(frequency)} Hz: the ratio in dB by SNR (in brackets: a gate closed it)",
        ["model", *(f"{plain(s)} dB" for s in snrs)],
        rows,
        compact=True,
    )


def _number(gated: Score | None, ungated: Score | None) -> TD:
    if gated is not None and gated.value is not None:
        return TD(db(gated.value), sub=interval(gated.ci_low, gated.ci_high), number=True)
    if ungated is None or ungated.value is None:
        return TD(DASH, number=True)
    return TD(f"({db(ungated.value)})", number=True)


def _layers(study: Study) -> Block:
    """The ratio by layer, averaged over the tested SNRs, one panel per frequency."""
    layers = {m: [x for x in found if isinstance(x, int | float)] for m, found in layers_of(study.layered).items()}
    layers = {m: found for m, found in layers.items() if len(found) > 1 and m in study.encoders}
    if not layers:
        return Prose("One layer per model was read; run with layer=all for a curve over layers.", "note")
    metric = "delta_mean_ungated_db"
    found = [s for s in study.layered if s.metric == metric and s.condition == "intact" and s.value is not None]
    panels = []
    for f in sorted({float(s.factors["frequency_hz"]) for s in found}):
        series = [
            Series(
                m,
                study.styles[m],
                [_layer_point(s) for s in found if s.model == m and s.factors["frequency_hz"] == f and _numbered(s)],
                study.series(m),
            )
            for m in layers
            if m in study.styles
        ]
        ticks = _thin(sorted({p.x for s in series for p in s.points}))
        panel = Panel(f"{plain(f)} Hz", "layer", _Y, series, ticks=ticks, y_limits=shared_limits(series))
        panels.append(panel_svg(f"layer{plain(f)}", f"Ratio by layer at {plain(f)} Hz", panel))
    legend = [legend_entry(study, m, "layer") for m in layers if m in study.styles]
    return Panels(
        "layers", panels, legend, "The ratio by layer: mean over the tested SNRs, no gate, with 95 % intervals."
    )


def _numbered(score: Score) -> bool:
    return isinstance(score.factors.get("layer"), int | float)


def _layer_point(s: Score) -> Point:
    return Point(float(s.factors["layer"]), float(s.value or 0.0), s.ci_low, s.ci_high)
