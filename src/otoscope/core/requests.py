"""What a task asks for of a model, about one item."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from otoscope.core.items import Factor


@dataclass(frozen=True)
class Encode:
    """Embed the named inputs. ``repeat`` names one that is encoded again, alone and out of its batch: the distance
    between the two passes is the numeric floor of everything computed from the embeddings. ``frames``: the frames are
    wanted too, not their pooled vector alone."""

    inputs: tuple[str, ...]
    repeat: str | None = None
    frames: bool = False


@dataclass(frozen=True)
class Decide:
    """Ask an observer for ``quantity`` (see the observer's card) about the named inputs. ``about`` is what an ideal
    listener knows beforehand (the frequency of the tone, the configuration), in the task's terms."""

    inputs: tuple[str, ...]
    quantity: str
    about: Mapping[str, Factor] = field(default_factory=dict)


@dataclass(frozen=True)
class Span:
    """A stretch of time, in seconds, that holds the wanted sound (``+``) or does not (``-``)."""

    start_s: float
    end_s: float
    sign: Literal["+", "-"] = "+"


@dataclass(frozen=True)
class StemPrompt:
    """Which sound of a mixture is meant: in words, by spans of time, or both. Empty: no prompt."""

    text: str = ""
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True)
class Separate:
    """Split the input ``mixture`` by ``prompt``. ``noise_seed`` fixes the start of a generative model, so that two runs
    of one item differ by the intervention alone. ``inputs`` are all that scoring needs rendered (the true stems too).
    ``against_bare``: the task also wants what the model gives without any intervention, for the same noise."""

    inputs: tuple[str, ...]
    mixture: str
    prompt: StemPrompt
    noise_seed: int
    against_bare: bool = False


@dataclass(frozen=True)
class Generate:
    """Ask about sounds in words. ``inputs`` are heard in this order, before ``text``; ``system`` None leaves the system
    message to the model's own template. ``max_new_tokens`` bounds the answer. ``against_bare``: the task also wants the
    answer without any intervention. ``family`` is what the task knows of what it asks for (``semantic``: what is said;
    ``acoustic``: how it sounds); models are not told."""

    inputs: tuple[str, ...]
    text: str
    system: str | None = None
    max_new_tokens: int = 256
    against_bare: bool = False
    family: str | None = None


Request = Encode | Decide | Separate | Generate
