"""The nouns as protocols. An Experiment puts the items of its Tasks, in each Condition, to Models under Interventions,
and writes one row per item into Results. Only the runner calls models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from otoscope.core.audio import Audio
from otoscope.core.items import Factor, Item

Capability = Literal["encoder", "observer", "audiolm", "separator"]
Layer = int | str


# --- what a task asks for ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Encode:
    """Embed the named inputs. ``repeat`` names one that is encoded again, alone and out of its batch: the distance
    between the two passes is the numeric floor of everything computed from the embeddings."""

    inputs: tuple[str, ...]
    repeat: str | None = None


@dataclass(frozen=True)
class Decide:
    """Ask an observer for ``quantity`` (see the observer's card) about the named inputs. ``about`` is what an ideal
    listener knows beforehand (the frequency of the tone, the configuration), in the task's terms."""

    inputs: tuple[str, ...]
    quantity: str
    about: Mapping[str, Factor] = field(default_factory=dict)


Request = Encode | Decide


# --- what a model gives -----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Encoded:
    """Frames of one sound: per layer a float32 array ``[C, T, D]``, real length only. ``C`` is 1 where the model
    merges its channels, else the number of channels; ``hop_s`` is the time between frames, or None."""

    frames: Mapping[Layer, NDArray[np.float32]]
    hop_s: float | None


@dataclass(frozen=True, eq=False)
class Embedded:
    """What the runner hands to ``Task.score`` for an :class:`Encode`: pooled vectors ``[D]`` per layer and input name.
    ``again`` holds the second pass over ``Encode.repeat``, per layer."""

    vectors: Mapping[Layer, Mapping[str, NDArray[np.float32]]]
    again: Mapping[Layer, NDArray[np.float32]] = field(default_factory=dict)


#: What the runner hands to ``Task.score`` for a :class:`Decide`: numbers (or vectors) by name.
Decision = Mapping[str, Any]


@dataclass(frozen=True)
class Card:
    """What is known of a model without loading it."""

    name: str
    capability: Capability
    summary: str
    rate: int | None  # Hz; None: any
    channels: int  # channels the network takes at once
    cues: frozenset[str] = frozenset()  # of {"magnitude", "ipd", "gcc", "waveform"}: what it can use by construction
    licence: str = ""
    hub_id: str | None = None
    revision: str | None = None
    source: str = ""  # paper, equation
    notes: tuple[str, ...] = ()  # traps a user must know
    breaks: tuple[str, ...] = ()  # conformance checks that the model itself breaks, with the reason
    quantities: frozenset[str] = frozenset()  # of observers: what they can be asked
    fixed_duration_s: float | None = None  # the network wants exactly this much
    layers: tuple[Layer, ...] = ("last",)
    extra: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class Model(Protocol):
    """Somebody else's network. ``identity()`` is JSON over revision, weights digest, dtype and every parameter that
    can change a number, and must not need the network in memory; ``load()`` is idempotent and is called by the runner
    before the first request."""

    @property
    def card(self) -> Card: ...

    def identity(self) -> Mapping[str, Any]: ...

    def load(self) -> None: ...


@runtime_checkable
class Encoder(Model, Protocol):
    def encode(self, audio: Sequence[Audio], layers: Sequence[Layer] | None = None) -> list[Encoded]:
        """Frames of each sound, all at ``card.rate`` and with ``card.channels`` channels. ``layers=None``: the last."""
        ...


@runtime_checkable
class Observer(Model, Protocol):
    def decide(self, quantity: str, signals: Mapping[str, Audio], about: Mapping[str, Factor]) -> Decision: ...


@runtime_checkable
class Condition(Protocol):
    """A named, serialisable change of an item's stimulus. ``label`` is its JSON identity."""

    @property
    def label(self) -> Any: ...

    def __call__(self, item: Item) -> Item: ...


@runtime_checkable
class Intervention(Protocol):
    """One change inside a model, never of the stimulus; leaving the context restores the model bit for bit."""

    def identity(self) -> Mapping[str, Any]: ...

    def on(self, model: Model) -> AbstractContextManager[Any]: ...


# --- rows and tasks ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One value of one metric for one item. ``value`` None means undefined; then ``note`` says why."""

    metric: str
    value: float | None
    factors: Mapping[str, Factor] = field(default_factory=dict)
    raw: str | None = None
    status: str = "ok"
    note: str | None = None


@runtime_checkable
class Task(Protocol):
    """Items, the request each makes, and how outputs become rows. It never calls a model.

    ``items(round, rows)`` lists a round's items in a fixed order in which a longer list only appends to a shorter
    one; rounds after the first may look at the rows so far (adaptive placement) and must be pure functions of them.
    Where something is learned across items, ``keeps_outputs`` is true and ``fit_readout`` turns the kept outputs into
    rows once a round is complete.
    """

    version: ClassVar[int]
    name: str
    rounds: int
    shard_items: int
    keeps_outputs: bool

    def identity(self) -> Mapping[str, Any]: ...

    def accepts(self, card: Card) -> str | None:
        """None if the model can be asked, else the reason why not."""
        ...

    def items(self, round: int = 0, rows: Any = None) -> Sequence[Item]: ...

    def request(self, item: Item, card: Card) -> Request: ...

    def score(self, item: Item, output: Embedded | Decision) -> list[Row]: ...

    def fit_readout(self, items: Sequence[Item], outputs: Sequence[Any]) -> list[tuple[Item, list[Row]]]: ...

    def measures(self) -> Sequence[Any]: ...
