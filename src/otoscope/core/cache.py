"""Where the package keeps what it can make again: ``$OTOSCOPE_CACHE``, else ``~/.cache/otoscope``."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """The folder; it need not exist yet."""
    told = os.environ.get("OTOSCOPE_CACHE")
    return Path(told).expanduser() if told else Path.home() / ".cache" / "otoscope"
