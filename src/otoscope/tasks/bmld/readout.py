"""The learned 2AFC listener of Tier B: does a linear readout hear the tone in this interval?

Per frequency, configuration and signal-to-noise ratio: standardise and reduce (PCA) on the training seeds, fit a
shrinkage LDA on signal against noise intervals, and ask on held-out seeds which interval of a pair holds the tone.
Folds keep seeds whole, so no noise token is ever in both parts. The protocol is ours (the paper has no thresholds).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from otoscope.core.errors import InputError

Matrix = NDArray[np.float64]


def listener(n_train: int, dim: int, components: int) -> Pipeline:
    """Standardise, PCA to at most ``components``, shrinkage LDA. The same capacity in every condition."""
    k = min(components, dim, n_train - 1)
    steps: list[object] = [StandardScaler()]
    if k < dim:
        steps.append(PCA(n_components=k, svd_solver="full"))
    return make_pipeline(*steps, LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"))


def cross_validated_choices(
    signal: Matrix,
    noise: Matrix,
    groups: NDArray[np.str_],
    *,
    folds: int,
    components: int,
    flips: NDArray[np.bool_] | None,
) -> NDArray[np.float64]:
    """Per pair: 1 where the held-out signal interval has the higher decision value, 0 where lower, 0.5 on a tie.

    ``signal``, ``noise``: ``[n, D]``, row k of both is one pair; ``groups`` ``[n]``. ``flips`` ``[n]`` swaps the
    labels of those *training* pairs (the permutation null). Raises :class:`InputError` with fewer groups than folds.
    """
    n_groups = len(np.unique(groups))
    if n_groups < folds:
        raise InputError(f"{n_groups} seeds cannot fill {folds} folds", fix="Raise n_seeds, or lower folds.")
    correct = np.full(len(signal), np.nan)
    for train, test in GroupKFold(n_splits=folds).split(signal, groups=groups):
        if set(groups[train]) & set(groups[test]):
            raise AssertionError("a seed straddles the folds")
        x = np.concatenate([signal[train], noise[train]])
        y = np.concatenate([np.ones(len(train)), np.zeros(len(train))])
        if flips is not None:
            y = np.where(np.tile(flips[train], 2), 1.0 - y, y)
        if np.ptp(x, axis=0).max() == 0.0:
            correct[test] = 0.5  # every interval looks the same: the listener guesses
            continue
        fitted = listener(len(x), x.shape[1], components).fit(x, y)
        margin = fitted.decision_function(signal[test]) - fitted.decision_function(noise[test])
        correct[test] = np.where(margin > 0, 1.0, np.where(margin < 0, 0.0, 0.5))
    return correct
