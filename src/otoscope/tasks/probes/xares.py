"""``xares/<name>``: the 22 public tasks, read from X-ARES' own archives. The classes are made from the data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from otoscope.core.cache import cache_folder
from otoscope.tasks.probes.archives import read_archives
from otoscope.tasks.probes.catalog import XaresTask, xares_tasks
from otoscope.tasks.probes.entries import Collection
from otoscope.tasks.probes.task import ProbeTask


def xares_root() -> Path:
    """Where fetched archives lie, each task in a folder of its name."""
    return cache_folder() / "xares"


@dataclass(frozen=True)
class XaresProbe(ProbeTask):
    """``data``: the folder that holds the task's folder (default: where ``otoscope data fetch`` puts it)."""

    key: ClassVar[str] = ""

    data: str | None = None

    @property
    def task(self) -> XaresTask:
        return xares_tasks()[self.key]

    @property
    def name(self) -> str:
        return f"xares/{self.key}"

    def read(self) -> Collection:
        root = Path(self.data).expanduser() if self.data is not None else xares_root()
        return read_archives(self.task, root)

    @property
    def head_kind(self) -> str:
        return self.task.kind


@cache
def _task(key: str) -> type[XaresProbe]:
    return type(key, (XaresProbe,), {"key": key, "__doc__": xares_tasks()[key].title, "__module__": __name__})


def __getattr__(name: str) -> Any:
    if name in xares_tasks():
        return _task(name)
    raise AttributeError(name)
