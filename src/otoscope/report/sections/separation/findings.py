"""Who saves better, in a sentence per setting."""

from __future__ import annotations

from collections import Counter

from otoscope.report.section import Finding, Findings, Prose, Section, Tone
from otoscope.tasks.separation.findings import EQUAL, title
from otoscope.tasks.separation.study import SAVINGS, Rivalry, Study

_CAVEAT = (
    "Items are the same for all. An interval is over items of this run; comparisons of one model do not say what "
    "another would do. Where a measure is flat in the number of steps it cannot tell caching from doing nothing."
)


def findings(study: Study) -> Section | None:
    """Per setting of the method: how often it or fewer steps lose less at equal savings."""
    found = [finding_of(r) for r in study if r.methods]
    if not found:
        return None
    lead = Prose(
        "Keeping attention maps saves self-attention; taking fewer solver steps saves everything. Both are asked for "
        "their loss at the same saving of self-attention, of all FLOPs, and of measured seconds."
    )
    return Section("caching", "Caching against fewer steps", [lead, Findings(found)])


def finding_of(rivalry: Rivalry) -> Finding:
    """Who loses less at equal savings in one setting."""
    seen = [m for m in rivalry.metrics if m not in rivalry.flat]
    wins: Counter[str] = Counter()
    facts = []
    for saving in SAVINGS:
        duels = [d for m in seen for d in rivalry.duels[m, saving]]
        told = [d for d in duels if d.difference is not None]
        count = Counter(d.winner for d in told)
        wins.update(count)
        outside = len(duels) - len(told)
        text = f"LSAC loses less {count['method']}, fewer steps {count['rival']}, no difference {count['']}"
        facts.append((f"at equal {EQUAL[saving]}", text + (f", out of range {outside}" if outside else "")))
    verdict, tone = _verdict(wins, seen)
    facts.append(("measures that steps change", ", ".join(seen) or "none"))
    facts.append(("flat measures", ", ".join(rivalry.flat) or "none"))
    return Finding(
        title(rivalry),
        verdict,
        tone,
        f"{wins['method']} of {wins.total()}",
        "How often the method loses less than fewer steps, over its plans, both readings of fewer steps, and the "
        "measures that fewer steps change."
        if seen
        else "Fewer steps change no measure of this setting, so nothing can save better than leaving steps out.",
        facts,
        _CAVEAT,
    )


def _verdict(wins: Counter[str], seen: list[str]) -> tuple[str, Tone]:
    if not seen:
        return "fewer steps cost nothing", "bad"
    if wins["method"] > wins["rival"]:
        return "LSAC mostly loses less", "good"
    if wins["rival"] > wins["method"]:
        return "fewer steps mostly lose less", "bad"
    return "no winner", "warn"
