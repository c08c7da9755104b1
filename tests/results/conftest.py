"""A tiny experiment of two cells that any process can start or finish."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import otoscope
from otoscope.core.faults import VARIABLE
from otoscope.results.cells import Cell
from otoscope.results.schema import COST_COLUMNS, row_table
from otoscope.results.shards import Extent, plan_shards
from otoscope.results.store import Results

SRC = Path(otoscope.__file__).parents[1]

#: The experiment as a module text, so that subprocesses run the very same code.
EXPERIMENT = '''
import sys
import numpy as np
from otoscope.results.cells import Cell
from otoscope.results.schema import row_table
from otoscope.results.shards import Extent, plan_shards
from otoscope.results.store import Results

IDS = [f"item-{i:02d}" for i in range(7)]

def records(ids, cost=0.25):
    return [
        dict(item=i, base_id=i, group=f"g{int(i[-2:]) % 3}", metric=m, value=int(i[-2:]) + k / 8, status="ok",
             factors={"frequency_hz": 500, "side": "left"}, seconds_model=cost)
        for i in ids for k, m in enumerate(("near", "far"))
    ]

def cell(name, n=7, shard_items=3):
    plan = plan_shards(0, IDS[:n], shard_items)
    return Cell(name, f"alias {name}", "toy", "intact", f"model-{name}", "none", 0, '{"name":"%s"}' % name,
                extent=Extent().with_round(0, n, [k for k, _ in plan]))

def work(path, n=7, claims=True, cells=("aa", "bb")):
    """Do whatever is missing."""
    results = Results.open(path, create=True)
    results.record_run({"n": n})
    for c in results.register(cell(name, n) for name in cells):
        for key, cut in plan_shards(0, IDS[:n], 3):
            if results.shard_state(c.cell, key) == "done":
                continue
            with results.claim(c.cell, key) as mine:
                if mine or not claims:
                    results.write_shard(c.cell, key, row_table(c.cell, 0, key.index, records(IDS[:n][cut])))
        results.put_artefact({"kept": np.arange(5.0)})
        results.update_cell(c.cell, status="done", n_done=n)
    return results
'''

#: Forks a child per line of input, so that many kills pay for one start of Python.
NURSERY = """
import os, traceback
from otoscope.core import faults
for line in sys.stdin:
    path, fault = line.rstrip("\\n").split("\\t")
    child = os.fork()
    if child == 0:
        try:
            faults.arm({faults.VARIABLE: fault})
            work(path)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Toy:
    """``EXPERIMENT`` in this process, and a way to run it in others."""

    def __init__(self) -> None:
        namespace: dict[str, Any] = {}
        exec(EXPERIMENT, namespace)
        self.ids: list[str] = namespace["IDS"]
        self.records: Callable[..., list[dict[str, Any]]] = namespace["records"]
        self.cell: Callable[..., Cell] = namespace["cell"]
        self.work: Callable[..., Results] = namespace["work"]

    def start(self, code: str, *args: str, fault: str = "") -> subprocess.Popen[str]:
        env = {**os.environ, "PYTHONPATH": str(SRC), VARIABLE: fault}
        command = [sys.executable, "-c", EXPERIMENT + code, *args]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=env, stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    def table(self, records: list[dict[str, Any]], cell: str = "aa", shard: int = 0) -> pa.Table:
        return row_table(cell, 0, shard, records)

    def one_shard(self, path: Path) -> Path:
        """A directory with one shard of one cell; returns the shard's file."""
        results = Results.open(path, create=True)
        ((key, _),) = plan_shards(0, self.ids, 7)
        results.register([self.cell("aa", shard_items=7)])
        return results.write_shard("aa", key, self.table(self.records(self.ids)))

    @staticmethod
    def content(results: Results) -> list[dict[str, Any]]:
        """All rows without what they cost, in one order."""
        rows = results.rows().drop_columns(list(COST_COLUMNS)).to_pylist()
        return sorted(rows, key=lambda r: (r["cell"], r["item"], r["metric"]))


@pytest.fixture(scope="session")
def toy() -> Toy:
    return Toy()


@pytest.fixture(scope="session")
def struck(toy: Toy) -> Iterator[Callable[[Path, str], int]]:
    """Work in another process under a fault; gives its exit status (negative: the signal that ended it)."""
    nursery = toy.start(NURSERY)
    assert nursery.stdin is not None
    assert nursery.stdout is not None
    send, receive = nursery.stdin, nursery.stdout

    def strike(path: Path, fault: str) -> int:
        send.write(f"{path}\t{fault}\n")
        send.flush()
        return int(receive.readline())

    yield strike
    _, err = nursery.communicate(timeout=60)
    assert err == ""


@pytest.fixture(scope="session")
def whole(toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """The toy experiment, done without interruption. Not to be changed."""
    results = toy.work(tmp_path_factory.mktemp("whole") / "run")
    assert results.rows().num_rows == 2 * 7 * 2
    assert np.array_equal(results.get_arrays(next(iter(results.artefacts)))["kept"], np.arange(5.0))
    assert Extent.from_json(results.cell("aa").extent.to_json()) == results.cell("aa").extent
    assert len(plan_shards(0, toy.ids, 3)) == 3
    return results
