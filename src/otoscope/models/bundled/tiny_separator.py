"""``tiny-separator``: SAM Audio's kind of separator at a small size, trained here, or a random twin of it.

Speech, and the sounds of the separation task's own words, at 8 kHz, by text and by spans. Its weights come with the
package (CC BY-SA 4.0, see ``weights/ATTRIBUTION.md``); the recipe is ``tools/train_tiny_separator.py``. It is there so
that every probe and every way of saving can be tried in minutes; it says nothing about large models.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from otoscope.core.errors import ModelError
from otoscope.core.identity import file_digest
from otoscope.core.nouns import Card
from otoscope.models.encoders.checkpoint import check_init
from otoscope.models.separators.built import BuiltFlow
from otoscope.models.separators.sampling import Sampling

if TYPE_CHECKING:
    from torch import Tensor

    from otoscope.models.separators.flow import FlowSeparator

WEIGHTS = Path(__file__).parent / "weights"
FILE, FACTS = WEIGHTS / "tiny-separator.safetensors", WEIGHTS / "tiny-separator.json"
NAME = "tiny-separator"
#: How it samples unless told otherwise.
SAMPLING = Sampling("euler", 16, temperature=0.25, consistent=True)


def tiny_separator(
    init: str = "pretrained",
    seed: int | None = None,
    solver: Any = SAMPLING.solver,
    steps: int = SAMPLING.steps,
    chunk_s: float | None = None,
    overlap_s: float = 1.0,
    candidates: int = 1,
    temperature: float = SAMPLING.temperature,
    consistent: bool = SAMPLING.consistent,
    *,
    device: str = "cpu",
) -> TinySeparator:
    """The separator with the package's weights; ``init=random,seed=`` draws fresh ones. Raises :class:`UsageError` on
    values that make no sense."""
    check_init(init, seed, NAME)
    sampling = Sampling(solver, steps, chunk_s, overlap_s, candidates, "float32", temperature, consistent)
    return TinySeparator((seed or 0) if init == "random" else None, sampling, device)


@cache
def about() -> dict[str, Any]:
    """Recipe, vocabulary, held-out figures and the sha256 of every clip that the weights were trained on. Raises
    :class:`ModelError` where the package is incomplete."""
    try:
        found: dict[str, Any] = json.loads(FACTS.read_text(encoding="utf-8"))
    except OSError as e:
        raise ModelError("the package lacks the file", where=str(FACTS), fix="Reinstall it.") from e
    return found


class TinySeparator(BuiltFlow):
    """A Separator whose parts are one file. ``seed`` None: the package's weights."""

    version: ClassVar[int] = 1

    def __init__(self, seed: int | None, sampling: Sampling, device: str = "cpu") -> None:
        self.seed, self.sampling, self.device = seed, sampling, device

    @property
    def card(self) -> Card:
        extra = asdict(self.sampling) | ({} if self.seed is None else {"init": "random", "seed": self.seed})
        heard = frozenset(about()["trained_on_sha256"] if self.seed is None else ())
        return replace(bare_card(), notes=_notes(self.seed), extra=extra, trained_on=heard)

    def identity(self) -> Mapping[str, Any]:
        own = {"weights": file_digest(FILE)} if self.seed is None else {"init": "random", "seed": self.seed}
        return {"kind": NAME, "version": self.version, **own, "sampling": asdict(self.sampling)}

    def build(self) -> FlowSeparator:
        from otoscope.models.bundled.separator_network import TinyNetwork
        from otoscope.models.devices import seeded
        from otoscope.models.separators.flow import FlowSeparator

        with seeded(self.seed or 0):
            whole = TinyNetwork(about()["vocabulary"])
        whole.codec.load_state_dict(_codec())
        if self.seed is None:
            _read_into(whole)
        whole.eval().requires_grad_(False)
        return FlowSeparator(self.card, whole.flow, whole.codec, whole.words, self.sampling, {}, self.device)


def bare_card() -> Card:
    """The card without what is only known of loaded weights."""
    return Card(
        NAME,
        "separator",
        "flow-matching transformer of SAM Audio's kind over a lapped transform, 8 kHz (trained here)",
        rate=8_000,
        channels=1,
        cues=frozenset({"waveform"}),
        licence="CC BY-SA 4.0",
        source="architecture: arXiv 2512.18099; size, codec, words and training: ours",
    )


def _notes(seed: int | None) -> tuple[str, ...]:
    if seed is not None:
        return ("random weights: has learned nothing",)
    facts = about()
    recipe, steps = facts["recipes"][-1], sum(r["steps"] for r in facts["recipes"])
    held = ", ".join(
        f"{origin} {kind} {by['si_sdri_db']['16'][0]:.1f} dB"
        for origin, kinds in facts["held_out"].items()
        for kind, by in kinds.items()
    )
    return (
        f"trained on {len(facts['trained_on_sha256'])} clips and the package's generator: {steps} steps of "
        f"{recipe['batch']} mixtures of {recipe['seconds']:g} s; python tools/train_tiny_separator.py",
        f"mean improvement of SI-SDR on held-out sounds at 0 dB, 16 Euler steps: {held}",
        f"understands {len(facts['vocabulary'])} words: {', '.join(facts['vocabulary'])}",
        "the recorded voices that it was trained on are all men; those of women are synthetic",
    )


def _tensors() -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return {name: x.float() for name, x in load_file(str(FILE)).items()}
    except (OSError, SafetensorError) as e:
        raise ModelError(f"cannot be read: {e}", where=str(FILE), fix="Reinstall the package.") from e


def _codec() -> dict[str, Tensor]:
    """The codec's scales, which a random twin shares: they describe sounds, not what was learned."""
    prefix = "codec."
    return {name.removeprefix(prefix): x for name, x in _tensors().items() if name.startswith(prefix)}


def _read_into(network: Any) -> None:
    try:
        network.load_state_dict(_tensors())
    except RuntimeError as e:
        raise ModelError(f"does not fit the network: {e}", where=str(FILE), fix="Reinstall the package.") from e
