"""Numbers from the literature that come with the benchmark, as data: people (1999) and the paper (2026)."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files
from typing import Any


@lru_cache(maxsize=4)
def _load(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((files("otoscope.tasks.bmld") / "data" / name).read_text(encoding="utf-8"))
    return content


def people() -> dict[str, Any]:
    """van de Par and Kohlrausch 1999: ``series`` of thresholds and BMLDs by masker bandwidth."""
    return _load("human_vandepar1999.json")


def paper() -> dict[str, Any]:
    """arXiv 2606.14820: ``series`` of its Figure 1, ``table_main``, ``table_ablations``, each with its evidence."""
    return _load("published_chen2026.json")
