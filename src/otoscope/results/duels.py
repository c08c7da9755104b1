"""A method against a ladder of rivals at equal savings, with intervals over items.

A ladder is one rival at several settings (fewer steps: 2, 4, 8, ...). Its loss at the method's saving is read off the
line through its rungs' means, which starts at the unmodified model (nothing saved, nothing lost). Beyond the last rung
nothing is claimed. Losses, savings, difference and ratio are functions of means, resampled over the same items.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from otoscope.results.ofmeans import OfMeans
from otoscope.results.trades import Setting
from otoscope.stats.grouping import group_codes
from otoscope.stats.intervals import Interval

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Duel:
    """``method`` against the ladder ``rival`` where both save the same share of ``saving``.

    ``difference`` is the ladder's loss less the method's (positive: the method loses less), ``ratio`` the ladder's loss
    over the method's, None where the interval of either loss reaches 0 or below: a ratio of nothings, or of gains, says
    nothing. ``note`` says why a value is missing; ``n_left_out`` items lack a value of some rung.
    """

    method: str
    rival: str
    metric: str
    saving: str
    saved: float | None = None
    method_loss: Interval | None = None
    rival_loss: Interval | None = None
    difference: Interval | None = None
    ratio: Interval | None = None
    note: str = ""
    n_left_out: int = 0

    @property
    def winner(self) -> str:
        """``method``, ``rival``, or "" where the difference's interval covers 0 or there is none."""
        if self.difference is None or _covers_zero(self.difference):
            return ""
        return "method" if self.difference.low > 0 else "rival"


def duel(
    setting: Setting,
    method: str,
    rival: str,
    rungs: Sequence[str],
    *,
    metric: str,
    saving: str,
    seed: int = 0,
    n_resamples: int = 2000,
    level: float = 0.95,
) -> Duel:
    """Compare ``method`` with the ladder called ``rival`` whose rungs are the interventions ``rungs``."""
    blank = Duel(method, rival, metric, saving)
    names = [method, *rungs]
    terms = np.stack([c for n in names for c in (setting.saved(n, saving), setting.loss(n, metric))])
    whole = np.isfinite(terms).all(axis=0)
    blank = replace(blank, n_left_out=int((~whole).sum()))
    if not rungs or not whole.any():
        return replace(blank, note="no item has all values" if rungs else "the rival was not run")
    codes, _ = group_codes(setting.groups[whole].tolist(), int(whole.sum()))

    def interval(combine: Callable[..., Floats]) -> Interval:
        how = OfMeans((), combine)
        return how.intervals(terms[None, :, whole], codes, n_resamples=n_resamples, level=level, seed=seed)[0]

    own, other = interval(_own), interval(_at_equal)
    found = replace(blank, saved=float(terms[0, whole].mean()), method_loss=own)
    if not np.isfinite(other.value):
        top = max(float(terms[2 * i + 2, whole].mean()) for i in range(len(rungs)))
        return replace(found, note=f"the method's saving is outside of the rival's, which go from 0 to {top:.3g}")
    found = replace(found, rival_loss=other, difference=interval(lambda *t: _at_equal(*t) - _own(*t)))
    none = [who for who, loss in (("method", own), ("rival", other)) if not loss.low > 0]
    if none:
        return replace(found, note=f"no ratio: the {' and the '.join(none)} cannot be said to lose anything")
    return replace(found, ratio=interval(lambda *t: _at_equal(*t) / _own(*t)))


def _own(*means: Floats) -> Floats:
    """The method's loss. ``means``: its saving and loss, then those of each rung."""
    return means[1]


def _at_equal(*means: Floats) -> Floats:
    """The ladder's loss at the method's saving, NaN outside of the ladder; element by element."""
    x = np.stack([np.zeros_like(means[0]), *means[2::2]])
    y = np.stack([np.zeros_like(means[0]), *means[3::2]])
    order = np.argsort(x, axis=0, kind="stable")
    x, y = np.take_along_axis(x, order, 0), np.take_along_axis(y, order, 0)
    at = means[0]
    above = np.clip((x < at).sum(axis=0), 1, len(x) - 1)
    x0, x1, y0, y1 = (np.take_along_axis(v, i[None], 0)[0] for v in (x, y) for i in (above - 1, above))
    share = np.divide(at - x0, x1 - x0, out=np.zeros_like(at), where=x1 > x0)
    inside = (at > 0) & (at <= x[-1] + 1e-9)
    return np.where(inside, y0 + share * (y1 - y0), np.nan)


def _covers_zero(x: Interval) -> bool:
    return not (x.low > 0 or x.high < 0)
