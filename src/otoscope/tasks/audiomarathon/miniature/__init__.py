"""A miniature of AudioMarathon that the package makes itself: the published layout, ten tasks, shorter sounds. Ours.

It is there so that everything can be tried without the data set's 59 GB, and it measures no skill of people's interest.
Speech is spoken digits, sounds and music are the package's generator's or recordings of a manifest. Where the
published task needs what no free sound has (ages, emotions, genres, faked speech), a stand-in that can be heard takes
its place: see :mod:`.voices` and :mod:`.sounds`.
"""

from __future__ import annotations

import functools
import shutil
import tempfile
from pathlib import Path
from typing import Literal

from filelock import FileLock

from otoscope.core.cache import cache_folder
from otoscope.core.identity import digest
from otoscope.tasks.audiomarathon.miniature.pool import TEST_SEEDS, read_pool
from otoscope.tasks.audiomarathon.miniature.writer import VERSION, write

__all__ = ["cached", "read_pool", "write"]

#: Items of each task, and how long they are against the published ones.
N_ITEMS, SCALE, SEED = 24, 0.06, 20260612
#: Items of each task that interventions may learn from.
N_CALIBRATION = 8


@functools.cache
def cached(split: Literal["test", "train"] = "test") -> Path:
    """The folder of the package's own miniature; it is made when it is first asked for (some seconds). ``train`` is
    another one, of other voices and seeds."""
    n = N_ITEMS if split == "test" else N_CALIBRATION
    about = {"version": VERSION, "n": n, "scale": SCALE, "seed": SEED}
    name = digest(about if split == "test" else {**about, "split": split}, 12)
    folder = cache_folder() / f"audiomarathon-miniature-{name}"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(str(folder) + ".lock"):
        if not folder.is_dir():
            part = Path(tempfile.mkdtemp(prefix=folder.name, dir=folder.parent))
            try:
                write(part, read_pool(None, split, seeds=TEST_SEEDS), n=n, scale=SCALE, seed=SEED)
                part.rename(folder)
            finally:
                shutil.rmtree(part, ignore_errors=True)
    return folder
