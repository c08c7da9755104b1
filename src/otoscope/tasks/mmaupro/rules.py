"""Whether a reply follows an instruction, by rules: counts, words that must or must not occur, forms.

Which instructions there are, and what their settings are called, is after the authors' evaluation; the code is ours.
Sentences are counted at full stops, question and exclamation marks, so that no language model of punctuation is needed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[str, Mapping[str, Any], str], bool]


def follows(instruction: str, reply: str, settings: Mapping[str, Any], spoken: str = "") -> bool | None:
    """Whether ``reply`` does; None where there is no rule for the instruction, or its settings lack what it needs."""
    check = RULES.get(instruction.strip().casefold())
    if check is None:
        return None
    try:
        return check(reply, settings, spoken)
    except (KeyError, TypeError, ValueError):
        return None


def words(text: str) -> int:
    return len(text.split())


def sentences(text: str) -> int:
    return len([s for s in re.split(r"(?<=[.!?])[\"')\]]*\s+", text.strip()) if re.search(r"\w", s)])


def _capitals(text: str) -> int:
    return sum(w.isupper() for w in text.split())


def _listed(value: Any) -> list[str]:
    parts = value.split(",") if isinstance(value, str) else list(value)
    found = [str(p).strip().casefold() for p in parts]
    if not all(found) or not found:
        raise ValueError("no words")
    return found


def _number(settings: Mapping[str, Any], name: str = "N") -> int:
    return int(settings[name])


def _at_least(count: Callable[[str], int]) -> Check:
    return lambda reply, settings, _: count(reply) >= _number(settings)


def _at_most(count: Callable[[str], int]) -> Check:
    return lambda reply, settings, _: count(reply) <= _number(settings)


def _within(count: Callable[[str], int]) -> Check:
    return lambda reply, settings, _: _number(settings, "N1") <= count(reply) <= _number(settings, "N2")


def _exactly(count: Callable[[str], int]) -> Check:
    return lambda reply, settings, _: count(reply) == _number(settings)


def _letters(text: str) -> str:
    return " ".join(re.sub(r"[^a-z ]", "", text.casefold()).split())


def _run_together(text: str) -> str:
    return _letters(text).replace(" ", "")


def _frequency(reply: str, settings: Mapping[str, Any], spoken: str) -> bool:
    word = re.escape(str(settings["keyword"]).casefold())
    return len(re.findall(rf"\b{word}\b", reply.casefold())) == _number(settings)


def _parts(text: str, mark: str) -> int:
    return sum(bool(p.strip()) for p in text.split(mark))


def _two(reply: str, settings: Mapping[str, Any], spoken: str) -> bool:
    halves = [p.strip().casefold() for p in reply.split("******")]
    return len(halves) == 2 and halves[0] != halves[1]


def _repeats(reply: str, settings: Mapping[str, Any], spoken: str) -> bool:
    if not spoken.strip():
        raise ValueError("nothing to repeat")
    return reply.strip().casefold().startswith(spoken.strip().casefold())


RULES: dict[str, Check] = {
    "include keywords": lambda r, s, _: all(w in r.casefold() for w in _listed(s["keywords"])),
    "keyword frequency": _frequency,
    "forbidden words": lambda r, s, _: not any(w in r.casefold() for w in _listed(s["forbidden_words"])),
    "number paragraphs": lambda r, s, _: _parts(r, "***") == _number(s),
    "number words (at least)": _at_least(words),
    "number words (at most)": _at_most(words),
    "number words (range)": _within(words),
    "number sentences (at least)": _at_least(sentences),
    "number sentences (at most)": _at_most(sentences),
    "number sentences (range)": _within(sentences),
    "postscript": lambda r, s, _: _run_together(str(s["postscript_marker"])) in _run_together(r),
    "number placeholder": _at_least(lambda r: len(re.findall(r"\[[^\]]+\]", r))),
    "number bullets": _exactly(lambda r: len(re.findall(r"^\s*\*\s+", r, re.M))),
    "title": lambda r, s, _: re.search(r"<<[^>]+>>", r) is not None,
    "minimum number highlighted section": _at_least(lambda r: len(re.findall(r"\*[^*]+\*", r))),
    "multiple sections": lambda r, s, _: _parts(r, str(s["section_splitter"])) == _number(s),
    "repeat prompt": _repeats,
    "two responses": _two,
    "all uppercase": lambda r, s, _: r.isupper(),
    "all lowercase": lambda r, s, _: r.islower(),
    "all-capital words (at least)": _at_least(_capitals),
    "all-capital words (at most)": _at_most(_capitals),
    "all-capital words (range)": _within(_capitals),
    "start checker": lambda r, s, _: _letters(r).startswith(_letters(str(s["start_phrase"]))),
    "end checker": lambda r, s, _: _letters(r).endswith(_letters(str(s["end_phrase"]))),
    "quotation": lambda r, s, _: len(r.strip()) > 1 and r.strip().startswith('"') and r.strip().endswith('"'),
    "no commas": lambda r, s, _: "," not in r,
}  # fmt: skip
