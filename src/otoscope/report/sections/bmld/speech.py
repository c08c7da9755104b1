"""Speech through rooms, beside tones."""

from __future__ import annotations

from collections.abc import Sequence

from otoscope.report.figures.curves import Panel, Point, Series, panel_svg, shared_limits
from otoscope.report.figures.svg import swatch
from otoscope.report.pick import Pick, last_layer_only
from otoscope.report.section import TD, Bar, Block, Entry, Fold, Panels, Prose, Section, Table
from otoscope.report.sections.bmld.study import GATED, RATIO, SPEECH, Study
from otoscope.report.tables import DASH, db_cell, percent
from otoscope.results.scoring import Score

_SHARES = ("unmasking_share", "reversal_share", "unmasking_share_ungated", "reversal_share_ungated", "detected_share")


def speech(study: Study) -> Section:
    """Detection rates beside those of tones, and the ratio by room and SNR."""
    title = "Speech through rooms"
    pick = Pick(last_layer_only(study.run.of_task(SPEECH)))
    if not pick:
        return Section("speech", title, [Prose("Speech through rooms was not run (task bmld/speech).", "missing")])
    blocks: list[Block] = [
        Prose(
            "The target is speech as two ears hear it in a room, so the reference target is not the same in both ears; "
            "the noise is. A significant cell of speech says little about phase, because speech carries envelope "
            "cues in every band. Speech and tones do not share a scale."
        )
    ]
    models = [m for m in [*study.encoders, *pick.models()] if m in pick.models(RATIO, GATED)]
    models = [m for m in dict.fromkeys(models) if m not in study.roles.all_twins]
    blocks.append(_rates(study, pick, models))
    rooms, snrs = pick.words("room"), pick.numbers("snr_db", RATIO, GATED)
    conditions = [c for c in pick.conditions() if c != "intact"]
    if rooms and "intact" in pick.conditions():
        blocks.append(_curves(study, pick, models, rooms, snrs))
    if conditions:
        blocks.append(_other_conditions(pick, models, ["intact", *conditions]))
    else:
        blocks.append(
            Prose(
                "Speech was run intact only: no fine structure or envelope was removed, so its cue is open.", "missing"
            )
        )
    return Section("speech", title, blocks)


def _rates(study: Study, pick: Pick, models: Sequence[str]) -> Table:
    rows: list[list[TD | str]] = [
        [m, *_shares(study.tones, m), *_shares(pick, m)] for m in models if pick.all(m, RATIO) or pick.all(m, GATED)
    ]
    header = [
        "model",
        "tones: unmasking + reversal",
        "tones: ungated",
        "tones: cells passing",
        "speech: unmasking + reversal",
        "speech: ungated",
        "speech: cells passing",
    ]
    return Table("Shares of cells, intact stimulus", header, rows)


def _shares(pick: Pick, model: str, condition: str = "intact") -> list[TD]:
    found = {metric: pick.one(model, metric, condition) for metric in _SHARES}
    if all(s is None for s in found.values()):
        return [TD("not run"), TD("not run"), TD("not run", number=True)]
    value = {metric: None if s is None else s.value for metric, s in found.items()}
    return [
        _bar(value["unmasking_share"], value["reversal_share"], False),
        _bar(value["unmasking_share_ungated"], value["reversal_share_ungated"], True),
        TD(percent(value["detected_share"]), number=True),
    ]


def _bar(up: float | None, down: float | None, hollow: bool) -> TD:
    if up is None or down is None:
        return TD(DASH)
    return TD(f"{percent(up)} + {percent(down)}", bars=(Bar(up, down, hollow),))


def _curves(
    study: Study, pick: Pick, models: Sequence[str], rooms: Sequence[str], snrs: Sequence[float]
) -> Panels | Prose:
    drawn = [m for m in models if m in study.styles]
    curves = {
        room: [Series(m, study.styles[m], _points(pick, m, room), study.series(m)) for m in drawn] for room in rooms
    }
    shown = [s for found in curves.values() for m, s in zip(drawn, found, strict=True) if study.shown(m)]
    limits = shared_limits(shown)
    panels = []
    for i, room in enumerate(rooms):
        panel = Panel(room, "SNR (dB)", "ratio of distances (dB)", curves[room], ticks=snrs, y_limits=limits)
        panels.append(panel_svg(f"room{i}", f"Ratio against SNR, {room}", panel))
    legend = [
        Entry(
            m,
            swatch(f"room-{study.series(m)}", study.styles[m]),
            study.series(m),
            "" if m in study.roles.subjects else "reference",
            study.shown(m),
        )
        for m in drawn
    ]
    caption = (
        "As above: the gated ratio with its 95 % interval; thin and hollow where a gate closed it. Panels are rooms, "
        "with the talker's angle."
    )
    return Panels("rooms", panels, legend, caption)


def _points(pick: Pick, model: str, room: str) -> list[Point]:
    points = []
    for s in pick.all(model, RATIO, room=room):
        if s.value is None:
            continue
        gated = pick.one(model, GATED, room=room, snr_db=s.factors["snr_db"])
        x = float(s.factors["snr_db"])
        if gated is not None and gated.value is not None:
            points.append(Point(x, gated.value, gated.ci_low, gated.ci_high))
        else:
            points.append(Point(x, s.value, trusted=False))
    return points


def _other_conditions(pick: Pick, models: Sequence[str], conditions: Sequence[str]) -> Block:
    tables: list[Block] = []
    for m in models:
        ran = [c for c in conditions if pick.all(m, RATIO, c)]
        if len(ran) < 2:
            continue
        rooms = pick.words("room")
        rows: list[list[TD | str]] = [
            [c, *_shares(pick, m, c), *(_mean_cell(pick, m, c, r) for r in rooms)] for c in ran
        ]
        header = ["condition", "unmasking + reversal", "ungated", "cells passing", *rooms]
        tables.append(
            Table(f"{m}: speech under other conditions; by room the mean ratio over SNR, ungated (dB)", header, rows)
        )
    return Fold("Speech with fine structure, envelope or one cue removed", tables, shown=True)


def _mean_cell(pick: Pick, model: str, condition: str, room: str) -> TD:
    score: Score | None = pick.one(model, "delta_mean_ungated_db", condition, room=room)
    return db_cell(score)
