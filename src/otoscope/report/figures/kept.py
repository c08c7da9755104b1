"""A recording's spectrogram, and below it one strip per method: which of its audio tokens stay.

Both are raster images (a minute has hundreds of tokens and thousands of cells) in one mid tone whose opacity is the
value, so that they read on light and on dark paper.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from numpy.typing import NDArray

from otoscope.audio.stft import hann
from otoscope.core.audio import Audio
from otoscope.report.figures.style import key
from otoscope.report.figures.svg import draw

#: Red, green and blue of the images, of one contrast on white and on black.
_TONE = (0.17, 0.47, 0.72)
_FFT, _COLUMNS, _RANGE_DB = 512, 480, 60.0
#: Height of the spectrogram in rows, and of a strip in its row; the label stands above.
_HIGH, _STRIP = 3.2, 0.52


@dataclass(frozen=True)
class Strips:
    """``rows``: label and, of each audio token in order, the share of places in which it stays, ``[N]`` in 0 to 1."""

    sound: Audio
    rows: Sequence[tuple[str, NDArray[np.floating]]]


def kept_svg(name: str, alt: str, strips: Strips) -> Markup:
    """The figure as inline SVG; ``name`` must be unique on the page. Tokens are spread evenly over the sound."""
    size = (9.4, 0.36 * (_HIGH + len(strips.rows)) + 0.75)
    return draw(re.sub(r"[^\w-]", "_", name), alt, lambda axes: _draw(axes, strips), size, False)


def level_map(sound: Audio) -> NDArray[np.float64]:
    """Levels ``[bins, columns]`` of a sound's mean channel, 0 (60 dB below the loudest, or less) to 1."""
    x = sound.samples.mean(0, dtype=np.float64)
    x = np.pad(x, (0, max(0, _FFT - len(x))))
    starts = np.linspace(0, len(x) - _FFT, _COLUMNS).astype(int)
    frames = np.lib.stride_tricks.sliding_window_view(x, _FFT)[starts] * hann(_FFT)
    level = 20 * np.log10(np.abs(np.fft.rfft(frames, axis=-1)).T + 1e-9)
    found: NDArray[np.float64] = np.clip((level - level.max()) / _RANGE_DB + 1.0, 0.0, 1.0)
    return found


def _draw(axes: Axes, strips: Strips) -> None:
    seconds, n = strips.sound.duration_s, len(strips.rows)
    axes.grid(False)
    axes.imshow(
        _image(level_map(strips.sound)),
        extent=(0, seconds, n, n + _HIGH), origin="lower", aspect="auto", interpolation="nearest",
    )  # fmt: skip
    for i, (label, shares) in enumerate(strips.rows):
        bottom = n - 1 - i
        extent = (0, seconds, bottom + 0.08, bottom + 0.08 + _STRIP)
        axes.imshow(_image(shares[None]), extent=extent, aspect="auto", interpolation="nearest")
        axes.plot([0, seconds, seconds, 0, 0], np.array(extent)[[2, 2, 3, 3, 2]], color=key("line"), linewidth=0.6)
        axes.text(0, extent[3] + 0.06, label, fontsize=8, color=key("ink"), va="bottom")
    axes.set(xlim=(0, seconds), ylim=(0, n + _HIGH), xlabel="time (s)")
    top = strips.sound.rate / 2000
    axes.set_yticks([n, n + _HIGH / 2, n + _HIGH], ["0", f"{top / 2:g}", f"{top:g} kHz"])


def _image(share: NDArray[np.floating]) -> NDArray[np.uint8]:
    """``share`` ``[h, w]`` in 0 to 1 as the opacity of one tone, ``[h, w, 4]``."""
    image = np.empty((*share.shape, 4))
    image[..., :3] = _TONE
    image[..., 3] = share
    return np.rint(255 * image).astype(np.uint8)
