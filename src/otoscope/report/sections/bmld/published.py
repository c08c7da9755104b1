"""The paper's values beside the measured ones."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from otoscope.core.naming import parse_spec
from otoscope.report.figures.curves import WIDE, Band, Panel, Point, Series, panel_svg
from otoscope.report.figures.style import subject_styles
from otoscope.report.figures.svg import band_swatch, swatch
from otoscope.report.pick import Pick, last_layer_only
from otoscope.report.section import TD, Block, Columns, Entry, Fold, Panels, Prose, Section, Table
from otoscope.report.sections.bmld.literature import paper
from otoscope.report.sections.bmld.study import RATIO, SPEECH, Study
from otoscope.report.tables import DASH, db, db_cell, interval, percent, plain
from otoscope.results.scoring import Score

#: The paper's name of a model -> how registered names of it begin. Only EC is a formula; the rest needs weights.
_NAMES = {
    "EC": ("ec-chen2026",),
    "HuBERT-Large": ("hubert-large",),
    "WavLM-Large": ("wavlm-large",),
    "Wav2Vec2-Large": ("wav2vec2-large",),
    "DAC": ("dac",),
    "EnCodec": ("encodec",),
    "WavJEPA": ("wavjepa",),
    "GRAM-T": ("gram",),
    "Spatial-AST": ("spatial-ast", "spatialast"),
    "DSpAST": ("dspast",),
}


def published(study: Study) -> Section:
    """What the paper printed, and what this run measured where it ran the same models."""
    ran = {name: found for name in _NAMES if (found := measured_as(study, name))}
    models = {name for name in ran if name != "EC"}
    data = paper()
    blocks: list[Block] = [
        Prose(f"{data['source']}. {_sentence(data['licence'])}.", "note"),
        Prose(
            "Nothing is claimed as reproduced here unless the published weights ran, on the paper's grid. Not "
            f"published, and so chosen by us: {', '.join(data['not_published'])}."
        ),
    ]
    tables: list[Block] = [_main(study, ran), _by_frequency(study, ran), _ablations(data), _curves(data)]
    if models:
        blocks.append(Prose(f"Models of the paper in this run: {', '.join(sorted(models))}."))
        blocks += tables
    else:
        blocks.append(Prose("None of the paper's models ran in this run (only formulae can be compared).", "missing"))
        blocks.append(Fold("The published values", tables))
    return Section("published", "Published values", blocks)


def measured_as(study: Study, name: str) -> list[str]:
    """Models of the run that go by a name of the paper. Random weights and twins are not the paper's models."""
    candidates = [*study.encoders, *study.tones.models("ec_bmld_db")]
    found = []
    for m in dict.fromkeys(candidates):
        spec = parse_spec(m)
        last = re.split(r"[/\\]", spec.name)[-1].lower()
        if spec.params.get("init") != "random" and last.startswith(_NAMES[name]):
            found.append(m)
    return found


def _main(study: Study, ran: Mapping[str, Sequence[str]]) -> Table:
    table = paper()["table_main"]
    n = table["cells"]
    spoken = Pick(last_layer_only(study.run.of_task(SPEECH)))
    rows: list[list[TD | str]] = []
    for r in table["rows"]:
        name = r["model"]
        tones, speech = r["significant_tone_cells"], r["significant_speech_cells"]
        mark = " *" if r["fdr_significant"] else ""
        rows.append(
            [
                name,
                TD(f"{db(r['delta_db_500hz_minus14db'])}{mark}", number=True),
                _measured(study, name, ran),
                TD(DASH if tones is None else f"{tones}/{n}", number=True),
                _measured_shares(study.curves, ran.get(name, ()), name),
                TD(DASH if speech is None else f"{speech}/{n}", number=True),
                _measured_shares(spoken, ran.get(name, ()), name),
            ]
        )
    header = [
        "model",
        "published",
        "measured",
        "published tone cells",
        "measured",
        "published speech cells",
        "measured",
    ]
    return Table(
        "At 500 Hz and \N{MINUS SIGN}14 dB SNR, in dB (* significant in the paper), and shares of significant cells, "
        f"ungated as in the paper. {_sentence(table['note'])}.",
        header,
        rows,
    )


def _measured(study: Study, name: str, ran: Mapping[str, Sequence[str]]) -> TD:
    if name == "EC":
        return _joined([_score(study, m, "ec_bmld_db", 500) for m in ran.get(name, ())])
    return _joined([study.curves.one(m, RATIO, frequency_hz=500, snr_db=-14) for m in ran.get(name, ())])


