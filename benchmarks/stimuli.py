"""Stimuli per second: one BMLD triplet (four sounds of 2 s) in each condition, at the rates of three model families.

The ratio is to the intact triplet at 16 kHz of the same run. Every seed is new, so nothing comes from a cache, except
what a real run shares too.
"""

from __future__ import annotations

import time

from common import options, show
from otoscope.tasks.catalogue import CONDITIONS, resolve_condition, resolve_task

RATES = (16_000, 32_000, 48_000)


def seconds_each(condition: str, rate: int, n: int) -> float:
    """Wall seconds per triplet, after one that pays for filters and windows."""
    task = resolve_task(f"bmld:frequencies=500,snrs=-14,n_seeds={n + 1}")
    change = resolve_condition(condition)
    items = [change(item) for item in task.items()]
    items[0].inputs.render(rate)
    start = time.perf_counter()
    for item in items[1:]:
        item.inputs.render(rate)
    return (time.perf_counter() - start) / n


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--n", type=int, default=12, help="triplets per condition and rate")
    chosen = parser.parse_args()
    unit = None
    rows = []
    for condition in ["intact", *(c for c in CONDITIONS if c != "intact")]:
        each = {rate: seconds_each(condition, rate, chosen.n) for rate in RATES}
        unit = unit or each[RATES[0]]
        rows.append(
            {
                "condition": condition,
                **{f"triplets/s at {rate // 1000} kHz": 1.0 / s for rate, s in each.items()},
                "cost re intact": each[RATES[0]] / unit,
            }
        )
    show(rows, chosen.json)


if __name__ == "__main__":
    main()
