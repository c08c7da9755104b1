"""A validation part cut out of the training part: groups stay whole, classes keep their shares where they can. Ours."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

from otoscope.core.errors import InputError

#: One part in so many is held back.
PARTS = 5


def inner_split(y: NDArray[Any], groups: NDArray[np.str_], seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows to train on and rows to choose by; no group is in both.

    ``y`` ``[N]`` class numbers (stratified) or ``[N, C]`` (not). Raises :class:`InputError` with a single group: there
    is nothing to choose by that the readout has not learned from.
    """
    n_groups = len(np.unique(groups))
    if n_groups < 2:
        raise InputError(
            "training holds one group only, so no part of it can be held back",
            fix="Give the recordings groups (speaker, source), or choose on a validation split: select_on=valid.",
        )
    parts = min(PARTS, n_groups)
    stratified = y.ndim == 1 and int(np.bincount(y).max()) >= 2
    if stratified:  # no more parts than the commonest class has members
        parts = min(parts, int(np.bincount(y).max()))
    rng = np.random.default_rng(seed)
    if stratified:
        with warnings.catch_warnings():  # a class with few members is spread as far as it goes, which is all we ask
            warnings.filterwarnings("ignore", message="The least populated class")
            folds: Any = StratifiedGroupKFold(parts, shuffle=True, random_state=int(rng.integers(2**31)))
            cuts = list(folds.split(np.zeros(len(y)), y, groups))
    else:
        names = rng.permutation(np.unique(groups))
        at = {g: i for i, g in enumerate(names)}
        cuts = list(GroupKFold(parts).split(np.zeros(len(y)), groups=np.array([at[g] for g in groups])))
    usable = [(a, b) for a, b in cuts if len(a) and len(b)]
    # The part that leaves most classes to learn, and of those the one nearest to its share.
    n_classes = [len(np.unique(y[a])) if y.ndim == 1 else int((y[a].sum(axis=0) > 0).sum()) for a, _ in usable]
    wanted = len(y) / parts
    train, held = min(
        (p for p, n in zip(usable, n_classes, strict=True) if n == max(n_classes)),
        key=lambda p: abs(len(p[1]) - wanted),
    )
    return np.sort(train).astype(np.intp), np.sort(held).astype(np.intp)
