"""Whatever moment a writer dies at, nothing finished is lost and the same command finishes the rest."""

import errno
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from otoscope.core import faults
from otoscope.core.errors import StoreError
from otoscope.results.files import is_temporary
from otoscope.results.store import Results

WORK = "work(sys.argv[1])\n"

#: Every point, at arrivals that differ: while the directory is made, and later.
_ARRIVALS = {"experiment": (1, 2), "cells": (1, 3), "shard": (2,), "artefact": (1,)}
STRIKES = [(p, n) for p in faults.POINTS for n in _ARRIVALS[p.split(".")[1]]]


@pytest.fixture(autouse=True)
def disarm() -> Iterator[None]:
    yield
    faults.arm({})


def temporaries(path: Path) -> list[str]:
    return [str(p) for p in path.rglob("*") if is_temporary(p.name)]


def check_resumed(toy, whole: Results, path: Path) -> None:  # type: ignore[no-untyped-def]
    done = toy.work(path)
    assert toy.content(done) == toy.content(whole)
    assert done.damaged() == []
    assert temporaries(path) == []
    assert [(c.cell, c.status, c.extent) for c in done.cells()] == [(c.cell, c.status, c.extent) for c in whole.cells()]
    assert list(done.artefacts) == list(whole.artefacts)


@pytest.mark.kill
@pytest.mark.parametrize(("point", "arrival"), STRIKES)
def test_kill_and_run_again(toy, whole: Results, struck, tmp_path: Path, point: str, arrival: int) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "run"
    assert struck(path, f"{point}:{arrival}") == -signal.SIGKILL
    if (path / "experiment.json").exists():
        rows = toy.content(Results.open(path))
        assert all(r in toy.content(whole) for r in rows)
        assert len(rows) % 2 == 0, "half an item"
    else:  # killed before there was a run directory
        assert arrival == 1
        assert point.startswith(("store.experiment", "store.cells"))
    check_resumed(toy, whole, path)


@pytest.mark.parametrize(("point", "arrival"), STRIKES)
def test_full_disk_then_run_again(toy, whole: Results, tmp_path: Path, point: str, arrival: int) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "run"
    faults.arm({faults.VARIABLE: f"{point}:{arrival}:enospc"})
    with pytest.raises(StoreError, match=r"the disk is full.*run the same command again") as e:
        toy.work(path)
    assert e.value.where is not None
    assert Path(e.value.where).is_relative_to(path)
    assert not is_temporary(Path(e.value.where).name)
    assert temporaries(path) == []
    faults.arm({})
    check_resumed(toy, whole, path)


def test_leftovers_of_the_dead_are_swept_and_those_of_the_living_are_not(toy, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "run"
    process = toy.start(WORK, str(path), fault="store.shard.half-written:2")
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    assert len(temporaries(path)) == 1
    before = Results.open(path).rows().num_rows
    assert before == 6  # the first shard: readers ignore the leftover

    slow = "import time, otoscope.core.faults as f\n"
    slow += (
        "def hold(name):\n    if name.startswith('store.shard'):\n        print('here', flush=True); time.sleep(60)\n"
    )
    slow += "import otoscope.results.files as files\nfiles.point = hold\nwork(sys.argv[1])\n"
    alive = toy.start(slow, str(path))
    try:
        assert alive.stdout is not None
        assert alive.stdout.readline() == "here\n"
        held = temporaries(path)
        assert len(held) == 1, "the start of the second run has swept the first one's leftover"
        assert Results.open(path).sweep() == 0
        assert temporaries(path) == held
    finally:
        alive.kill()
        alive.communicate()
    assert Results.open(path).sweep() == 1


def test_a_claim_dies_with_its_process(toy, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    toy.one_shard(tmp_path / "run")
    results = Results.open(tmp_path / "run")
    key = results.cell("aa").extent.shards[0]
    code = (
        "import time\nr = Results.open(sys.argv[1])\n"
        "with r.claim('aa', r.cell('aa').extent.shards[0]) as mine:\n    print(mine, flush=True); time.sleep(60)\n"
    )
    holder = toy.start(code, str(tmp_path / "run"))
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        with results.claim("aa", key) as mine:
            assert not mine
    finally:
        holder.kill()
        holder.communicate()
    with results.claim("aa", key) as mine:
        assert mine
        with results.claim("aa", key) as again:
            assert not again
    with results.claim("aa", key) as mine:
        assert mine


@pytest.mark.parametrize("claims", [True, False])
def test_two_processes_share_one_directory(toy, whole: Results, tmp_path: Path, claims: bool) -> None:  # type: ignore[no-untyped-def]
    """With claims, and with all claims denied their meaning: both write every shard they find missing."""
    path = tmp_path / "run"
    gate = tmp_path / "go"
    code = "import os, time\nwhile not os.path.exists(sys.argv[2]):\n    time.sleep(0.001)\n"
    code += f"work(sys.argv[1], claims={claims})\n"
    code += "for i in range(10):\n    Results.open(sys.argv[1]).record_run({'i': i})\n"
    processes = [toy.start(code, str(path), str(gate)) for _ in range(2)]
    time.sleep(0.2)
    gate.touch()
    for p in processes:
        _, err = p.communicate(timeout=120)
        assert p.returncode == 0, err
    results = Results.open(path)
    if not claims:
        assert toy.content(results) == toy.content(whole)
    assert len(results.experiment()["runs"]) == 2 + 20, "an entry was lost to a race"
    assert [c.cell for c in results.cells()] == ["aa", "bb"]
    assert results.damaged() == []
    check_resumed(toy, whole, path)


def test_permission_denied_names_the_path(toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    results = Results.open(tmp_path / "run", create=True)
    real = os.open

    def deny(path, flags, *args, **kwargs):  # type: ignore[no-untyped-def]
        if flags & os.O_CREAT and is_temporary(
            Path(path).name
        ):  # root may write anywhere, so the system cannot be asked
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", deny)
    with pytest.raises(StoreError, match="permission denied") as e:
        results.register([toy.cell("aa")])
    assert e.value.where == str(tmp_path / "run" / "cells.parquet")
    assert e.value.exit_code == 3
