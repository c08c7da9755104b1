"""Otoscope: what an audio model hears, what happens inside it, and what can be left out without loss.

The public names are loaded when first used, so ``import otoscope`` stays cheap and never imports torch.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.2.0"

_PUBLIC = {
    "Audio": "otoscope.core.audio",
    "Card": "otoscope.core.nouns",
    "Encoded": "otoscope.core.nouns",
    "Item": "otoscope.core.items",
    "OtoscopeError": "otoscope.core.errors",
    "Experiment": "otoscope.experiments.experiment",
    "Results": "otoscope.results.store",
    "check": "otoscope.models.conformance",
    "load": "otoscope.models.resolve",
    "run": "otoscope.experiments.runner",
}

#: What is called otherwise where it lives.
_ALIASES = {
    "intervention": ("otoscope.interventions.catalogue", "resolve_intervention"),
    "scores": ("otoscope.experiments.scores", "scores_of"),
    "task": ("otoscope.tasks.catalogue", "resolve_task"),
}

__all__ = ["__version__", *sorted([*_PUBLIC, *_ALIASES])]


def __getattr__(name: str) -> Any:
    if name in _ALIASES:
        module, attribute = _ALIASES[name]
        return getattr(importlib.import_module(module), attribute)
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'otoscope' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC, *_ALIASES])
