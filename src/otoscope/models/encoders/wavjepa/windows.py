"""How a sound of any length becomes windows of WavJEPA-Nat, and which tokens are kept.

A window has 32159 samples: 2.01 * 16000, cut to a whole number in floating point by the public code. The last window is
filled with zeros; tokens of the filling are neither attended to nor kept. Facts from the public repository of
arXiv 2509.23238.
"""

from __future__ import annotations

from typing import Any

#: Added to the standard deviation of a window before the division.
EPSILON = 1e-5
#: Root mean square over both channels that the public runtime brings a sound to: -14 dB re full scale.
LEVEL = 10 ** (-14 / 20)


def kept_steps(n: int, window: int, steps: int, rate: int) -> list[int]:
    """Tokens kept of each window of ``n`` samples; windows that keep none are left out, so the list may be empty.

    The public runtime appends a whole window of zeros where ``n`` is a multiple of ``window`` and drops all its tokens;
    windows don't see each other, so leaving it out changes nothing. The fill in tokens is rounded down, in floating
    point as there: whole-number arithmetic would now and then keep one token less.
    """
    fill = window - n % window
    per_second = int(steps / max(1, window // rate))
    filled = min(steps, int(fill / rate * per_second))
    out = [steps] * (n // window)
    return out if filled == steps else [*out, steps - filled]


def to_level(x: Any) -> Any:
    """``[B, C, n]`` at the level of the public runtime, one gain per sound for both channels; silence stays silent."""
    import torch

    rms = x.pow(2).mean(dim=(-2, -1), keepdim=True).sqrt()
    return x * torch.where(rms > 0, LEVEL / rms.clamp_min(torch.finfo(x.dtype).tiny), torch.ones_like(rms))


def standardise(x: Any) -> Any:
    """``[B, C, window]`` -> mean 0 and standard deviation 1 over channels and time together, filling included, so
    that the level difference between the ears is kept."""
    mean = x.mean(dim=(-2, -1), keepdim=True)
    return (x - mean) / (x.std(dim=(-2, -1), keepdim=True) + EPSILON)
