"""The verdicts of the subjects in plain words, with what each does not say."""

from __future__ import annotations

from otoscope.report.section import Block, Columns, Finding, Findings, Prose, Section, Tone
from otoscope.report.sections.bmld.against_snr import one_curve
from otoscope.report.sections.bmld.study import GATED, Study
from otoscope.report.tables import db, interval, plain
from otoscope.tasks.bmld.verdict import LOW_FREQUENCY_HZ, MARGIN_DB, Evidence, Point

TONES_OF_VERDICT: dict[str, Tone] = {
    "phase": "good",
    "magnitude texture": "warn",
    "none": "plain",
    "unresolved": "plain",
    "undefined": "bad",
}

_SAYS = {
    "phase": "The embedding carries interaural phase: it still tells the two tones apart when the ears differ in "
    "nothing else.",
    "magnitude texture": "The embedding responds, but no response to interaural phase alone was shown.",
    "none": "No effect of the relation between the ears: what there is stays inside the margin or the null band, or is "
    "as large when the noises of the two ears are independent.",
    "unresolved": "This run cannot tell.",
    "undefined": "There is no ratio to read: the gates closed every point at or below 1 kHz.",
}

NOT = "What this does not say: "
_CAVEATS = {
    "phase": NOT
    + "that the model hears as people do, or uses phase in any task. A ratio of distances is no threshold, "
    "and its dB are not the dB of human unmasking.",
    "magnitude texture": NOT
    + "that the model never uses interaural phase. A response to it may be smaller than this run "
    "can show, or lie in another layer or under another pooling.",
    "none": NOT + "that phase is absent inside the model. Averaging over channels or time can cancel a code that the "
    "layer holds; this covers one layer, one pooling and these stimuli.",
    "unresolved": NOT + "anything about phase, in either direction.",
    "undefined": NOT + "that the effect is zero. Distances too small to measure have a ratio, and it can be large, but "
    "it is rounding or noise.",
}


def findings(study: Study) -> Section:
    """One finding per subject, and what the references say about the instrument."""
    blocks: list[Block] = []
    leads = [m for m in study.leads if m in study.evidence]
    broken = [m for m in study.roles.subjects if m in study.broken]
    if not set(leads) & set(study.roles.subjects):
        blocks.append(
            Prose("No subject model gave distances in this run; below are the reference front ends.", "missing")
        )
    if broken:
        blocks.append(Findings([_failed(m, study) for m in broken]))
    if leads:
        found = Findings([finding(study.evidence[m], study) for m in leads])
        at = study.evidence[leads[0]].at if len(leads) == 1 else None
        blocks.append(Columns([found, one_curve(study, leads[0], at[0])]) if at else found)
    else:
        blocks.append(Prose("No model gave a curve for tones in noise, so there is no verdict.", "missing"))
    checks = [study.evidence[m] for m in study.encoders if m in study.roles.references and m not in leads]
    if checks:
        told = "; ".join(f"{e.model}: {e.verdict}" for e in checks)
        blocks.append(Prose(f"The references under the same rule, as a check of the instrument. {told}.", "note"))
    return Section("finding", "Finding", blocks)


def _failed(model: str, study: Study) -> Finding:
    facts = [("why", study.broken[model])]
    caveat = f"{NOT}anything about the model."
    return Finding(model, "failed", "bad", "no figure", "None of its items could be answered.", facts, caveat)


def finding(e: Evidence, study: Study) -> Finding:
    """A verdict in words, with its figure and interval."""
    key_db, key_condition = (e.phase_only_db, "phase-only") if e.verdict == "phase" else (e.intact_db, "intact")
    figure = "no figure"
    if key_db is not None and e.at is not None:
        ends = interval_at(study, e.model, key_condition, e.at)
        figure = f"{db(key_db)} dB {ends}".strip()
    return Finding(
        e.model, e.verdict, TONES_OF_VERDICT[e.verdict], figure, _SAYS[e.verdict], _facts(e, study), _CAVEATS[e.verdict]
    )


def _facts(e: Evidence, study: Study) -> list[tuple[str, str]]:
    found = [("why", e.reason)]
    if e.at is not None:
        found.append(("read at", f"{plain(e.at[0])} Hz, {plain(e.at[1])} dB SNR"))
        for name, condition, value in (
            ("intact", "intact", e.intact_db),
            ("phase alone", "phase-only", e.phase_only_db),
            ("magnitude alone", "magnitude-only", e.magnitude_only_db),
        ):
            found.append((name, _stated(study, e, condition, value)))
    found += _independent_noises(e, study)
    found.append(("null band", _band(e)))
    failed = sum(f.n_failed for f in study.run.failures if f.model == e.model)
    if failed:
        found.append(("failed items", f"{failed}; these figures stand on the rest"))
    if e.verdict == "none":
        found += _smallest(e, study)
    card = study.cards.get(e.model)
    if card is not None and card.cues is not None:
        ear = "; one channel, so zero is by construction" if card.one_ear else ""
        found.append(("possible cues", f"{card.words}{ear}"))
    return found


def _independent_noises(e: Evidence, study: Study) -> list[tuple[str, str]]:
    """The control with independent noises in the two ears: every binaural cue is gone, the ratio should be 0."""
    if e.at is None:
        return []
    s = study.tones.one(e.model, GATED, "nu-masker", frequency_hz=e.at[0], snr_db=e.at[1])
    if s is None or s.value is None:
        return []
    apart = (s.ci_low or 0.0) > MARGIN_DB or (s.ci_high or 0.0) < -MARGIN_DB
    warning = "; it should be 0: something other than the relation of the ears acts here" if apart else ""
    return [("independent noises", f"{_stated(study, e, 'nu-masker', s.value)}{warning}")]


def _stated(study: Study, e: Evidence, condition: str, value: float | None) -> str:
    if value is not None and e.at is not None:
        return f"{db(value)} dB {interval_at(study, e.model, condition, e.at)}".strip()
    return "closed by a gate" if ran_at(study, e, condition) else "not run there"


def ran_at(study: Study, e: Evidence, condition: str) -> bool:
    """Whether a condition was run at the point a verdict was read at (at all, where there is no such point)."""
    if e.at is None:
        return bool(study.tones.all(e.model, GATED, condition))
    return study.tones.one(e.model, GATED, condition, frequency_hz=e.at[0], snr_db=e.at[1]) is not None


def _band(e: Evidence) -> str:
    if e.null_band is not None:
        twins = f"{e.n_twins} random-weights twin{'s' if e.n_twins > 1 else ''}"
        return f"{db(e.null_band[0])} to {db(e.null_band[1])} dB ({twins})"
    if e.n_twins:
        return "none: no point of the random-weights twins passed the gates"
    return f"none: no random-weights twins were run, so only the margin of {MARGIN_DB:g} dB stands"


def _smallest(e: Evidence, study: Study) -> list[tuple[str, str]]:
    found = [
        s.value
        for s in study.curves.all(e.model, "smallest_detectable_db")
        if s.value is not None and float(s.factors.get("frequency_hz", 0.0)) <= LOW_FREQUENCY_HZ
    ]
    return [("could have found", f"an effect of {max(found):.1f} dB")] if found else []


def interval_at(study: Study, model: str, condition: str, at: Point) -> str:
    s = study.tones.one(model, GATED, condition, frequency_hz=at[0], snr_db=at[1])
    return "" if s is None else interval(s.ci_low, s.ci_high, sign=True)
