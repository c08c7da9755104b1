"""Cells and words that the sections on probes share."""

from __future__ import annotations

from otoscope.core.naming import parse_spec
from otoscope.report.section import TD
from otoscope.report.tables import DASH, interval, number
from otoscope.tasks.probes.averages import Average, Point

#: What a probe's name means.
PROBES = {
    "xares-mlp": "linear head of X-ARES (LayerNorm, Linear), which calls itself MLP",
    "mlp": "one hidden layer",
    "linear": "logistic regression",
    "knn-cosine": "ten nearest neighbours by cosine",
    "attention": "learned weights over frames, then linear",
    "layer-mix": "learned weights over layers, then linear",
    "knn-xares": "ten nearest neighbours, normalised over the wrong axis as in X-ARES",
}


def probe_title(probe: str) -> str:
    """``knn-cosine: ten nearest neighbours by cosine``."""
    return f"{probe}: {PROBES[probe]}" if probe in PROBES else probe


def task_title(task: str) -> str:
    """``esc50`` for ``xares/esc50``, with parameters where there are any."""
    spec = parse_spec(task)
    name = spec.name.partition("/")[2] or spec.name
    more = ", ".join(f"{k} {v}" for k, v in spec.params.items() if k not in ("probes", "seeds"))
    return f"{name} ({more})" if more else name


def cell(x: Point | Average | None, *, sign: bool = False) -> TD:
    """A score with its interval below; of an average also how many tasks it lacks."""
    if x is None or x.value is None:
        return TD(DASH, number=True)
    left_out = x.left_out if isinstance(x, Average) else ()
    sub = interval(x.low, x.high, 3, sign=sign)
    if left_out and isinstance(x, Average):
        sub = f"{sub} {len(x.tasks)} of {len(x.tasks) + len(left_out)} tasks".strip()
    return TD(number(x.value, 3, sign=sign), sub, number=True)
