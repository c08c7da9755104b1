"""A map of values over two axes: the more, the darker. One colour, so that it reads in light and dark."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import matplotlib.colors
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from numpy.typing import NDArray

from otoscope.report.figures.style import key
from otoscope.report.figures.svg import draw

#: The faintest shade: a cell without value is empty, one with the least value is not.
_FAINT = 0.04


@dataclass(frozen=True)
class Heat:
    """``values`` ``[rows, columns]``, NaN for none. ``bounds``: where rows of one kind begin, drawn as lines with their
    ``names`` beside the middle; ``ticks`` along the columns (position, word)."""

    title: str
    x_label: str
    y_label: str
    values: NDArray[np.float64]
    names: Sequence[str]
    bounds: Sequence[int]
    ticks: Sequence[tuple[int, str]]
    colour: str = "c1"
    limits: tuple[float, float] | None = None  # of the shades, where maps are to be read beside each other

    @property
    def span(self) -> tuple[float, float]:
        """The values of the faintest and of the darkest shade."""
        if self.limits is not None:
            return self.limits
        return float(np.nanmin(self.values)), float(np.nanmax(self.values))


def heat_svg(name: str, alt: str, heat: Heat, size: tuple[float, float]) -> Markup:
    """``heat`` as inline SVG; ``name`` must be unique on the page."""
    return draw(re.sub(r"[^\w-]", "_", name), alt, lambda axes: _draw(axes, heat), size, bool(heat.title))


def _draw(axes: Axes, heat: Heat) -> None:
    low, high = heat.span
    share = (heat.values - low) / (high - low) if high > low else np.zeros_like(heat.values)
    colours = np.zeros((*heat.values.shape, 4))
    colours[..., :3] = matplotlib.colors.to_rgb(key(heat.colour))
    colours[..., 3] = np.nan_to_num(_FAINT + (1.0 - _FAINT) * share, nan=0.0)
    axes.grid(False)
    mesh = axes.pcolormesh(np.zeros(heat.values.shape), linewidth=0)
    mesh.set_array(None)
    mesh.set_facecolor([tuple(c) for c in colours.reshape(-1, 4).tolist()])
    ends = [*heat.bounds, len(heat.values)]
    for edge in ends[1:-1]:
        axes.axhline(edge, color=key("soft"), linewidth=0.7)
    axes.set_yticks([(a + b) / 2 for a, b in pairwise(ends)], list(heat.names))
    axes.set_xticks([i + 0.5 for i, _ in heat.ticks], [word for _, word in heat.ticks])
    axes.tick_params(length=0)
    axes.set_title(heat.title)
    axes.set_xlabel(heat.x_label)
    axes.set_ylabel(heat.y_label)