def _score(study: Study, model: str, metric: str, frequency: float) -> Score | None:
    return study.tones.one(model, metric, frequency_hz=frequency)


def _joined(scores: Sequence[Score | None]) -> TD:
    found = [s for s in scores if s is not None and s.value is not None]
    if not found:
        return TD("not run", number=True)
    if len(found) == 1:
        return db_cell(found[0])
    texts = [f"{s.model}: {db(s.value)} {interval(s.ci_low, s.ci_high)}".strip() for s in found]
    return TD("; ".join(texts))


def _measured_shares(pick: Pick, models: Sequence[str], name: str) -> TD:
    if name == "EC":
        return TD(DASH, number=True)
    texts = []
    for m in models:
        up, down = (pick.one(m, f"{kind}_share_ungated") for kind in ("unmasking", "reversal"))
        if up is not None and down is not None and up.value is not None and down.value is not None:
            note = f" {up.note}" if up.note else ""
            texts.append(f"{percent(up.value + down.value)}{note}")
    return TD("; ".join(texts) or "not run", number=True)


def _by_frequency(study: Study, ran: Mapping[str, Sequence[str]]) -> Table:
    series = [s for s in paper()["series"] if s["figure"] == "1a"]
    frequencies = series[0]["frequencies_hz"]
    rows: list[list[TD | str]] = []
    for s in series:
        rows.append([TD(s["model"], sub="published"), *(TD(db(v), number=True) for v in s["values"])])
        metric = "ec_bmld_db" if s["model"] == "EC" else "delta_mean_ungated_db"
        for m in ran.get(s["model"], ()):
            cells = (_score(study, m, metric, f) for f in frequencies)
            rows.append([TD(m, sub="measured"), *(db_cell(c) for c in cells)])
    return Table(
        "The paper's Figure 1a by frequency (dB). Rows EC and Human are threshold differences, the others ratios of "
        "distances averaged over SNR: two quantities on one axis, in the paper.",
        ["series", *(f"{plain(f)} Hz" for f in frequencies)],
        rows,
    )


def _ablations(data: Mapping[str, Any]) -> Table:
    table = data["table_ablations"]
    rows: list[list[TD | str]] = []
    for r in table["rows"]:
        up, down, total = (r[f"{k}_percent"] for k in ("unmasking", "reversal", "total"))
        split = "not found" if up is None else f"{up} % + {down} %"
        rows.append([r["model"], r["condition"], TD(split, number=True), TD(f"{total} %", number=True)])
    caption = (
        f"Published ablations: share of {table['cells']} cells with a significant response (no gates; the totals "
        "are no accuracies). Measured shares are in the ladder above."
    )
    return Table(caption, ["model", "rung", "unmasking + reversal", "total"], rows)


def _curves(data: Mapping[str, Any]) -> Block:
    models = list(dict.fromkeys(s["model"] for s in data["series"] if s["model"] not in ("EC", "Human")))
    styles = subject_styles(models)
    figures = []
    for figure, axis, title, label in (
        ("1a", "frequencies_hz", "Figure 1a: mean over SNR", "tone (Hz)"),
        ("1b", "snrs_db", "Figure 1b: 500 Hz", "SNR (dB)"),
    ):
        series = [
            Series(s["model"], styles[s["model"]], _points(s[axis], s["values"]), f"p{models.index(s['model'])}")
            for s in data["series"]
            if s["figure"] == figure and s["model"] in styles
        ]
        xs = sorted({p.x for s in series for p in s.points})
        low, high = data["phase_blind_zone_db"][f"fig{figure}"]
        zone = Band([xs[0], xs[-1]], [low, low], [high, high])
        ticks = xs if figure == "1a" else xs[::4]
        panel = Panel(title, label, "ratio of distances (dB)", series, [zone], ticks=ticks, logarithmic=figure == "1a")
        svg = panel_svg(f"published{figure}", f"Published {title}", panel, WIDE)
        legend = [Entry(m, swatch(f"pub{figure}-{i}", styles[m]), f"p{i}") for i, m in enumerate(models)]
        legend.append(Entry("the paper's phase-blind zone", band_swatch(f"pub{figure}-zone", "band")))
        figures.append(Panels(f"published-{figure}", [svg], legend))
    return Columns(figures)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _points(xs: Sequence[float], values: Sequence[float | None]) -> list[Point]:
    return [Point(float(x), v) for x, v in zip(xs, values, strict=True) if v is not None]
