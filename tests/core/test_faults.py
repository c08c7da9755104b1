"""Fault points: nothing when unset, a kill or a full disk when told."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from otoscope.core import faults
from otoscope.core.errors import UsageError

SRC = Path(faults.__file__).parents[2]
NAME = faults.POINTS[0]


@pytest.fixture(autouse=True)
def disarm() -> Iterator[None]:
    yield
    faults.arm({})


def run(code: str, fault: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(SRC), faults.VARIABLE: fault}
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)


def test_the_process_dies_at_the_arrival_that_was_asked_for() -> None:
    code = f"from otoscope.core.faults import point\nfor i in range(5):\n point({NAME!r}); print(i, flush=True)"
    done = run(code, f"{NAME}:3")
    assert done.returncode == -signal.SIGKILL
    assert done.stdout.split() == ["0", "1"]
    assert run(code, f"{NAME}:6").returncode == 0


def test_other_points_and_an_unset_variable_do_nothing() -> None:
    faults.arm({faults.VARIABLE: f"{NAME}:1:enospc"})
    for name in faults.POINTS[1:]:
        faults.point(name)
    faults.arm({})
    faults.point(NAME)


def test_a_full_disk_is_raised_once() -> None:
    faults.arm({faults.VARIABLE: f"{NAME}:2:enospc"})
    faults.point(NAME)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)) as e:
        faults.point(NAME)
    assert e.value.errno == errno.ENOSPC
    faults.point(NAME)


@pytest.mark.parametrize("text", ["nowhere:1", NAME, f"{NAME}:0", f"{NAME}:x", f"{NAME}:1:kill", f"{NAME}:1:enospc:2"])
def test_a_mistyped_variable_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=faults.VARIABLE):
        faults.arm({faults.VARIABLE: text})


def test_an_undeclared_point_is_refused_once_armed() -> None:
    faults.arm({faults.VARIABLE: f"{NAME}:1"})
    with pytest.raises(UsageError, match="nowhere"):
        faults.point("nowhere")
