"""Maximum likelihood of psychometric functions, many at once.

A psychometric function is psi(x) = guess + (1 - guess - lapse) F(x), F a rising sigmoid with F(location) = 1/2 and
``width`` the distance from F = 0.05 to F = 0.95 (Wichmann & Hill 2001; the width of Schuett et al. 2016). Counts are
binomial. A coarse grid gives each fit its start; then Newton steps with Levenberg damping climb all fits side by side
in (location, log width, lapse) within a box. The box (ours): width from the smallest step of x to three times
the tested range, as steeper or flatter curves look alike at the tested points; lapse from 0 to ``lapse_max``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit, ndtr, ndtri

from otoscope.stats.checks import Floats

SIGMOIDS = ("norm", "logistic")
_TINY = 1e-12
_MAX_STEPS = 80
_FITS_AT_ONCE = 2000
_FLATTEST = 1e-3  # least curvature a step reckons with, and least damping, as shares of the expected information
_LAPSES = np.array([0.0, 0.07, 0.25, 0.5, 1.0])
_OUTSIDE = np.array([0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0])
_SETTLED = 1e-6  # log-likelihood units; a standard error is half a unit


@dataclass(frozen=True, eq=False)
class Family:
    """What is fixed in a fit: tested levels ``x`` [L], sigmoid, guess rate and the range of the lapse rate."""

    x: Floats
    sigmoid: str
    guess: float
    lapse_low: float
    lapse_high: float

    @property
    def span(self) -> float:
        return float(self.x.max() - self.x.min())

    @cached_property
    def box(self) -> tuple[Floats, Floats]:
        """Lowest and highest (location, log width, lapse)."""
        low, high = self.x.min(), self.x.max()
        least = float(np.diff(np.unique(self.x)).min())
        return (
            np.array([low - 2 * self.span, np.log(least), self.lapse_low]),
            np.array([high + 2 * self.span, np.log(3 * self.span), self.lapse_high]),
        )

    @cached_property
    def _grid(self) -> tuple[Floats, Floats, Floats]:
        """Starting points [G, 3] and the logarithms of psi and 1 - psi there, [G, L]."""
        bottom, top = self.box
        # Outside the tested levels only shallow or distant curves differ: a coarser grid will do.
        inside = np.linspace(self.x.min(), self.x.max(), 21)
        below, above = inside[0] - self.span * _OUTSIDE, inside[-1] + self.span * _OUTSIDE
        locations = np.concatenate([below, inside, above])
        widths = np.linspace(bottom[1], top[1], 7)
        lapses = np.unique(self.lapse_low + (self.lapse_high - self.lapse_low) * _LAPSES)
        points = np.stack(np.meshgrid(locations, widths, lapses, indexing="ij"), axis=-1).reshape(-1, 3)
        p, q = self.proportions(points, self.x)
        return points, np.log(p), np.log(q)

    @property
    def steepness(self) -> float:
        """z = steepness * (x - location) / width is the argument of the standard sigmoid."""
        return 2 * float(ndtri(0.95) if self.sigmoid == "norm" else logit(0.95))

    def proportions(self, parameters: Floats, x: Floats) -> tuple[Floats, Floats]:
        """psi and 1 - psi at ``x`` [L] for parameters [B, 3], both [B, L] and kept off zero."""
        z = self.steepness * (x - parameters[:, :1]) * np.exp(-parameters[:, 1:2])
        rise, fall = (ndtr(z), ndtr(-z)) if self.sigmoid == "norm" else _expit_pair(z)
        return self._mix(rise, fall, parameters[:, 2:3])

    def _mix(self, rise: Floats, fall: Floats, lapse: Floats) -> tuple[Floats, Floats]:
        room = 1.0 - self.guess - lapse
        return np.maximum(self.guess + room * rise, _TINY), np.maximum(lapse + room * fall, _TINY)

    def _likelihood(self, parameters: Floats, k: Floats, n: Floats) -> Floats:
        p, q = self.proportions(parameters, self.x)
        return (k * np.log(p) + (n - k) * np.log(q)).sum(axis=1)

    def _derivatives(self, parameters: Floats, k: Floats, n: Floats) -> tuple[Floats, Floats, Floats]:
        """Score [B, 3], curvature (negated Hessian) [B, 3, 3] and the diagonal [B, 3] of the expected information."""
        scale = self.steepness * np.exp(-parameters[:, 1:2])  # dz/dx
        z = scale * (self.x - parameters[:, :1])
        if self.sigmoid == "norm":
            rise, fall = ndtr(z), ndtr(-z)
            density = np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)
            bend = -z * density
        else:
            rise, fall = _expit_pair(z)
            density = rise * fall
            bend = density * (fall - rise)
        p, q = self._mix(rise, fall, parameters[:, 2:3])
        room = 1.0 - self.guess - parameters[:, 2:3]
        first = np.stack([-room * density * scale, -room * density * z, -rise], axis=1)  # d psi, [B, 3, L]
        residual = k / p - (n - k) / q
        across = room * scale * (bend * z + density)
        second = np.empty((len(k), 3, 3))  # sum of residual * d2 psi
        second[:, 0, 0] = (residual * room * scale**2 * bend).sum(axis=1)
        second[:, 0, 1] = second[:, 1, 0] = (residual * across).sum(axis=1)
        second[:, 1, 1] = (residual * room * z * (bend * z + density)).sum(axis=1)
        second[:, 0, 2] = second[:, 2, 0] = (residual * density * scale).sum(axis=1)
        second[:, 1, 2] = second[:, 2, 1] = (residual * density * z).sum(axis=1)
        second[:, 2, 2] = 0.0
        weighted = first * (k / p**2 + (n - k) / q**2)[:, None, :]
        curvature = weighted @ first.transpose(0, 2, 1) - second
        information = (first**2 * (n / (p * q))[:, None, :]).sum(axis=2)
        return (first @ residual[:, :, None])[:, :, 0], curvature, information

    def fit(self, k: Floats, n: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """Fit ``k`` correct of ``n`` trials, both [B, L].

        Returns:
            parameters [B, 3] (location, log width, lapse), log-likelihood [B] without the binomial coefficients, and
            whether the climb settled [B].
        """
        starts = self._starts(k, n)
        m = len(starts)
        parameters, likelihood, settled = self._climb(np.concatenate(starts), np.tile(k, (m, 1)), np.tile(n, (m, 1)))
        best = np.argmax(likelihood.reshape(m, -1), axis=0) * len(k) + np.arange(len(k))
        return parameters[best], likelihood[best], settled[best]

    def _starts(self, k: Floats, n: Floats) -> list[Floats]:
        """Starting points [B, 3]: the best of the grid without lapses and, where they are free, the best with lapses.

        Errors at high levels may be lapses of a steep curve or the tail of a shallow one: two peaks, often.
        """
        points, log_p, log_q = self._grid
        blocks = [slice(start, start + _FITS_AT_ONCE) for start in range(0, len(k), _FITS_AT_ONCE)]
        starts = []
        for part in (points[:, 2] == self.lapse_low, points[:, 2] > self.lapse_low):
            if part.any():
                p, q = log_p[part].T, log_q[part].T
                best = [np.argmax(k[block] @ p + (n[block] - k[block]) @ q, axis=1) for block in blocks]
                starts.append(points[part][np.concatenate(best)])
        return starts

    def _climb(self, starts: Floats, k: Floats, n: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """Parameters, log-likelihood and whether each climb settled, from ``starts`` [B, 3]."""
        parameters = starts.copy()
        likelihood = self._likelihood(parameters, k, n)
        damping = np.full(len(k), 1e-3)
        active = np.arange(len(k))
        for _ in range(_MAX_STEPS):
            used = damping[active]
            trial = np.clip(parameters[active] + self._step(parameters[active], k[active], n[active], used), *self.box)
            value = self._likelihood(trial, k[active], n[active])
            gain = value - likelihood[active]
            better = gain > 0
            moved = active[better]
            parameters[moved], likelihood[moved] = trial[better], value[better]
            damping[active] = np.maximum(np.where(better, used / 10, used * 10), _FLATTEST / 10)
            # Settled: a full step changes nothing, or no step however short gains anything.
            done = ((np.abs(gain) < _SETTLED) & (used <= 1)) | (used > 1e8)
            active = active[~done]
            if len(active) == 0:
                break
        settled = np.ones(len(k), dtype=bool)
        settled[active] = False
        return parameters, likelihood, settled

    def _step(self, parameters: Floats, k: Floats, n: Floats, damping: Floats) -> Floats:
        """Damped Newton step [B, 3], zero for parameters that push against the box.

        Curvatures are measured against the expected information and taken by magnitude, so that every step climbs,
        also away from saddle points.
        """
        score, curvature, information = self._derivatives(parameters, k, n)
        low, high = self.box
        free = ~((parameters <= low) & (score < 0) | (parameters >= high) & (score > 0))
        scale = free / np.sqrt(information + _TINY)
        values, vectors = np.linalg.eigh(curvature * scale[:, :, None] * scale[:, None, :])
        along = (vectors * (score * scale)[:, :, None]).sum(axis=1)
        along /= np.maximum(np.abs(values), _FLATTEST) + damping[:, None]
        return scale * (vectors * along[:, None, :]).sum(axis=2)

    def level_at(self, parameters: Floats, target: float) -> Floats:
        """x [B] at which psi equals ``target``, which lies above guess and below 1 - lapse."""
        share = (target - self.guess) / (1.0 - self.guess - parameters[:, 2])
        z = ndtri(share) if self.sigmoid == "norm" else logit(share)
        level: Floats = parameters[:, 0] + z * np.exp(parameters[:, 1]) / self.steepness
        return level


def _expit_pair(z: Floats) -> tuple[Floats, Floats]:
    small = np.exp(-np.abs(z))
    near, far = 1.0 / (1.0 + small), small / (1.0 + small)
    return np.where(z >= 0, near, far), np.where(z >= 0, far, near)
