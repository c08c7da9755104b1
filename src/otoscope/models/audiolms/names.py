"""Which names mean an audio language model. Reads a ``config.json`` that is on this machine; imports no torch."""

from __future__ import annotations

import json
from pathlib import Path

from otoscope.core.naming import Spec
from otoscope.models.audiolms.family import MODEL_TYPES


def is_audio_lm(spec: Spec, source: str) -> bool:
    """Whether the checkpoint (a folder, or a hub id whose config is in the hub's cache) is of such a type. False where
    that cannot be told: what is wrong with the files is then said by whoever loads them."""
    place = str(spec.params.get("path") or source)
    folder = Path(place).expanduser()
    found = folder / "config.json" if folder.is_dir() else _cached(place, spec.params.get("revision"))
    if found is None or not found.is_file():
        return False
    try:
        described = json.loads(found.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(described, dict) and described.get("model_type") in MODEL_TYPES


def _cached(repo: str, revision: object) -> Path | None:
    import huggingface_hub

    try:
        found = huggingface_hub.try_to_load_from_cache(repo, "config.json", revision=_text(revision))
    except ValueError:  # not the name of a repository
        return None
    return Path(found) if isinstance(found, str) else None


def _text(value: object) -> str | None:
    return None if value is None else str(value)
