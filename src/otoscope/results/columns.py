"""Rows of one cell as observations: per (item, factors) the values of several metrics, side by side."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from otoscope.core.errors import InputError
from otoscope.core.items import Factor
from otoscope.results.schema import WHOLE_ITEM

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

#: A combination of factors: a value per name of ``by``, None where the row has no such factor.
Combination = tuple[Factor | None, ...]


@dataclass(frozen=True)
class Words:
    """A text column as codes into its sorted distinct values."""

    codes: Ints
    words: NDArray[np.str_]

    @classmethod
    def of(cls, column: pa.ChunkedArray) -> Words:
        found = column.cast(pa.string()).combine_chunks().dictionary_encode()
        words = np.array(found.dictionary.to_pylist(), dtype=str)
        order = np.argsort(words, kind="stable")
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        codes = found.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        return cls(rank[codes], words[order])

    def code(self, word: str) -> int:
        """The code of ``word``, -1 if it does not occur."""
        at = int(np.searchsorted(self.words, word))
        return at if at < len(self.words) and self.words[at] == word else -1


#: What scoring reads of a row.
ROW_COLUMNS = ("item", "base_id", "group", "metric", "status", "factors", "value", "in_training")


class Rows:
    """The columns :data:`ROW_COLUMNS` of a table of rows, coded once for all measures."""

    def __init__(self, table: pa.Table) -> None:
        self.item, self.base_id, self.group = (Words.of(table.column(n)) for n in ("item", "base_id", "group"))
        self.metric, self.status, factors = (Words.of(table.column(n)) for n in ("metric", "status", "factors"))
        self.value: Floats = table.column("value").to_numpy().astype(np.float64)  # null becomes NaN
        self.in_training: NDArray[np.bool_] = table.column("in_training").to_numpy().astype(bool)
        self.factors = factors
        self.factor_values: list[dict[str, Factor]] = [json.loads(text) for text in factors.words.tolist()]

    def failed(self) -> NDArray[np.bool_]:
        return self.status.codes == self.status.code("failed")

    def of_metrics(self, metrics: Sequence[str]) -> NDArray[np.bool_]:
        return np.isin(self.metric.codes, [self.metric.code(m) for m in metrics if self.metric.code(m) >= 0])

    def combinations(self, by: Sequence[str]) -> list[Combination]:
        """Per code of ``factors`` its combination."""
        return [tuple(values.get(name) for name in by) for values in self.factor_values]


@dataclass(frozen=True)
class Observations:
    """Observations of some metrics in one combination of factors, in the order of item ids.

    ``values`` maps each metric to ``[n]`` (finite); ``n_undefined`` observations lack a value of some metric and are
    left out; ``n_failed`` items failed and have no observation here; ``n_unparsed`` of the ``n`` hold the value of a
    wrong answer, because the answer could not be read; of ``n_in_training`` the model knows a recording.
    """

    rows: Rows
    values: Mapping[str, Floats]
    row: Ints  # a row of each observation: where its item, group and factors are
    n_undefined: int = 0
    n_failed: int = 0
    n_unparsed: int = 0
    n_in_training: int = 0
    _factors: dict[str, NDArray[Any]] = field(default_factory=dict, repr=False)

    @property
    def n(self) -> int:
        return len(self.row)

    @property
    def groups(self) -> Ints:
        """Codes of the groups [n], in the order of their labels."""
        return self.rows.group.codes[self.row]

    def factor(self, name: str) -> NDArray[Any]:
        """One factor of each observation [n]."""
        if name not in self._factors:
            codes = self.rows.factors.codes[self.row]
            used, which = np.unique(codes, return_inverse=True)
            self._factors[name] = _array([self.rows.factor_values[c].get(name) for c in used])[which]
        return self._factors[name]


def observe(rows: Rows, metrics: Sequence[str], by: Sequence[str]) -> dict[Combination, Observations]:
    """Observations of ``metrics`` for every combination of ``by``, in sorted order. An item that failed before it could
    have all factors of ``by`` counts in every combination that agrees with the factors it has.

    Raises :class:`InputError` where an item has two rows of one metric with the same factors.
    """
    combinations = rows.combinations(by)
    failed = rows.failed()
    chosen = np.flatnonzero(rows.of_metrics(metrics) & ~failed)
    values, unparsed, row = _pivot(rows, metrics, chosen)
    valued: NDArray[np.bool_] = np.all([~np.isnan(values[m]) for m in metrics], axis=0)
    at: dict[Combination, Ints] = _split(row, rows.factors.codes, combinations)
    lost = _failures(rows, failed & rows.of_metrics([*metrics, WHOLE_ITEM]), combinations, list(at))
    found: dict[Combination, Observations] = {}
    for combination in sorted({**at, **lost}, key=_sort_key):
        here = at.get(combination, np.empty(0, dtype=np.int64))
        keep = here[valued[here]]
        answered = set(rows.item.codes[row[here]].tolist())
        found[combination] = Observations(
            rows,
            {m: v[keep] for m, v in values.items()},
            row[keep],
            n_undefined=len(here) - len(keep),
            n_failed=len(lost.get(combination, set()) - answered),
            n_unparsed=int(unparsed[keep].sum()),
            n_in_training=int(rows.in_training[row[keep]].sum()),
        )
    return found


def _pivot(rows: Rows, metrics: Sequence[str], chosen: Ints) -> tuple[dict[str, Floats], NDArray[np.bool_], Ints]:
    """Per (item, factors), sorted: the value of each metric (NaN: none), whether one is unparsed, and a row of it."""
    keys = rows.item.codes[chosen] * max(1, len(rows.factors.words)) + rows.factors.codes[chosen]
    distinct, first, which = np.unique(keys, return_index=True, return_inverse=True)
    values = {m: np.full(len(distinct), np.nan) for m in metrics}
    unparsed = np.zeros(len(distinct), dtype=bool)
    for m in metrics:
        mine = rows.metric.codes[chosen] == rows.metric.code(m)
        if len(np.unique(which[mine])) < mine.sum():
            raise InputError(f"an item has two rows of metric {m!r} with the same factors")
        values[m][which[mine]] = rows.value[chosen[mine]]
        unparsed[which[mine]] |= rows.status.codes[chosen[mine]] == rows.status.code("unparsed")
    return values, unparsed, chosen[first]


def _split(row: Ints, factor_codes: Ints, combinations: Sequence[Combination]) -> dict[Combination, Ints]:
    """Positions in ``row`` per combination, each in order."""
    number: dict[Combination, int] = {}
    of_factors = np.array([number.setdefault(c, len(number)) for c in combinations], dtype=np.int64)
    place = of_factors[factor_codes[row]] if len(row) else np.empty(0, dtype=np.int64)
    together = np.argsort(place, kind="stable")
    cuts = np.searchsorted(place[together], np.arange(len(number) + 1))
    return {c: together[cuts[i] : cuts[i + 1]] for c, i in number.items() if cuts[i + 1] > cuts[i]}


def _failures(
    rows: Rows, failed: NDArray[np.bool_], combinations: Sequence[Combination], present: Sequence[Combination]
) -> dict[Combination, set[int]]:
    """Failed items per combination: of those ``present`` all that agree, else the combination as far as it is known."""
    known: dict[Combination, set[int]] = {}
    for r in np.flatnonzero(failed).tolist():
        known.setdefault(combinations[rows.factors.codes[r]], set()).add(int(rows.item.codes[r]))
    lost: dict[Combination, set[int]] = {}
    for combination, items in known.items():
        agreeing = [c for c in present if all(a is None or a == b for a, b in zip(combination, c, strict=True))]
        for c in agreeing or [combination]:
            lost.setdefault(c, set()).update(items)
    return lost


def _sort_key(combination: Combination) -> tuple[Any, ...]:
    """Numbers by size, before text by alphabet, before factors that are not there."""
    return tuple((v is None, isinstance(v, str), "" if v is None else v) for v in combination)


class Columns(Mapping[str, NDArray[Any]]):
    """What a statistic sees: by name the metrics (float64, finite) and the factors (bool, int64, float64 or text) of
    the observations, each ``[n]``; and ``groups`` (codes, int64), ``item_ids`` and ``base_ids`` (text). ``take``
    selects observations, with repetition: a bootstrap's draw."""

    def __init__(self, observations: Observations, rows: Ints | None = None) -> None:
        self._observations, self._rows = observations, rows
        names = {n for values in observations.rows.factor_values for n in values}
        if shared := names & set(observations.values):
            raise InputError(f"{min(shared)!r} is the name of a metric and of a factor", fix="Rename one of them.")
        self._names = [*observations.values, *sorted(names)]

    @property
    def n(self) -> int:
        return self._observations.n if self._rows is None else len(self._rows)

    @property
    def groups(self) -> Ints:
        return self._select(self._observations.groups)

    @property
    def item_ids(self) -> NDArray[np.str_]:
        return self._words(self._observations.rows.item)

    @property
    def base_ids(self) -> NDArray[np.str_]:
        return self._words(self._observations.rows.base_id)

    def take(self, rows: Ints) -> Columns:
        chosen = object.__new__(Columns)
        chosen._observations, chosen._names = self._observations, self._names
        chosen._rows = rows if self._rows is None else self._rows[rows]
        return chosen

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name in self._observations.values:
            return self._select(self._observations.values[name])
        if name not in self._names:
            raise KeyError(name)
        return self._select(self._observations.factor(name))

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def _select(self, values: NDArray[Any]) -> NDArray[Any]:
        return values if self._rows is None else values[self._rows]

    def _words(self, words: Words) -> NDArray[np.str_]:
        return words.words[words.codes[self._select(self._observations.row)]]


def _array(values: list[Factor | None]) -> NDArray[Any]:
    """The narrowest array: bool, int64, float64 (None: NaN), text; mixtures stay objects."""
    kinds = {type(v) for v in values}
    if kinds == {bool} or kinds == {str}:
        return np.array(values)
    if kinds == {int}:
        return np.array(values, dtype=np.int64)
    if kinds and kinds <= {int, float, type(None)}:
        return np.array([np.nan if v is None else v for v in values], dtype=np.float64)
    return np.array(values, dtype=object)
