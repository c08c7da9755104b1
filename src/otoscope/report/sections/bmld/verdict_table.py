"""Every model under the rule, with the figures behind it."""

from __future__ import annotations

from otoscope.report.section import TD, Block, Fold, Prose, Section, Table
from otoscope.report.sections.bmld.findings import TONES_OF_VERDICT, interval_at, ran_at
from otoscope.report.sections.bmld.study import Study
from otoscope.report.tables import DASH, db, number, percent, plain
from otoscope.tasks.bmld.verdict import LOW_FREQUENCY_HZ, MARGIN_DB, PHASE_BLIND, Evidence


def verdict_table(study: Study) -> Section:
    """Every model under the rule, with the figures behind it."""
    blocks: list[Block] = [
        Prose(
            f"The rule is ours, not the paper's. It reads the frequencies up to {plain(LOW_FREQUENCY_HZ)} Hz. "
            f"Phase: the phase-only hybrid keeps an effect above {MARGIN_DB:g} dB, above the null band of the "
            f"model's random-weights twins, above what the phase-blind front end {PHASE_BLIND} shows on the same "
            "stimuli, and above what is left with independent noises. Magnitude texture: an effect that is not "
            "phase. None: every detected point lies inside the margin or the null band, or the effect is as large "
            "with independent noises, where no binaural cue is left. Unresolved: the intervals are too wide. "
            "Undefined: nothing passes the gates."
        )
    ]
    rows = [_row(study.evidence[m], study) for m in study.encoders if m in study.evidence]
    rows += [_broken_row(m, study) for m in (*study.roles.subjects, *study.roles.references) if m in study.broken]
    if rows:
        blocks.append(
            Table("Verdicts, and the figures behind them (dB of eq. 1, gated, with 95 % intervals)", _HEADER, rows)
        )
    else:
        blocks.append(Prose("No model gave a gated curve.", "missing"))
    conditions = study.tones.conditions()
    missing = [name for name in ("phase-only", "magnitude-only") if name not in conditions]
    if missing:
        text = f"Not run: {' and '.join(missing)} hybrids. Without them phase cannot be told from magnitude."
        blocks.append(Prose(text, "missing"))
    twins = [m for m in study.roles.all_twins if m in study.evidence and m not in study.broken]
    if twins:
        rows = [_row(study.evidence[m], study) for m in twins]
        table = Table("Random-weights twins under the same rule", _HEADER, rows)
        blocks.append(Fold(f"Random-weights twins ({len(twins)})", [table]))
    else:
        blocks.append(
            Prose("No random-weights twins were run, so no null band stands behind these verdicts.", "missing")
        )
    return Section("verdicts", "Verdicts", blocks)


def verdicts_at_a_glance(study: Study) -> Table:
    """Verdict, and the ratio with its interval for the whole stimulus and for phase alone: a line per model."""
    rows: list[list[TD | str]] = [
        [
            TD(e.model, sub=_role(e.model, study)),
            TD(e.verdict, tone=TONES_OF_VERDICT[e.verdict]),
            _figure(study, e, "intact", e.intact_db),
            _figure(study, e, "phase-only", e.phase_only_db),
        ]
        for e in (study.evidence[m] for m in study.encoders if m in study.evidence)
    ]
    rows += [[*_broken_row(m, study)[:2], DASH, DASH] for m in study.roles.subjects if m in study.broken]
    return Table(
        "Verdicts (dB of eq. 1, gated, with 95 % intervals)", ("model", "verdict", "intact", "phase only"), rows
    )


_HEADER = (
    "model",
    "verdict",
    "intact",
    "phase only",
    "magnitude only",
    "at",
    "null band",
    "detected",
    "unmasking + reversal",
    "possible cues",
)


def _broken_row(model: str, study: Study) -> list[TD | str]:
    empty = [TD(DASH, number=True) for _ in _HEADER[2:]]
    return [TD(model, sub=_role(model, study)), TD("failed", sub=study.broken[model], tone="bad"), *empty]


def _role(model: str, study: Study) -> str:
    if model in study.roles.subjects:
        return "subject"
    return "reference" if model in study.roles.references else "twin"


def _row(e: Evidence, study: Study) -> list[TD | str]:
    card = study.cards.get(e.model)
    return [
        TD(e.model, sub=_role(e.model, study)),
        TD(e.verdict, sub=e.reason, tone=TONES_OF_VERDICT[e.verdict]),
        _figure(study, e, "intact", e.intact_db),
        _figure(study, e, "phase-only", e.phase_only_db),
        _figure(study, e, "magnitude-only", e.magnitude_only_db),
        TD(DASH) if e.at is None else TD(f"{plain(e.at[0])} Hz", sub=f"{plain(e.at[1])} dB", number=True),
        TD("no twins" if not e.n_twins else "gated", number=True)
        if e.null_band is None
        else TD(f"{db(e.null_band[0])} to {db(e.null_band[1])}", sub=f"n = {e.n_twins}", number=True),
        TD(f"{e.detected}/{e.cells}", number=True),
        TD(f"{percent(e.unmasking)} + {percent(e.reversal)}", number=True),
        TD(DASH if card is None else card.words),
    ]


def _figure(study: Study, e: Evidence, condition: str, value: float | None) -> TD:
    if e.at is None or value is None:
        return TD(DASH, sub="gated" if ran_at(study, e, condition) else "not run", number=True)
    return TD(number(value, sign=True), sub=interval_at(study, e.model, condition, e.at), number=True)
