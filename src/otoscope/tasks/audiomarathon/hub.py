"""Where a copy of the data set lies: a folder, or a snapshot of the hub's at a pinned revision.

``Hezep/AudioMarathon`` is the revision that the fact sheet's figures are about, ``Hezep/AudioMarathon@COMMIT`` another.
A snapshot that is in the hub's cache is used as it is; else it is downloaded (59 GB), unless ``HF_HUB_OFFLINE`` is set.
"""

from __future__ import annotations

import re
from pathlib import Path

from otoscope.core.errors import InputError
from otoscope.tasks.audiomarathon.kinds import HUB_ID, REVISION

_COMMIT = re.compile(r"[0-9a-f]{40}")


def folder_of(data: str) -> Path:
    """The folder that ``data`` names. Raises :class:`InputError` where a snapshot cannot be had, or its revision is no
    commit: a branch moves, and results with it."""
    name, _, revision = data.partition("@")
    if name != HUB_ID or Path(data).is_dir():
        return Path(data).expanduser()
    revision = revision or REVISION
    if not _COMMIT.fullmatch(revision):
        raise InputError(f"{revision!r} is no commit", where=data, fix=f"Write {HUB_ID}@ and 40 hexadecimal digits.")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        return Path(snapshot_download(HUB_ID, repo_type="dataset", revision=revision))
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as e:
        first = str(e).strip().splitlines()[0] if str(e).strip() else type(e).__name__
        raise InputError(
            f"revision {revision[:12]} is not in the hub's cache and cannot be downloaded: {first}",
            where=HUB_ID,
            fix="Download it where there is a network, and name the folder with --data.",
        ) from e
