"""From replies to rows, and from rows to the ten scores, the sound ones and those of the publication, apart.

Rows of a choice: ``chosen`` and ``true_option`` (indices among the options as they were shown), ``chosen_class`` and
``true_class`` (-1: none could be read), ``correct``. A reply that cannot be read is a wrong answer in the sound scores
and is left out of the official ones, as in the publication. Rows of a transcript: errors and words, both ways.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoscope.core.nouns import Answered, Row
from otoscope.results.scoring import Columns, Measure, OfMeans
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


def f1_of_means(true: str, chosen: str, classes: int, average: str = "macro", drop: bool = False) -> OfMeans:
    """:func:`f1` of two columns as a function of means: per class how often it is hit, said and true. ``drop`` leaves
    out replies without a choice. A Python call per draw would make a page of many interventions take many minutes."""
    terms: list[Callable[[Columns], NDArray[Any]]] = []
    for k in range(classes):
        terms += [
            partial(_hit, true, chosen, k, drop),
            partial(_is, chosen, chosen, k, drop),
            partial(_is, true, chosen, k, drop),
        ]
    return OfMeans(tuple(terms), partial(_f1_combined, average=average))


def _hit(true: str, chosen: str, k: int, drop: bool, c: Columns) -> NDArray[Any]:
    return (c[true] == k) & (c[chosen] == k)


def _is(what: str, chosen: str, k: int, drop: bool, c: Columns) -> NDArray[Any]:
    return (c[what] == k) & ((c[chosen] >= 0) | (not drop))


def _f1_combined(*means: NDArray[Any], average: str) -> NDArray[Any]:
    hit, said, was = (np.stack(means[i::3]) for i in range(3))
    there = said + was > 0
    scores = np.where(there, 2 * hit / np.where(there, said + was, 1), 0)
    weights = was if average == "weighted" else there.astype(float)
    return 100 * (scores * weights).sum(0) / weights.sum(0)


def _share(name: str) -> OfMeans:
    return OfMeans((partial(_column, name),), _percent)


def _column(name: str, c: Columns) -> NDArray[Any]:
    return c[name]


def _percent(mean: NDArray[Any]) -> NDArray[Any]:
    return 100 * mean


def _word_rate(errors: str, words: str, per_item: bool, drop: bool, accuracy: bool = False) -> OfMeans:
    """Word errors over words, of all items together or as a mean of items, in percent; or 100 less that."""
    top = partial(_rate, errors, words, drop) if per_item else partial(_kept, errors, drop)
    bottom = partial(_kept, None, drop) if per_item else partial(_kept, words, drop)
    return OfMeans((top, bottom), partial(_ratio, accuracy=accuracy))


def _kept(name: str | None, drop: bool, c: Columns) -> NDArray[Any]:
    there = np.ones(c.n) if not drop else (c["unparsed"] == 0).astype(float)
    return there if name is None else there * c[name]


def _rate(errors: str, words: str, drop: bool, c: Columns) -> NDArray[Any]:
    return _kept(None, drop, c) * c[errors] / c[words]


def _ratio(top: NDArray[Any], bottom: NDArray[Any], accuracy: bool) -> NDArray[Any]:
    found = 100 * top / bottom
    return 100 - found if accuracy else found


def measures(kind: Kind, by: tuple[str, ...] = ()) -> list[Measure]:
    """Of a task, for each combination of the factors ``by``. ``score`` is the task's share of the means: macro F1 of
    classes (of letters where there are no classes) with unreadable replies wrong, or 100 less the word error rate.
    ``score_official`` is the publication's."""
    found = [*(_of_transcripts() if kind.free else _of_choices(kind)), *cost_measures()]
    return [replace(m, by=by) for m in found] if by else found


def _of_choices(kind: Kind) -> list[Measure]:
    n_letters = kind.options
    # One more than there are classes: options that are none of them.
    n_classes = len(kind.classes) + 1 if kind.classes else n_letters
    classes = partial(f1_of_means, "true_class", "chosen_class", n_classes)
    letters = partial(f1_of_means, "true_option", "chosen", n_letters)
    sound = classes if kind.classes else letters
    official = classes if kind.key in ("sd", "sgr", "sar") else letters
    average = "weighted" if kind.key == "sgr" else "macro"

    def measure(name: str, statistic: OfMeans, doc: str, better: bool = True) -> Measure:
        return Measure(name, (), CHOICE, statistic, unit="%", higher_is_better=better, doc=doc)

    return [
        measure("score", sound(), "macro F1; unreadable replies are wrong"),
        measure("accuracy", _share("correct"), "right answers"),
        measure("macro_f1", classes(), "macro F1 of classes"),
        measure("macro_f1_letters", letters(), "macro F1 of letters"),
        measure("weighted_f1", classes("weighted"), "F1 of classes weighted by frequency"),
        measure("score_official", official(average, True), "as published: unreadable replies left out"),
        measure("unparsed_share", _share("unparsed"), "replies without an answer that can be read", False),
    ]


def _of_transcripts() -> list[Measure]:
    ours, theirs = partial(_word_rate, "errors", "words"), partial(_word_rate, "errors_official", "words_official")

    def measure(name: str, statistic: OfMeans, doc: str, better: bool) -> Measure:
        return Measure(name, (), TRANSCRIPT, statistic, unit="%", higher_is_better=better, doc=doc)

    return [
        measure("score", ours(False, False, True), "100 - WER", True),
        measure("wer", ours(False, False), "word errors over all words", False),
        measure("wer_per_item", ours(True, False), "mean of the items' WER", False),
        measure(
            "score_official", theirs(True, True, True), "as published: 100 - mean WER of the items with words", True
        ),
        measure("unparsed_share", _share("unparsed"), "replies without a word", False),
    ]


def chance(kind: Kind) -> float | None:
    """Expected accuracy of guessing, in percent."""
    return None if kind.free else 100 / kind.options
