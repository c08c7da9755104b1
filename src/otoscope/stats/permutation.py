"""Sign-flip permutation test of a mean against zero.

If differences are symmetric about zero, every pattern of signs is equally likely. Items of one group flip together.
The statistic is the mean over items; p is the share of sign patterns at least as extreme, the observed one counted
among them, (1 + #) / (1 + B), so p is never zero (Phipson & Smyth 2010). With few groups all 2^G patterns are
enumerated and p is exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from otoscope.core.errors import UsageError
from otoscope.stats.checks import Floats, as_floats, check_choice
from otoscope.stats.grouping import Groups, Ints, Seed, by_missingness, group_codes, group_sums

ALTERNATIVES = ("two-sided", "greater", "less")
# Entries of the largest array at work; bounds memory.
_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class SignFlip:
    """A sign-flip test. ``statistic`` is the mean of the ``n`` defined values; NaN p where there are none."""

    statistic: float
    p_value: float
    n_permutations: int
    exact: bool
    n: int
    n_groups: int
    n_undefined: int
    alternative: str


def sign_flip(
    values: ArrayLike,
    groups: Groups | None = None,
    *,
    n_permutations: int = 10_000,
    seed: Seed,
    alternative: str = "two-sided",
) -> SignFlip:
    """Test the mean of ``values`` [n] against zero by flipping the signs of whole groups.

    Args:
        values: [n] differences; NaN is left out and counted.
        groups: a label per value; None flips each value by itself.
        n_permutations: random sign patterns B; all 2^G patterns are enumerated where they are no more than B.
        alternative: ``"two-sided"``, ``"greater"`` or ``"less"`` (the mean is ... than zero).

    Raises:
        InputError: infinite values or labels that do not fit.
        UsageError: an unknown alternative, or no permutations.
    """
    row = as_floats(values, ndim=1, what="Values")[None]
    return sign_flip_many(row, groups, n_permutations=n_permutations, seed=seed, alternative=alternative)[0]


def sign_flip_many(
    values: ArrayLike,
    groups: Groups | None = None,
    *,
    n_permutations: int = 10_000,
    seed: Seed,
    alternative: str = "two-sided",
) -> list[SignFlip]:
    """As :func:`sign_flip` for every row of ``values`` [k, n]; rows that miss the same items share their signs.

    Row j gives what ``sign_flip(values[j])`` gives with the same seed.

    Raises:
        InputError: infinite values or labels that do not fit.
        UsageError: an unknown alternative, or no permutations.
    """
    check_choice(alternative, ALTERNATIVES, "alternative")
    if n_permutations < 1:
        raise UsageError(f"n_permutations is {n_permutations}", fix="Use at least 1; 10000 is the usual choice.")
    table = as_floats(values, ndim=2, what="Values")
    codes, _ = group_codes(groups, table.shape[1])
    results: dict[int, SignFlip] = {}
    for rows, keep in by_missingness(np.isnan(table)):
        lost, n = int((~keep).sum()), int(keep.sum())
        if n == 0:
            results |= {int(r): SignFlip(np.nan, np.nan, 0, False, 0, 0, lost, alternative) for r in rows}
            continue
        sums, _ = group_sums(table[np.ix_(rows, keep)], codes[keep])
        n_groups = sums.shape[1]
        exact = 2**n_groups <= n_permutations
        hits = _count_extreme(sums, n_permutations, exact, seed, alternative)
        n_drawn = 2**n_groups if exact else n_permutations
        p_values = hits / n_drawn if exact else (1 + hits) / (1 + n_drawn)
        for row, total, p in zip(rows, sums.sum(axis=1), p_values, strict=True):
            results[int(row)] = SignFlip(
                float(total / n), float(p), n_drawn, exact, n, n_groups, lost, alternative
            )  # fmt: skip
    return [results[row] for row in range(len(table))]


def _count_extreme(sums: Floats, n_permutations: int, exact: bool, seed: Seed, alternative: str) -> Ints:
    """Sign patterns whose total is at least as extreme as the observed one, per row of ``sums`` [k, G]."""
    sign = -1.0 if alternative == "less" else 1.0
    observed = sign * sums.sum(axis=1)
    if alternative == "two-sided":
        observed = np.abs(observed)
    # Sums in another order differ by rounding: equal patterns must count as equal.
    threshold = observed - 1e-12 * np.abs(sums).sum(axis=1)
    hits = np.zeros(len(sums), dtype=np.intp)
    block = max(1, _AT_ONCE // max(sums.shape))
    for signs in _patterns(sums.shape[1], block, exact=exact, n_permutations=n_permutations, seed=seed):
        totals = sign * (sums @ signs.T)
        if alternative == "two-sided":
            totals = np.abs(totals)
        hits += (totals >= threshold[:, None]).sum(axis=1)
    return hits


def _patterns(n_groups: int, block: int, *, exact: bool, n_permutations: int, seed: Seed) -> Iterator[Floats]:
    """Blocks [b, G] of signs +1 and -1: all patterns, or random ones (the same whatever the block)."""
    if exact:
        places = np.arange(n_groups)
        for start in range(0, 2**n_groups, block):
            numbers = np.arange(start, min(start + block, 2**n_groups))
            yield 1.0 - 2.0 * ((numbers[:, None] >> places) & 1).astype(np.float64)
        return
    rng = np.random.default_rng(seed)
    n_bytes = -(-n_groups // 8)
    for start in range(0, n_permutations, block):
        b = min(block, n_permutations - start)
        # Eight-byte rows, as the generator discards what is left of its last eight bytes.
        words = np.frombuffer(rng.bytes(b * (-(-n_bytes // 8) * 8)), dtype=np.uint8).reshape(b, -1)
        yield 1.0 - 2.0 * np.unpackbits(words, axis=1, count=n_groups).astype(np.float64)
