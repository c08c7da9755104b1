"""From replies to rows, and from rows to the ten scores, the sound ones and those of the publication, apart.

Rows of a choice: ``chosen`` and ``true_option`` (indices among the options as they were shown), ``chosen_class`` and
``true_class`` (-1: none could be read), ``correct``. A reply that cannot be read is a wrong answer in the sound scores
and is left out of the official ones, as in the publication. Rows of a transcript: errors and words, both ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoscope.core.nouns import Answered, Row
from otoscope.results.scoring import Columns, Measure
from otoscope.tasks.answers import cost_measures, cost_rows
from otoscope.tasks.audiomarathon.kinds import Kind
from otoscope.tasks.audiomarathon.layout import Entry
from otoscope.tasks.audiomarathon.parsers import Parser, class_of
from otoscope.tasks.transcripts import word_errors

Ints = NDArray[np.int64]
CHOICE = ("chosen", "true_option", "chosen_class", "true_class", "correct", "unparsed")
TRANSCRIPT = ("errors", "words", "errors_official", "words_official", "unparsed")


def answer_rows(kind: Kind, entry: Entry, output: Answered, parse: Parser) -> list[Row]:
    """Rows of one item; the whole reply is kept with the first of them."""
    text = output.reply.text
    rows = _transcript_rows(entry, text) if kind.free else _choice_rows(kind, entry, text, parse)
    return [*rows, *cost_rows(output)]


def _choice_rows(kind: Kind, entry: Entry, text: str, parse: Parser) -> list[Row]:
    chosen = parse(kind.key, text, entry.options)
    status = "ok" if chosen is not None else "unparsed"
    assert entry.gold is not None
    named = [_class(kind, option, i) for i, option in enumerate(entry.options)]
    values = {
        "chosen": -1 if chosen is None else chosen,
        "true_option": entry.gold,
        "chosen_class": -1 if chosen is None else named[chosen],
        "true_class": named[entry.gold],
        "correct": chosen == entry.gold,
        "unparsed": chosen is None,
    }
    return [
        Row(name, float(value), raw=text if name == "chosen" else None, status=status) for name, value in values.items()
    ]


def _class(kind: Kind, option: str, i: int) -> int:
    """A number for the class of an option; the option's own place where the task has no classes."""
    if not kind.classes:
        return i
    found = class_of(kind.key, option)
    return len(kind.classes) if found is None else kind.classes.index(found)


def _transcript_rows(entry: Entry, text: str) -> list[Row]:
    assert entry.transcript is not None
    ours, theirs = word_errors(entry.transcript, text), word_errors(entry.transcript, text, "official")
    status = "ok" if ours.heard else "unparsed"
    values = {
        "errors": ours.errors,
        "words": ours.words,
        "errors_official": theirs.errors,
        "words_official": theirs.words,
        "unparsed": not ours.heard,
    }
    return [
        Row(name, float(value), raw=text if name == "errors" else None, status=status) for name, value in values.items()
    ]


# --- scores -----------------------------------------------------------------------------------------------------


def f1(true: Ints, chosen: Ints, classes: Sequence[int], average: str = "macro") -> float | None:
    """F1 in percent over ``classes``; what was chosen may be none of them. ``weighted`` by how often each is true;
    classes that are neither true nor chosen are left out, as scikit-learn does. None where there is none."""
    scores, weights = [], []
    for c in classes:
        hit = int(np.sum((true == c) & (chosen == c)))
        said, was = int(np.sum(chosen == c)), int(np.sum(true == c))
        if said or was:
            scores.append(2 * hit / (said + was))
            weights.append(was if average == "weighted" else 1)
    if not scores or not sum(weights):
        return None
    return 100 * float(np.average(scores, weights=weights))


