"""The event classes, by label. Every one shares a quiet background, so that gaps are not digital silence. Ours."""

from __future__ import annotations

from otoscope.audio.generator import machines, nature
from otoscope.audio.generator.recipe import Recipe

EVENTS: dict[str, Recipe] = {r.label: r for r in sorted(nature.RECIPES + machines.RECIPES, key=lambda r: r.label)}
