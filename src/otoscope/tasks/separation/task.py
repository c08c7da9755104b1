"""Separation: find one sound of a mixture by a prompt; scored against the truth and against the unmodified model.

Three tiers follow arXiv 2606.10046 as third parties describe it (two speakers of different sex; the same in white
noise at 5 dB; two environmental sounds); ``speech-sound``, the mixing and all defaults are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from otoscope.audio.binaural import child
from otoscope.audio.mixing import Mix
from otoscope.core.errors import InputError, UsageError
from otoscope.core.identity import digest
from otoscope.core.items import Factor, Item
from otoscope.core.nouns import Card, Decision, Embedded, Request, Row, Separate, Separated, Span, StemPrompt
from otoscope.results.scoring import Measure
from otoscope.tasks.separation import sources
from otoscope.tasks.separation.findings import tables
from otoscope.tasks.separation.metrics import METRICS, separation_rows
from otoscope.tasks.separation.mixtures import NOISE_SNR_DB, MixtureInputs, Tier, check_tier, draw_parts
from otoscope.tasks.separation.words import Words, read_words

PROMPTS = ("text", "span", "both")


@dataclass(frozen=True)
class SeparationTask:
    """Parameters: ``tier`` (clean, noisy, environmental, speech-sound), ``n_items``, ``snr_db`` (target over the other
    sound), ``overlap`` (share of each sound that is common), ``duration_s``, ``prompt`` (text, span, both), ``data``
    and ``split`` (a manifest, ESC-50, FSD50K, LibriSpeech or folders by class; default: the package's own sounds,
    of which ``train`` is what its models may know, ``test`` is not, and ``panel`` has sixteen pairs of voices),
    ``sounds`` (another such folder for the sounds of speech-sound), ``words`` (a table of prompts)."""

    version: ClassVar[int] = 1
    rounds: ClassVar[int] = 1
    keeps_outputs: ClassVar[bool] = False
    findings_of_rows: ClassVar[Any] = staticmethod(tables)
    shard_items: ClassVar[int] = 8

    tier: str = "clean"
    n_items: int = 20
    snr_db: float = 0.0
    overlap: float = 1.0
    duration_s: float = 4.0
    prompt: str = "text"
    data: str | None = None
    split: str | int | None = None
    sounds: str | None = None
    words: str | None = None
    seed: int = 0
    name: str = "separation"

    def __post_init__(self) -> None:
        check_tier(self.tier, None, "")
        if self.n_items < 1:
            raise UsageError(f"n_items must be at least 1, got {self.n_items}")
        if self.prompt not in PROMPTS:
            raise UsageError(f"there is no prompt {self.prompt!r}", fix=f"Use {', '.join(PROMPTS)}.")
        if self.prompt != "text" and self.overlap >= 1.0:
            raise UsageError("a span tells nothing where both sounds last throughout", fix="Set overlap below 1.")
        if self.data is None and self.split not in (None, *sources.OWN_SPLITS):
            raise UsageError(
                f"the package's own sounds have no split {self.split!r}", fix=f"Use {', '.join(sources.OWN_SPLITS)}."
            )
        if self.sounds is not None and self.tier != "speech-sound":
            raise UsageError("sounds=FOLDER is for tier=speech-sound", fix="Name the folder with data=.")
        self._mix(True)

    def _mix(self, target_first: bool) -> Mix:
        noise = NOISE_SNR_DB if self.tier == "noisy" else None
        return Mix(self.duration_s, self.snr_db, self.overlap, target_first, noise_snr_db=noise)

    def _voices(self) -> sources.Voices | None:
        if self.tier == "environmental":
            return None
        found = sources.voices(self.data, self._split, self.tier == "speech-sound")
        check_tier(self.tier, found, self.data or "the package's speech")
        return found

    def _sounds(self) -> sources.Sounds | None:
        if self.tier in ("clean", "noisy"):
            return None
        if self.sounds is not None:
            return sources.sounds(self.sounds, None)
        return sources.sounds(self.data, self._split)

    @property
    def _split(self) -> str | None:
        return None if self.split is None else str(self.split)

    def _words(self) -> Words:
        return read_words(self.words)

    def identity(self) -> Mapping[str, Any]:
        """Everything but the number of items: more items append to the same cell. What is in the files that an item
        uses is part of the item's id."""
        voices, sounds = self._voices(), self._sounds()
        listing = [x.describe() for pool in (voices, sounds) if pool is not None for x in pool.clips]
        return {
            "name": "separation",
            "version": self.version,
            "tier": self.tier,
            "mix": self._mix(True),
            "prompt": self.prompt,
            "files": digest(listing),
            "events": None if sounds is None else sounds.describe(),
            "words": digest(self._words(), 16),
            "seed": self.seed,
        }

    def accepts(self, card: Card) -> str | None:
        if card.capability != "separator":
            return f"needs a separator, and {card.name} is of the kind {card.capability!r}"
        if card.fixed_duration_s is not None and card.fixed_duration_s != self.duration_s:
            return f"{card.name} takes exactly {card.fixed_duration_s:g} s: set duration_s={card.fixed_duration_s:g}"
        return None

    def refuses(self, label: Any, card: Card) -> str | None:
        parts = label.get("chain", [label]) if isinstance(label, Mapping) else [label]
        rungs = any(isinstance(p, Mapping) and "rung" in p for p in parts)
        return "the rungs of the BMLD ladder act on binaural triplets, not on mixtures" if rungs else None

    def items(self, round: int = 0, rows: Any = None) -> Sequence[Item]:
        voices, sounds, words = self._voices(), self._sounds(), self._words()
        return [self._item(k, voices, sounds, words) for k in range(self.n_items)]

    def _item(self, k: int, voices: sources.Voices | None, sounds: sources.Sounds | None, words: Words) -> Item:
        # The noisy tier is the clean one with noise: the same voices under the same index.
        rng = child(self.seed, "separation", "clean" if self.tier == "noisy" else self.tier, k)
        spec = self._mix(bool(rng.integers(2)))
        target, other = draw_parts(cast(Tier, self.tier), rng, spec.slot_s, voices, sounds, words, k)
        inputs = MixtureInputs(spec, target.source, other.source, int(rng.integers(2**31)))
        base = f"{self.tier}-{k:05d}"
        factors: dict[str, Factor] = {
            "tier": self.tier,
            "snr_db": float(self.snr_db),
            "overlap": float(self.overlap),
            "target": target.kind,
            "prompt": self.prompt,
            "source": "generated" if self.data is None and self.sounds is None else "recorded",
        }
        return Item(
            f"{base}-{digest(inputs.describe(), 8)}",
            base,
            "+".join(sorted((target.source.group, other.source.group))),
            inputs,
            factors,
            prompt=target.words,
            target={"span_s": list(spec.target_slot), "other": other.words, "noise_seed": int(rng.integers(2**31))},
        )

    def request(self, item: Item, card: Card) -> Request:
        text = str(item.prompt) if self.prompt != "span" else ""
        spans = (Span(*item.target["span_s"]),) if self.prompt != "text" else ()
        prompt = StemPrompt(text, spans)
        return Separate(MixtureInputs.names, "mixture", prompt, item.target["noise_seed"], against_bare=True)

    def score(self, item: Item, output: Embedded | Decision | Separated) -> list[Row]:
        if not isinstance(output, Separated):
            raise InputError("mixtures are put to separators", where=item.id)
        return separation_rows(output, speech=item.factors["target"] != "sound")

    def fit_readout(self, items: Sequence[Item], outputs: Sequence[Any]) -> list[tuple[Item, list[Row]]]:
        raise InputError("the separation task learns nothing across items")

    def measures(self) -> Sequence[Measure]:
        by = ("tier", "snr_db")
        return [
            Measure(m.name, by, (m.name,), "mean", unit=m.unit, higher_is_better=m.higher_is_better, doc=m.doc)
            for m in METRICS
        ]
