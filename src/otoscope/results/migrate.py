"""Old run directories stay readable: one step per schema version, applied in memory when a file is read.

``STEPS[kind][v]`` turns a table of version ``v`` into version ``v + 1``. Files are never rewritten: new attempts are
written in today's schema beside old ones, and each file says in its footer which version it is. A change of the schema
adds its step here, and a directory of the version it ends under ``tests/historic/``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pyarrow as pa

from otoscope.results.schema import ROWS, SCHEMA_VERSION

Step = Callable[[pa.Table], pa.Table]


def _without_training(rows: pa.Table) -> pa.Table:
    """Version 1 did not ask whether a model had been trained on an item."""
    return rows.append_column(ROWS.field("in_training"), pa.array([False] * rows.num_rows, pa.bool_()))


#: kind of table -> version -> step to the next version. Version 1 is the first.
STEPS: dict[str, dict[int, Step]] = {"rows": {1: _without_training}, "cells": {}}


def upgrade(
    table: pa.Table, kind: str, version: int, steps: Mapping[str, Mapping[int, Step]] | None = None
) -> pa.Table:
    """``table`` of schema ``version`` in today's schema. A version without a step for its kind passes through."""
    for v in range(version, SCHEMA_VERSION):
        step = (STEPS if steps is None else steps)[kind].get(v)
        table = step(table) if step else table
    return table
