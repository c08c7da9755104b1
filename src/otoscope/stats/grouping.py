"""What a resample is made of: whole groups, or items within groups when groups are few.

Items of one group (speaker, recording, noise seed) are not independent, so the bootstrap draws groups and takes
all their items along (Davison & Hinkley 1997, section 3.8, strategy 1). A handful of groups says nothing about
the spread between groups; below ``MIN_GROUPS`` (ours: 20) items are drawn within their groups instead, and the
note says that the interval does not reach new groups. Groups of one item have no spread within: they are pooled
and drawn among themselves, so that data with one item per group is the ordinary bootstrap over items.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from otoscope.core.errors import InputError, UsageError
from otoscope.stats.checks import Floats

MIN_GROUPS = 20
# Numbers drawn at once: bounds memory. Draws depend on it, so it is a constant and no parameter.
_DRAWS_AT_ONCE = 2_000_000

Ints = NDArray[np.intp]
Groups = Sequence[Hashable] | NDArray[np.generic]
Seed = int | Sequence[int] | np.random.SeedSequence


def group_codes(groups: Groups | None, n: int) -> tuple[Ints, int]:
    """Number the groups 0, 1, ... in sorted order of their labels.

    Args:
        groups: one hashable label per item, [n]; None makes every item its own group.
        n: number of items.

    Returns:
        codes [n] and the number of groups.

    Raises:
        InputError: not one label per item, an unhashable label, or NaN as a label.
    """
    if groups is None:
        return np.arange(n, dtype=np.intp), n
    if len(groups) != n:
        raise InputError(f"{len(groups)} group labels for {n} items", fix="Give one label per item.")
    if isinstance(groups, np.ndarray) and groups.ndim == 1 and groups.dtype.kind in "iuU":
        labels, codes = np.unique(groups, return_inverse=True)
        return codes.astype(np.intp), len(labels)
    items = groups.tolist() if isinstance(groups, np.ndarray) else list(groups)
    try:
        found = set(items)
    except TypeError as error:
        raise InputError(f"A group label cannot be hashed ({error})", fix="Use text or numbers as labels.") from error
    if any(label != label for label in found):
        raise InputError("A group label is NaN", fix="Give every item a group.")
    try:
        ordered = sorted(found)  # type: ignore[type-var]
    except TypeError:  # mixed types have no order of their own
        ordered = sorted(found, key=lambda label: (type(label).__name__, repr(label)))
    number = {label: code for code, label in enumerate(ordered)}
    return np.array([number[label] for label in items], dtype=np.intp), len(ordered)


@dataclass(frozen=True)
class Scheme:
    """Units that are drawn whole, and the strata within which they are drawn with replacement.

    ``order[starts[u] : starts[u] + sizes[u]]`` are the rows of unit u; ``strata`` are arrays of unit numbers.
    """

    order: Ints
    starts: Ints
    sizes: Ints
    strata: tuple[Ints, ...]
    n_groups: int
    within_groups: bool
    note: str

    @property
    def n_units(self) -> int:
        return len(self.starts)

    def draws(self, n_resamples: int, seed: Seed) -> Iterator[Ints]:
        """Yield blocks [b, n_units] of unit numbers, ``n_resamples`` rows in all."""
        rng = np.random.default_rng(seed)
        block = max(1, _DRAWS_AT_ONCE // max(1, self.n_units))
        for start in range(0, n_resamples, block):
            b = min(block, n_resamples - start)
            yield np.concatenate(
                [units[rng.integers(0, len(units), size=(b, len(units)))] for units in self.strata], axis=1
            )

    def weights(self, draw: Ints) -> Floats:
        """How often each unit was drawn: [b, n_units] from a block of draws."""
        offset = np.arange(len(draw), dtype=np.intp)[:, None] * self.n_units
        counts = np.bincount((draw + offset).ravel(), minlength=draw.shape[0] * self.n_units)
        return counts.reshape(len(draw), self.n_units).astype(np.float64)

    def rows(self, units: Ints) -> Ints:
        """Row numbers of the drawn ``units``, all rows of each unit."""
        sizes = self.sizes[units]
        first = np.cumsum(sizes) - sizes
        return self.order[np.repeat(self.starts[units] - first, sizes) + np.arange(sizes.sum())]

    def rows_without(self, unit: int) -> Ints:
        """Row numbers of all units but one (for the jackknife), in their original order."""
        keep = np.ones(len(self.order), dtype=bool)
        keep[self.order[self.starts[unit] : self.starts[unit] + self.sizes[unit]]] = False
        return np.flatnonzero(keep)


def scheme_of(groups: Groups | None, n: int, *, min_groups: int = MIN_GROUPS) -> Scheme:
    """The resampling scheme for ``n`` items in ``groups`` (see the module's text).

    Raises:
        InputError: no items, or labels that do not fit (see :func:`group_codes`).
        UsageError: ``min_groups`` below 2.
    """
    codes, _ = group_codes(groups, n)
    return scheme_of_codes(codes, min_groups=min_groups)


def scheme_of_codes(codes: Ints, *, min_groups: int = MIN_GROUPS) -> Scheme:
    """As :func:`scheme_of`, from codes; numbers that do not occur are no groups."""
    if min_groups < 2:
        raise UsageError(f"min_groups is {min_groups}", fix="One group has no spread: use 2 or more.")
    if len(codes) == 0:
        raise InputError("There are no items to resample")
    order = np.argsort(codes, kind="stable").astype(np.intp)
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1)).astype(np.intp)
    sizes = np.diff(starts, append=len(codes)).astype(np.intp)
    n_groups = len(starts)
    if n_groups >= min_groups or sizes.max() == 1:
        note = "" if n_groups >= min_groups else f"every group holds one item: the {n_groups} items are the groups"
        return Scheme(order, starts, sizes, (np.arange(n_groups, dtype=np.intp),), n_groups, False, note)
    units = np.arange(len(codes), dtype=np.intp)
    alone = starts[sizes == 1]
    strata = [units[s : s + m] for s, m in zip(starts, sizes, strict=True) if m > 1]
    note = (
        f"{n_groups} group{'s' * (n_groups > 1)} (fewer than {min_groups}): items resampled within groups; "
        "the interval does not reach new groups"
    )
    if len(alone):
        strata.append(alone)
        note += f"; groups of one item ({len(alone)}) pooled"
    return Scheme(order, units, np.ones(len(codes), dtype=np.intp), tuple(strata), n_groups, True, note)


def resample_groups(groups: Groups, n_resamples: int, seed: Seed, *, min_groups: int = MIN_GROUPS) -> Iterator[Ints]:
    """Yield ``n_resamples`` arrays of row numbers, so that a caller can resample several arrays jointly.

    The draws are those of ``cluster_bootstrap`` with the same groups and seed. Whether groups or items within
    groups are drawn, and the note to print, are in ``scheme_of(groups, len(groups))``.

    Raises:
        InputError: no items, or unusable labels.
    """
    scheme = scheme_of(groups, len(groups), min_groups=min_groups)
    for block in scheme.draws(n_resamples, seed):
        for draw in block:
            yield scheme.rows(draw)


def group_sums(values: Floats, codes: Ints) -> tuple[Floats, Floats]:
    """Sums and counts per group: [k, n] values and [n] codes give [k, G] and [G]; groups in order of their codes."""
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    sizes = np.diff(starts, append=len(codes)).astype(np.float64)
    if len(starts) == len(codes):
        return np.ascontiguousarray(values[:, order]), sizes
    return np.add.reduceat(np.ascontiguousarray(values[:, order]), starts, axis=1), sizes


def group_spread(differences: Floats, codes: Ints) -> Floats:
    """Standard deviation between groups [k] of [k, n] such that it over the root of the number of groups is the
    standard error of the item mean. NaN for fewer than two groups."""
    sums, sizes = group_sums(differences, codes)
    n = len(sizes)
    if n < 2:
        return np.full(len(differences), np.nan)
    residuals = (sums - sizes * differences.mean(axis=1, keepdims=True)) * n / sizes.sum()
    spread: Floats = np.sqrt(np.square(residuals).sum(axis=1) / (n - 1))
    return spread


def by_missingness(missing: NDArray[np.bool_]) -> list[tuple[Ints, NDArray[np.bool_]]]:
    """Rows [k, n] that miss the same items: (row numbers, mask [n] of the items they have)."""
    if not missing.any():
        return [(np.arange(len(missing), dtype=np.intp), np.ones(missing.shape[1], dtype=bool))]
    patterns: dict[bytes, list[int]] = {}
    for row, mask in enumerate(missing):
        patterns.setdefault(mask.tobytes(), []).append(row)
    return [(np.array(rows, dtype=np.intp), ~missing[rows[0]]) for rows in patterns.values()]
