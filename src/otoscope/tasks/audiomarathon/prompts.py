"""How an entry is put into words. Ours, in two styles, and the user's own from a file.

``sound`` is the same for every model and task: instruction, question, lettered options, the form of the answer; the
order of the options is turned by the entry, so that a liking for a letter earns nothing. ``official-qwen`` has the
structure of the published Qwen prompts as the fact sheet of arXiv 2510.07293 (section 1.4) describes it (system
message, order, style of options, bound on new tokens) in our own words; the published wording can be given as a file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from otoscope.core.errors import InputError, UsageError
from otoscope.core.identity import digest
from otoscope.tasks.audiomarathon.kinds import KINDS
from otoscope.tasks.audiomarathon.layout import LETTERS, Entry


@dataclass(frozen=True)
class Wording:
    """Of one task: ``text`` with ``{question}`` and ``{options}``; ``option`` with ``{letter}`` and ``{text}``, a line
    each. ``lower``: lower-case letters. ``system`` None: the model's own."""

    text: str
    option: str = "{letter}. {text}"
    lower: bool = False
    system: str | None = None
    max_new_tokens: int = 16


_CHOOSE = "{question}\n{options}\nAnswer with one letter."
_SOUND = {
    "asr": Wording("Write down the words that are spoken, and nothing else.", max_new_tokens=1100),
    **{
        task: Wording("Listen to the recording. " + _CHOOSE)
        for task in ("ser", "scr", "sed", "mc", "asc", "sd", "er", "sar", "sgr")
    },
}
_IDENTITY = (
    "You are Qwen, a virtual human developed by the Qwen Team, Alibaba Group, capable of perceiving auditory and "
    "visual inputs, as well as generating text and speech."
)
_LETTER_ONLY = "Give nothing but the letter."
_OFFICIAL = {
    "asr": Wording(
        "You transcribe speech. Write exactly what is said, leaving hesitations out, and begin with 'Transcript:'.",
        system=_IDENTITY,
    ),
    "scr": Wording(
        "You answer questions about speech. Listen, then answer from the recording alone.\nQuestion: {question}\n"
        "Options:\n{options}\n" + _LETTER_ONLY,
        system=_IDENTITY,
    ),
    "ser": Wording("You find named entities in speech.\n{question}\n{options}\n" + _LETTER_ONLY, system=_IDENTITY),
    "sed": Wording("{question}\n{options}\n" + _LETTER_ONLY, system="You recognise sound events in recordings."),
    "mc": Wording(
        "Decide which genre the music has.\nQuestion: {question}\nOptions:\n{options}\n" + _LETTER_ONLY,
        system=_IDENTITY + " You help with questions about sound.",
    ),
    "asc": Wording(
        "You recognise acoustic scenes. Decide where the recording was made.\n{options}\n" + _LETTER_ONLY,
        option="{letter}: {text}",
        system=_IDENTITY,
    ),
    "sd": Wording(
        "Answer a if the speech is real throughout, b if any part of it is fake.",
        lower=True,
        system="You judge whether speech is authentic.",
    ),
    "er": Wording(
        "You recognise emotions in speech.\n{question}\n{options}\nSelect the right option.",
        option="{letter}) {text}",
        system=_IDENTITY,
    ),
    "sar": Wording(
        "You estimate the age of speakers.\n{question}\n{options}\nSelect the right option.",
        option="{letter}) {text}",
        system=_IDENTITY,
    ),
    "sgr": Wording("Answer a if the speaker is male, b if the speaker is female.", lower=True, system=_IDENTITY),
}
STYLES = ("sound", "official-qwen")


@cache
def wordings(style: str) -> Mapping[str, Wording]:
    """By task. ``style`` is ``sound``, ``official-qwen``, or a TOML file with a table per task (``text``, ``option``,
    ``lower``, ``system``, ``max_new_tokens``; what is left out is as in ``sound``). Raises :class:`UsageError`."""
    if style == "sound":
        return _SOUND
    if style == "official-qwen":
        return {t: replace(w, max_new_tokens=KINDS[t].official_tokens) for t, w in _OFFICIAL.items()}
    path = Path(style).expanduser()
    if not path.is_file():
        raise UsageError(f"there are no prompts {style!r}", fix=f"Use {', '.join(STYLES)} or a TOML file.")
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise InputError(f"is no TOML: {e}", where=str(path)) from e
    found = dict(_SOUND)
    for task, table in tables.items():
        if task not in KINDS or not isinstance(table, Mapping):
            raise InputError(f"has no task {task!r}", where=str(path), fix=f"Tasks: {', '.join(KINDS)}.")
        found[task] = _own(found[task], task, table, str(path))
    return found


def _own(known: Wording, task: str, table: Mapping[str, object], where: str) -> Wording:
    """``known`` with what a table of a file says instead."""
    kinds = {"text": str, "option": str, "lower": bool, "system": str, "max_new_tokens": int}
    for name, value in table.items():
        if name not in kinds:
            raise InputError(f"[{task}] has no field {name!r}", where=where, fix=f"Fields: {', '.join(kinds)}.")
        if type(value) is not kinds[name] or (name == "max_new_tokens" and value < 1):  # type: ignore[operator]
            raise InputError(f"[{task}] {name} has a value of the wrong kind: {value!r}", where=where)
    return replace(known, **table)  # type: ignore[arg-type]


def turned(entry: Entry, by: int) -> Entry:
    """The entry with its options turned by ``by`` places."""
    n = len(entry.options)
    if n == 0 or entry.gold is None:
        return entry
    order = [(i + by) % n for i in range(n)]
    return replace(entry, options=tuple(entry.options[i] for i in order), gold=order.index(entry.gold))


def own_turn(entry: Entry) -> int:
    """A place for the entry's options that depends on the entry alone."""
    return int(digest(entry.id)[:8], 16) % max(1, len(entry.options))


def text_of(entry: Entry, wording: Wording) -> str:
    """The words of one request."""
    lines = []
    for i, option in enumerate(entry.options):
        letter = LETTERS[i].lower() if wording.lower else LETTERS[i]
        lines.append(wording.option.replace("{letter}", letter).replace("{text}", option))
    return wording.text.replace("{question}", entry.question).replace("{options}", "\n".join(lines))
