"""``tiny-binaural-general`` and ``tiny-binaural-spatial``: the trained tiny encoders of the package, or random twins.

Their weights come with the package (CC BY-SA 4.0, see ``weights/ATTRIBUTION.md``); the recipe is
``tools/train_tiny_binaural.py``. Small enough to be studied in minutes; they say nothing about what large models do.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from otoscope.core.errors import ModelError
from otoscope.core.identity import file_digest
from otoscope.core.nouns import Encoder
from otoscope.models.bundled.binaural_network import TinyBinaural
from otoscope.models.encoders.adapt import adapt
from otoscope.models.encoders.checkpoint import check_init

WEIGHTS = Path(__file__).parent / "weights"

_SUMMARY = {
    "general": "two-channel log-mel, masked prediction; blind to interaural phase by construction (trained here)",
    "spatial": "log-mel and interaural phase, trained on the direction of sources (trained here)",
}
_CUES = {"general": ("magnitude",), "spatial": ("magnitude", "ipd")}


def tiny_binaural_general(init: str = "pretrained", seed: int | None = None) -> Encoder:
    """The general-purpose one; ``init=random,seed=`` draws fresh weights."""
    return _encoder("general", init, seed)


def tiny_binaural_spatial(init: str = "pretrained", seed: int | None = None) -> Encoder:
    """The dedicated one; ``init=random,seed=`` draws fresh weights."""
    return _encoder("spatial", init, seed)


def _encoder(kind: str, init: str, seed: int | None) -> Encoder:
    name = f"tiny-binaural-{kind}"
    check_init(init, seed, name)
    params: dict[str, Any] = {"kind": kind}
    if init == "random":
        params["seed"] = seed or 0
    return adapt(Bundled, name=name, params=params)


@cache
def about(kind: str) -> dict[str, Any]:
    """Recipe, held-out figures and the sha256 of every clip that the weights of ``kind`` were trained on. Raises
    :class:`ModelError` where the package is incomplete."""
    path = WEIGHTS / f"tiny-binaural-{kind}.json"
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise ModelError("the package lacks the file", where=str(path), fix="Reinstall it.") from e
    return found


class Bundled(TinyBinaural):
    """The network with the package's weights, or with weights drawn under ``seed``; its attributes are its card."""

    version = 1
    licence = "CC BY-SA 4.0"
    breaks = ("padding invariance: levels are normalised over the whole sound, and every frame attends to all of it",)

    def __init__(self, kind: str, seed: int | None = None) -> None:
        from otoscope.models.devices import seeded

        with seeded(seed or 0):
            super().__init__(kind)
        self.seed = seed
        self.summary, self.declared_cues = _SUMMARY[kind], _CUES[kind]
        self.notes = self._notes()
        self.trained_on = frozenset(about(kind)["trained_on_sha256"] if seed is None else ())
        if seed is None:
            self._read()

    @property
    def file(self) -> Path:
        return WEIGHTS / f"tiny-binaural-{self.kind}.safetensors"

    def identity(self) -> dict[str, Any]:
        """All that the weights depend on."""
        if self.seed is not None:
            return {"kind": self.kind, "init": "random", "seed": self.seed}
        return {"kind": self.kind, "weights": file_digest(self.file)}

    def _read(self) -> None:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            self.load_state_dict(load_file(str(self.file)))
        except (OSError, SafetensorError, RuntimeError) as e:
            raise ModelError(f"cannot be read: {e}", where=str(self.file), fix="Reinstall the package.") from e

    def _notes(self) -> tuple[str, ...]:
        if self.seed is not None:
            return ("random weights: has learned nothing",)
        facts = about(self.kind)
        recipe, held = facts["recipe"], facts["held_out"]
        figures = ", ".join(f"{k} {v:.3g}" for k, v in held.items())
        return (
            f"trained on {len(facts['trained_on_sha256'])} clips and the package's generator in simulated rooms: seed "
            f"{recipe['seed']}, {recipe['steps']} steps of {recipe['batch']} scenes of 1 s; "
            "python tools/train_tiny_binaural.py",
            f"on held-out sounds in held-out rooms: {figures}",
            "a source is placed by a spherical head, which cannot tell front from back",
            "the same noise at both ears, the benchmark's N0, is a rare sound to it: a quarter of the training noises",
        )
