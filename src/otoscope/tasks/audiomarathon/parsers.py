"""From a reply to an option. Three parsers, each with a version, so that stored replies can be scored again.

``strict`` takes a letter alone, or a letter in front of its own option, or the option alone. ``lenient`` (default)
also takes the one letter that is set off as an answer, and the one option or class that the reply names. ``official``
follows the published Qwen scripts as the fact sheet of arXiv 2510.07293 (section 1.5) describes them, faults included:
the first letter of any word can be an answer, and "a fake segment" is real speech.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from otoscope.core.errors import UsageError
from otoscope.tasks.audiomarathon.kinds import KINDS
from otoscope.tasks.audiomarathon.layout import LETTERS

VERSION = 1
#: No reply is read beyond this many characters: an answer comes first or not at all.
READ = 4000

Parser = Callable[[str, str, Sequence[str]], int | None]
#: Words that name a class besides its own name.
_SYNONYMS = {
    "real": ("authentic", "genuine", "bona fide"),
    "fake": ("synthetic", "spoofed", "manipulated", "generated", "faked"),
    "male": ("man", "masculine"),
    "female": ("woman", "feminine"),
    "angry": ("anger",),
    "fearful": ("fear", "afraid", "scared"),
    "happy": ("happiness", "joyful"),
    "sad": ("sadness",),
    "monotone": ("neutral", "flat"),
    "hiphop": ("hip-hop", "hip hop"),
}


def strict(task: str, reply: str, options: Sequence[str]) -> int | None:
    """The index of the chosen option, or None."""
    text = reply.strip()[:READ]
    letters = LETTERS[: len(options)]
    lone = re.fullmatch(rf"[\(\[\"']?([{letters}])[\)\]\"']?[.:]?", text, re.I)
    if lone:
        return letters.index(lone[1].upper())
    for i, option in enumerate(options):
        if _plain(text) == _plain(option):
            return i
        fronted = re.fullmatch(rf"[\(\[]?{letters[i]}[\)\].:]+\s*(.+)", text, re.I | re.S)
        if fronted and _plain(fronted[1]) == _plain(option):
            return i
    return None


def lenient(task: str, reply: str, options: Sequence[str]) -> int | None:
    """:func:`strict`, then a letter that is set off, then the option that is named, where it is one."""
    found = strict(task, reply, options)
    if found is not None:
        return found
    text, letters = reply.strip()[:READ], LETTERS[: len(options)]
    for pattern in (
        rf"^[\(\[]?([{letters}])[\)\].:,]",  # A. because ...
        rf"(?:answer|option|choice)\s*(?:is|:)?\s*[\(\[\"'*]*([{letters}])\b",
        rf"[\(\[]([{letters}])[\)\]]",
        rf"^([{letters}])\s*[\n-]",
    ):
        said = {m.upper() for m in re.findall(pattern, text, re.I)}
        if len(said) == 1:
            return letters.index(said.pop())
    return _named(task, text, options)


def official(task: str, reply: str, options: Sequence[str]) -> int | None:
    """As the published scripts read it."""
    text, n = reply.split("assistant\n")[-1].strip(), len(options)
    letters = LETTERS[:n]
    if task == "scr":
        first = next((c for c in text.upper() if c in letters), None)
        return None if first is None else letters.index(first)
    if task in ("sd", "sgr"):
        return _official_pair(task, text)
    if task in ("er", "sar", "asc"):
        found = _letter(text, letters)
        return found if found is not None else _official_words(task, text, options)
    found = _letter(text, letters)
    if found is not None:
        return found
    anywhere = re.search(rf"[{letters}]", text.upper())
    return letters.index(anywhere[0]) if anywhere else None


def _letter(text: str, letters: str) -> int | None:
    for pattern in (
        rf"^\s*([{letters}])\s*$",
        rf"^\s*([{letters}])[.):,\s]",
        rf"(?:answer|option|choice)\s*(?:is|:)?\s*([{letters}])\b",
        rf"\b([{letters}])\b",
    ):
        found = re.search(pattern, text.upper() if "answer" not in pattern else text, re.I)
        if found:
            return letters.index(found[1].upper())
    return None


def _official_pair(task: str, text: str) -> int | None:
    low = text.casefold()
    for i, letter in enumerate("ab"):
        if low == letter or low.startswith((f"{letter} ", f"{letter}.", f"{letter})")) or low.endswith(f" {letter}"):
            return i
    if task == "sd":
        for i, letter in enumerate("ab"):
            if f" {letter} " in f" {low}" or f"{letter})" in low:
                return i
    words = ("real", "fake") if task == "sd" else ("male", "female")
    named = [i for i, word in enumerate(words) if re.search(rf"\b{word}\b", low)]
    return named[0] if len(named) == 1 else None


def _official_words(task: str, text: str, options: Sequence[str]) -> int | None:
    low = text.casefold()
    if task == "er":  # stems that must stand in the reply and in the option; four of the five labels are not among them
        stems = ("anger", "happiness", "sadness", "fear", "flat")
        hits = [i for i, o in enumerate(options) if any(s in low and s in o.casefold() for s in stems)]
    else:
        hits = [i for i, o in enumerate(options) if o.casefold() in low]
    return hits[0] if len(hits) == 1 else None


def _named(task: str, text: str, options: Sequence[str]) -> int | None:
    low = _plain(text)
    hits = [i for i, o in enumerate(options) if _plain(o) and re.search(rf"\b{re.escape(_plain(o))}\b", low)]
    if len(hits) > 1:  # an option that lies in another one yields to it
        longest = max(len(_plain(options[i])) for i in hits)
        inside = [i for i in hits if all(_plain(options[i]) in _plain(options[j]) for j in hits)]
        hits = [i for i in hits if i not in inside or len(_plain(options[i])) == longest]
    if not hits:
        for i, option in enumerate(options):
            name = class_of(task, option)
            words = (name, *_SYNONYMS.get(name, ())) if name else ()
            if any(re.search(rf"\b{re.escape(_plain(w))}\b", low) for w in words):
                hits.append(i)
    return hits[0] if len(hits) == 1 else None


def class_of(task: str, option: str) -> str | None:
    """The class that an option of a task with classes stands for; None where none can be told."""
    text = _plain(option)
    classes = KINDS[task].classes if task in KINDS else ()  # tasks of other benchmarks have none
    exact = [c for c in classes if _plain(c) == text]
    if exact:
        return exact[0]
    hits = [c for c in classes if re.search(rf"\b{re.escape(_plain(c))}\b", text)]
    hits = [c for c in hits if not any(c != d and _plain(c) in _plain(d) for d in hits)]
    return hits[0] if len(hits) == 1 else None


def _plain(text: str) -> str:
    text = re.sub(r"hip[-\s]?hop", "hiphop", text.casefold())
    return re.sub(r"[^\w+]+", " ", text.replace("_", " ")).strip()


PARSERS: dict[str, Parser] = {"strict": strict, "lenient": lenient, "official": official}


def parser(name: str) -> Parser:
    """Raises :class:`UsageError` on an unknown name."""
    if name not in PARSERS:
        raise UsageError(f"there is no parser {name!r}", fix=f"Use {', '.join(PARSERS)}.")
    return PARSERS[name]
