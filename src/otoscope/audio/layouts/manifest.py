"""Our own corpora: a ``manifest.jsonl`` (see :mod:`otoscope.audio.corpus`) with labels of speech and of sounds."""

from __future__ import annotations

from pathlib import Path

from otoscope.audio.corpus import Clip, read_manifest
from otoscope.audio.layouts.listing import Kind, Listed


def read_manifest_layout(path: Path) -> tuple[Listed, ...]:
    """Speech is what has a ``transcript`` or ``kind: speech``; a sound is what has a ``sound`` and is no speech; the
    corpus is the split. Clips that are neither (notes, music) are of no use to mixtures and are not listed."""
    described = (listed(clip) for clip in read_manifest(path))
    return tuple(x for x in described if x is not None)


def listed(clip: Clip) -> Listed | None:
    """One clip of a manifest, or None where it is neither speech nor a sound with a name."""
    labels = clip.labels
    speech = "transcript" in labels or labels.get("kind") == "speech"
    if not speech and not isinstance(labels.get("sound"), str):
        return None
    kind: Kind = "speech" if speech else "sound"
    classes = () if speech else (str(labels["sound"]),)
    return Listed(
        clip.path,
        clip.name,
        kind,
        clip.group or clip.name,
        classes,
        labels.get("sex") if speech else None,
        clip.corpus,
        {k: labels[k] for k in ("digit", "speaker", "kind") if k in labels},
    )
