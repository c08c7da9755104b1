"""A spherical head: how a set of distant point sources reaches two ears.

Delay: the straight path to the lit side and the arc around the sphere to the shaded one (R. S. Woodworth, Experimental
Psychology, 1938). Shadow: one pole and one zero at the sphere's scale, boosting the lit side by 6 dB and damping the
far side at high frequencies (C. P. Brown and R. O. Duda, IEEE Trans. Speech Audio Process. 6(5), 1998). Applying both
to every image source of a room is ours. No pinna, no torso: elevation changes only what the angle to the ear changes.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Array = NDArray[np.float64]
Head = Literal["sphere", "open"]

#: Half the distance between the ears, and the radius of the sphere, in metres.
RADIUS_M = 0.0875
SPEED_OF_SOUND = 343.0
_OVERSAMPLE = 32
#: Least high-frequency gain of the shadow, and the angle at which it is reached (Brown and Duda, 1998).
_ALPHA_MIN, _THETA_MIN = 0.1, np.deg2rad(150.0)


def ear_axes(view_rad: float) -> Array:
    """Unit vectors from the centre of the head to the left and right ear, ``[2, 3]``; ``view_rad`` is where it looks,
    anticlockwise from the x axis."""
    left = np.array([-np.sin(view_rad), np.cos(view_rad), 0.0])
    return np.stack([left, -left])


def ears(
    directions: Array, distances_m: Array, gains: Array, view_rad: float, n: int, rate: int, head: Head = "sphere"
) -> Array:
    """Impulse responses ``[2, n]`` at ``rate`` Hz, left ear first.

    ``directions`` ``[3, k]`` are unit vectors from the centre of the head to each source, ``distances_m`` ``[k]`` to
    its centre, ``gains`` ``[k]`` factors on top of 1 / distance. ``open`` puts two omnidirectional receivers where the
    ears would be. Sources that arrive after ``n`` samples are left out. The top tenth of the band is faded out.
    """
    return np.stack([_ear(axis @ directions, distances_m, gains, n, rate, head) for axis in ear_axes(view_rad)])


def shadow(theta_rad: Array) -> Array:
    """High-frequency gain of the sphere for incidence ``theta_rad`` from the ear's axis: 2 on it, 0.1 behind."""
    low = _ALPHA_MIN / 2
    return np.asarray((1 + low) + (1 - low) * np.cos(theta_rad / _THETA_MIN * np.pi))


def path_m(cosine: Array, distances_m: Array, head: Head) -> Array:
    """Length of the way to an ear at angle ``arccos(cosine)`` from sources ``distances_m`` from the head's centre."""
    if head == "open":
        return np.sqrt(distances_m**2 + RADIUS_M**2 - 2 * distances_m * RADIUS_M * cosine)
    theta = np.arccos(np.clip(cosine, -1, 1))
    return distances_m + RADIUS_M * np.where(theta < np.pi / 2, -np.cos(theta), theta - np.pi / 2)


def _ear(cosine: Array, distances_m: Array, gains: Array, n: int, rate: int, head: Head) -> Array:
    path = path_m(cosine, distances_m, head)
    amplitude = gains / (path if head == "open" else distances_m)
    coarse = 2 * fft.next_fast_len((n + 256) // 2 + 1)
    size = coarse * _OVERSAMPLE
    plain = _impulses(path, amplitude, size, n, rate)[: coarse // 2 + 1]
    f = np.arange(len(plain)) * rate / coarse
    spectrum = plain
    if head == "sphere":
        alpha = shadow(np.arccos(np.clip(cosine, -1, 1)))
        s = 1j * np.pi * f * RADIUS_M / SPEED_OF_SOUND  # s / (2 w0), w0 = c / radius
        spectrum = (plain + _impulses(path, amplitude * alpha, size, n, rate)[: len(f)] * s) / (1 + s)
    edge = np.clip((rate / 2 - f) / (0.1 * rate / 2), 0, 1)
    spectrum = spectrum * (0.5 - 0.5 * np.cos(np.pi * edge))
    # Nothing is left above half the rate, so transforming back on the coarse grid decimates exactly.
    return np.asarray(fft.irfft(spectrum, coarse)[:n])


def _impulses(path: Array, amplitude: Array, size: int, n: int, rate: int) -> NDArray[np.complex128]:
    """Spectrum of the impulses on a grid so fine that linear interpolation places them (error below 0.1 %)."""
    at = path / SPEED_OF_SOUND * rate * _OVERSAMPLE
    kept = at < (n - 1) * _OVERSAMPLE
    at, amplitude = at[kept], amplitude[kept]
    left = at.astype(np.int64)
    blend = at - left
    train = np.bincount(left, amplitude * (1 - blend), size) + np.bincount(left + 1, amplitude * blend, size)
    return fft.rfft(train)