def _f1_of(c: Columns, true: str, chosen: str, average: str, drop: bool) -> float | None:
    t, p = c[true].astype(np.int64), c[chosen].astype(np.int64)
    if drop:
        t, p = t[p >= 0], p[p >= 0]
    return f1(t, p, sorted(set(t.tolist()) | {x for x in p.tolist() if x >= 0}), average)


def _percent(c: Columns, name: str) -> float:
    return 100 * float(np.mean(c[name]))


def _word_rate(c: Columns, errors: str, words: str, per_item: bool, drop: bool) -> float | None:
    e, w = c[errors], c[words]
    if drop:
        e, w = e[c["unparsed"] == 0], w[c["unparsed"] == 0]
    if not len(w):
        return None
    return 100 * float(np.mean(e / w) if per_item else e.sum() / w.sum())


def _accuracy_of_words(c: Columns, **how: Any) -> float | None:
    found = _word_rate(c, **how)
    return None if found is None else 100 - found


def measures(kind: Kind, by: tuple[str, ...] = ()) -> list[Measure]:
    """Of a task, for each combination of the factors ``by``. ``score`` is the task's share of the means: macro F1 of
    classes (of letters where there are no classes) with unreadable replies wrong, or 100 less the word error rate.
    ``score_official`` is the publication's."""
    found = [*(_of_transcripts() if kind.free else _of_choices(kind)), *cost_measures()]
    return [replace(m, by=by) for m in found] if by else found


def _of_choices(kind: Kind) -> list[Measure]:
    classes = partial(_f1_of, true="true_class", chosen="chosen_class")
    letters = partial(_f1_of, true="true_option", chosen="chosen")
    sound = classes if kind.classes else letters
    official = classes if kind.key in ("sd", "sgr", "sar") else letters
    average = "weighted" if kind.key == "sgr" else "macro"

    def measure(name: str, statistic: Any, doc: str) -> Measure:
        return Measure(name, (), CHOICE, statistic, unit="%", higher_is_better=True, doc=doc)

    return [
        measure("score", partial(sound, average="macro", drop=False), "macro F1; unreadable replies are wrong"),
        measure("accuracy", partial(_percent, name="correct"), "right answers"),
        measure("macro_f1", partial(classes, average="macro", drop=False), "macro F1 of classes"),
        measure("macro_f1_letters", partial(letters, average="macro", drop=False), "macro F1 of letters"),
        measure("weighted_f1", partial(classes, average="weighted", drop=False), "F1 of classes weighted by frequency"),
        measure(
            "score_official", partial(official, average=average, drop=True), "as published: unreadable replies left out"
        ),
        Measure(
            "unparsed_share", (), CHOICE, partial(_percent, name="unparsed"), unit="%", higher_is_better=False,
            doc="replies without an answer that can be read",
        ),
    ]  # fmt: skip


def _of_transcripts() -> list[Measure]:
    ours: dict[str, Any] = {"errors": "errors", "words": "words"}
    theirs: dict[str, Any] = {"errors": "errors_official", "words": "words_official", "per_item": True, "drop": True}

    def measure(name: str, statistic: Any, doc: str, better: bool) -> Measure:
        return Measure(name, (), TRANSCRIPT, statistic, unit="%", higher_is_better=better, doc=doc)

    return [
        measure("score", partial(_accuracy_of_words, **ours, per_item=False, drop=False), "100 - WER", True),
        measure("wer", partial(_word_rate, **ours, per_item=False, drop=False), "word errors over all words", False),
        measure(
            "wer_per_item", partial(_word_rate, **ours, per_item=True, drop=False), "mean of the items' WER", False
        ),
        measure(
            "score_official", partial(_accuracy_of_words, **theirs),
            "as published: 100 - mean WER of the items with words", True,
        ),
        measure("unparsed_share", partial(_percent, name="unparsed"), "replies without a word", False),
    ]  # fmt: skip


def chance(kind: Kind) -> float | None:
    """Expected accuracy of guessing, in percent."""
    return None if kind.free else 100 / kind.options
