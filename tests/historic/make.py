"""Write ``v<SCHEMA_VERSION>/`` and what it says as JSON. Run once when a schema version is released; never again.

    python tests/historic/make.py

The directory has one of everything: an attempt that supersedes another, a readout, each status, text beyond ASCII, an
artefact. ``tests/results/test_migrate.py`` reads every version that is kept here.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from otoscope.core.identity import canonical, digest
from otoscope.results.cells import Cell
from otoscope.results.schema import SCHEMA_VERSION, WHOLE_ITEM, row_table
from otoscope.results.shards import Extent, ShardKey, plan_shards
from otoscope.results.store import Results

ROW_FIELDS = (
    "cell", "round", "shard", "item", "base_id", "group", "metric", "value", "factors", "raw", "status", "note",
    "output", "seconds_model", "tokens_in", "in_training",
)  # fmt: skip
CELL_FIELDS = (
    "cell", "alias", "task", "condition", "model", "intervention", "seed", "identity", "status", "error", "n_items",
    "n_done", "n_failed",
)  # fmt: skip


def records(seed: int, artefact: str) -> list[dict[str, Any]]:
    name = f"500Hz/seed={seed}"
    factors = {"frequency_hz": 500, "snr_db": -14.5, "rung": "intact", "dichotic": True}
    base = {"item": name, "base_id": name, "group": f"seed={seed}", "factors": factors}
    base |= {"output": artefact, "seconds_model": 0.25, "tokens_in": 3, "in_training": seed == 1}
    if seed == 3:
        return [{**base, "metric": WHOLE_ITEM, "value": None, "status": "failed", "note": "out of memory"}]
    return [
        {**base, "metric": "delta_db", "value": seed + 0.1, "status": "ok"},
        {**base, "metric": "ratio", "value": None, "status": "undefined", "note": "0/0"},
        {**base, "metric": "answer", "value": 0.0, "status": "unparsed", "raw": "später — maybe"},
    ]


def main() -> None:
    here = Path(__file__).parent
    path = here / f"v{SCHEMA_VERSION}"
    if path.exists():
        raise SystemExit(f"{path} is there: a released version is not written again")
    results = Results.open(path, create=True)
    results.record_run({"experiment": {"task": "toy", "models": ["a"]}, "packages": {"numpy": "2.4"}})
    artefact = results.put_artefact({"scale": np.array([0.5, 2.0])})
    identity = {"task": "toy", "model": "a", "seed": 0}
    cell = digest(identity, 32)
    ids = [f"500Hz/seed={s}" for s in range(4)]
    plan = plan_shards(0, ids, 3)
    readout = ShardKey.of(0, 0, ids, kind="readout")
    extent = Extent().with_round(0, 4, [*(k for k, _ in plan), readout])
    results.register([Cell(cell, "toy/intact/a", "toy", "intact", "a", "none", 0, canonical(identity), extent=extent)])
    for key, cut in plan:
        rows = [r for s in range(4)[cut] for r in records(s, artefact)]
        results.write_shard(cell, key, row_table(cell, 0, key.index, rows))
    results.write_shard(cell, plan[0][0], results.read_shard(cell, plan[0][0]))
    learned = {**records(0, artefact)[0], "metric": "correct", "value": 1.0, "factors": {"layer": 3}}
    results.write_shard(cell, readout, row_table(cell, 0, 0, [learned]))
    results.update_cell(cell, status="done", n_done=3, n_failed=1)
    shutil.rmtree(path / "claims")
    said = {
        "artefact": artefact,
        "cells": [{k: getattr(c, k) for k in CELL_FIELDS} for c in results.cells()],
        "rows": results.rows(columns=ROW_FIELDS).to_pylist(),
    }
    path.with_suffix(".json").write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
