"""Two conditions on the same items: the paired difference with everything that belongs beside it.

The mean difference gets a cluster-bootstrap interval and a sign-flip p (both over groups), the effect size is Cohen's
d_z (mean over standard deviation of the item differences) times Hedges' small-sample factor (Hedges 1981; Lakens
2013), the win rate says how often a beats b, and the smallest detectable difference says what a null result is worth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln

from otoscope.core.errors import InputError
from otoscope.stats.bootstrap import cluster_bootstrap
from otoscope.stats.checks import Floats, as_floats
from otoscope.stats.grouping import Groups, Seed, group_codes, group_spread
from otoscope.stats.permutation import sign_flip
from otoscope.stats.power import smallest_detectable_effect


@dataclass(frozen=True)
class Paired:
    """a minus b over ``n`` pairs in ``n_groups`` groups; ``n_undefined`` pairs with a NaN are left out.

    ``effect_size`` is NaN where the differences do not vary. ``win_rate`` is the share of pairs with a above b, ties
    counted half. ``smallest_detectable`` is the mean difference that a t-test over this many groups with this spread
    finds with the stated power (two-sided alpha = 1 - level).
    """

    mean_difference: float
    ci_low: float
    ci_high: float
    level: float
    effect_size: float
    effect_size_kind: str
    win_rate: float
    n_ties: int
    p_value: float
    p_exact: bool
    n: int
    n_groups: int
    n_undefined: int
    smallest_detectable: float
    power: float
    method: str
    within_groups: bool
    note: str


def paired_comparison(
    a: ArrayLike,
    b: ArrayLike,
    groups: Groups | None = None,
    *,
    seed: Seed,
    level: float = 0.95,
    n_resamples: int = 2000,
    method: str = "bca",
    n_permutations: int = 10_000,
    power: float = 0.8,
) -> Paired:
    """Compare ``a`` and ``b`` [n], item by item.

    Args:
        groups: a label per item; None makes each item a group.
        seed: the interval and the test draw from it by separate streams.
        power: for the smallest detectable difference.

    Raises:
        InputError: different lengths, no items, infinite values, or labels that do not fit.
        UsageError: level, power, method or a number of draws that cannot be used.
    """
    first, second = as_floats(a, ndim=1, what="Values a"), as_floats(b, ndim=1, what="Values b")
    if len(first) != len(second):
        raise InputError(f"a has {len(first)} values and b has {len(second)}", fix="Pair them item by item.")
    difference = first - second
    root = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    # Children by key, not by spawn(), which would change the caller's sequence.
    for_interval, for_test = (np.random.SeedSequence(root.entropy, spawn_key=(*root.spawn_key, key)) for key in (0, 1))
    interval = cluster_bootstrap(
        difference, groups, "mean", n_resamples=n_resamples, level=level, method=method, seed=for_interval
    )
    test = sign_flip(difference, groups, n_permutations=n_permutations, seed=for_test)
    codes, _ = group_codes(groups, len(difference))
    keep = ~np.isnan(difference)
    defined = difference[keep]
    ties = int((defined == 0).sum())
    win_rate = float(((defined > 0).sum() + 0.5 * ties) / len(defined)) if len(defined) else float("nan")
    spread = float(group_spread(defined[None], codes[keep])[0])
    detectable = smallest_detectable_effect(test.n_groups, spread, power, 1.0 - level)
    return Paired(
        mean_difference=interval.value, ci_low=interval.low, ci_high=interval.high, level=level,
        effect_size=hedges_dz(defined), effect_size_kind="Cohen d_z over items, Hedges-corrected",
        win_rate=win_rate, n_ties=ties, p_value=test.p_value, p_exact=test.exact,
        n=interval.n, n_groups=interval.n_groups, n_undefined=interval.n_undefined,
        smallest_detectable=detectable, power=power,
        method=interval.method, within_groups=interval.within_groups, note=interval.note,
    )  # fmt: skip


def hedges_dz(differences: Floats) -> float:
    """Mean over standard deviation of [n] differences, times the exact factor that removes its small-sample bias.

    NaN with fewer than 3 differences, from which no unbiased estimate exists, or where they do not vary.
    """
    n = len(differences)
    if n < 3 or differences.max() == differences.min():
        return float("nan")
    freedom = n - 1
    factor = np.exp(gammaln(freedom / 2) - gammaln((freedom - 1) / 2)) / np.sqrt(freedom / 2)
    return float(factor * differences.mean() / differences.std(ddof=1))
