"""The nouns as protocols. An Experiment puts the items of its Tasks, in each Condition, to Models under Interventions,
and writes one row per item into Results. Only the runner calls models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from otoscope.core.audio import Audio
from otoscope.core.card import Capability as Capability
from otoscope.core.card import Card as Card
from otoscope.core.card import Layer as Layer
from otoscope.core.display import Displayed, Shown
from otoscope.core.items import Factor, Item
from otoscope.core.requests import Decide as Decide
from otoscope.core.requests import Encode as Encode
from otoscope.core.requests import Generate as Generate
from otoscope.core.requests import Request as Request
from otoscope.core.requests import Separate as Separate
from otoscope.core.requests import Span as Span
from otoscope.core.requests import StemPrompt as StemPrompt
from otoscope.core.sites import SiteMap

# --- what a model gives -----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Encoded(Displayed):
    """Frames of one sound: per layer a float32 array ``[C, T, D]``, real length only. ``C`` is 1 where the model
    merges its channels, else the number of channels; ``hop_s`` is the time between frames, or None."""

    frames: Mapping[Layer, NDArray[np.float32]]
    hop_s: float | None

    def __repr__(self) -> str:
        shapes = ", ".join(f"{layer}: {list(x.shape)}" for layer, x in self.frames.items())
        hop = "" if self.hop_s is None else f", hop {1000 * self.hop_s:.4g} ms"
        return f"Encoded({shapes}{hop})"

    def shown(self) -> Shown:
        header = ("layer", "channels", "frames", "width")
        hop = None if self.hop_s is None else f"{1000 * self.hop_s:.4g} ms"
        return Shown("Encoded", {"hop": hop}, header, [(str(k), *x.shape) for k, x in self.frames.items()])


@dataclass(frozen=True, eq=False)
class Embedded:
    """What the runner hands to ``Task.score`` for an :class:`Encode`: pooled vectors ``[D]`` per layer and input name.
    ``again`` holds the second pass over ``Encode.repeat``, per layer. Where frames were asked for, ``frames`` are
    ``[T, D]`` per layer and input name, channels merged as in the vectors, and ``hop_s`` is the time between them."""

    vectors: Mapping[Layer, Mapping[str, NDArray[np.float32]]]
    again: Mapping[Layer, NDArray[np.float32]] = field(default_factory=dict)
    frames: Mapping[Layer, Mapping[str, NDArray[np.float32]]] = field(default_factory=dict)
    hop_s: float | None = None


@dataclass(frozen=True, eq=False)
class Stems:
    """What a separator made of one mixture, exactly as long as the mixture. ``latents`` ``[T, C]`` are the final state
    (target channels, then residual channels) where the model has one; ``evaluations`` counts network calls."""

    target: Audio
    residual: Audio
    latents: NDArray[np.float32] | None = None
    evaluations: int = 0


@dataclass(frozen=True, eq=False)
class Separated:
    """What the runner hands to ``Task.score`` for a :class:`Separate`. ``signals`` are the rendered inputs, ``bare`` is
    the unmodified output where it was asked for (the same object as ``stems`` where nothing intervened), ``done`` is
    what the intervention says it did: numbers by name, such as ``saved_self_attention``. ``seconds`` are of the model's
    own calls, for ``stems`` and for ``bare``; None: not measured."""

    stems: Stems
    signals: Mapping[str, Audio]
    bare: Stems | None = None
    done: Mapping[str, float] = field(default_factory=dict)
    seconds: float | None = None
    bare_seconds: float | None = None


@dataclass(frozen=True, eq=False)
class Prompt:
    """What an audio language model is asked: clips, heard in order, then ``text``. ``system`` None leaves the system
    message to the checkpoint's own template."""

    text: str
    audio: tuple[Audio, ...] = ()
    system: str | None = None


@dataclass(frozen=True)
class TokenCounts:
    """Tokens of one prompt and its answer, padding apart. ``audio`` are those that stand for sound; markers around a
    clip count as ``text``. ``output`` counts the end token where one was given."""

    audio: int
    text: int
    output: int

    @property
    def prompt(self) -> int:
        return self.audio + self.text


@dataclass(frozen=True, eq=False)
class Reply:
    """An answer. ``token_ids`` are the answer's without its end token; ``ended`` is false where ``max_new_tokens`` cut
    it. ``spans`` are the half-open positions of each clip's tokens in the prompt, padding not counted.

    ``seconds`` and ``peak_bytes`` are per phase, and of the whole batch where ``batch`` prompts went together:
    ``features`` (text and sound to the network's inputs), ``encoder`` (audio encoder and projector), ``prefill`` (the
    rest up to the first token), ``decode`` (all tokens after the first, ``steps`` passes). Peaks are what torch had
    allocated on a GPU, else the resident memory of the process; a phase that was not measured is absent.
    """

    text: str
    token_ids: tuple[int, ...]
    tokens: TokenCounts
    spans: tuple[tuple[int, int], ...] = ()
    ended: bool = True
    seconds: Mapping[str, float] = field(default_factory=dict)
    peak_bytes: Mapping[str, int] = field(default_factory=dict)
    batch: int = 1
    steps: int = 0

    @property
    def first_token_s(self) -> float | None:
        """Time to the first token: audio encoder and prefill; the features are not in it."""
        known = [self.seconds[k] for k in ("encoder", "prefill") if k in self.seconds]
        return sum(known) if known else None

    @property
    def per_token_s(self) -> float | None:
        """Seconds per pass after the first token; None where there was none."""
        return self.seconds["decode"] / self.steps if self.steps and "decode" in self.seconds else None


@dataclass(frozen=True, eq=False)
class Answered:
    """What the runner hands to ``Task.score`` for a :class:`Generate`. ``bare`` is the unmodified answer where it was
    asked for (the same object as ``reply`` where nothing intervened), ``done`` what the intervention says it did,
    ``heard_s`` the seconds of all clips, ``load_s`` and ``load_peak_bytes`` what reading and resampling them took."""

    reply: Reply
    bare: Reply | None = None
    done: Mapping[str, float] = field(default_factory=dict)
    heard_s: float | None = None
    load_s: float | None = None
    load_peak_bytes: int | None = None


#: What the runner hands to ``Task.score`` for a :class:`Decide`: numbers (or vectors) by name.
Decision = Mapping[str, Any]


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
class Separator(Model, Protocol):
    def separate(
        self, mixtures: Sequence[Audio], prompts: Sequence[StemPrompt], noise_seeds: Sequence[int]
    ) -> list[Stems]:
        """Stems of each mixture, all at ``card.rate``, each as if it were alone (no padding is shared)."""
        ...


@runtime_checkable
class AudioLM(Model, Protocol):
    def generate(self, prompts: Sequence[Prompt], max_new_tokens: int = 256) -> list[Reply]:
        """An answer to each prompt, greedy, all prompts in one padded batch. Clips are at ``card.rate`` and have
        ``card.channels`` channels; what is longer than the model hears is refused, never cut."""
        ...


@runtime_checkable
class Sited(Protocol):
    """A model whose network has named places. ``network`` is the ``torch.nn.Module`` that interventions act in, loaded;
    ``sites`` describes it."""

    @property
    def network(self) -> Any: ...

    @property
    def sites(self) -> SiteMap: ...


class InterventionReport(Protocol):
    """What an intervention's context yields."""

    def drain(self) -> Mapping[str, float]:
        """What was done since the last call, as numbers by name; then start counting anew."""
        ...


@runtime_checkable
class Traced(Protocol):
    """A report that can also show what was done to the last prompt since :meth:`InterventionReport.drain`."""

    def trace(self) -> Mapping[str, NDArray[Any]]:
        """Arrays by name, none where nothing was done. ``kept_audio`` ``[N]``: of each audio token, the share of the
        places (layers from where it acts on, heads) in which it stays."""
        ...


@runtime_checkable
class Condition(Protocol):
    """A named, serialisable change of an item's stimulus. ``label`` is its JSON identity."""

    @property
    def label(self) -> Any: ...

    def __call__(self, item: Item) -> Item: ...


@runtime_checkable
class Intervention(Protocol):
    """One change inside a model, never of the stimulus; leaving the context restores the model bit for bit. The context
    gives an :class:`InterventionReport`, or None where there is nothing to report."""

    def identity(self) -> Mapping[str, Any]: ...

    def on(self, model: Model) -> AbstractContextManager[InterventionReport | None]: ...


@runtime_checkable
class Fitted(Intervention, Protocol):
    """An intervention that learns from calibration items. Methods that learn the same thing say the same in
    ``learns()``, and share what was learned. One that needs only the beginning of answers says so by an attribute
    ``answer_tokens``; the clock tells the family of the item's task, where it is known."""

    @property
    def needs_fit(self) -> bool:
        """Whether it must learn before it can act."""
        ...

    def learns(self) -> Mapping[str, Any]:
        """JSON: what is learned, apart from the model and the items."""
        ...

    def learn(self, model: Model, calls: Sequence[Callable[[], Any]]) -> Mapping[str, Any]:
        """JSON of what is learned; each of ``calls`` runs the model on one calibration item, whose task may say its
        ``domain``."""
        ...

    def given(self, learned: Mapping[str, Any]) -> Intervention:
        """The method with what it learned."""
        ...


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

    def score(self, item: Item, output: Embedded | Decision | Separated | Answered) -> list[Row]: ...

    def fit_readout(self, items: Sequence[Item], outputs: Sequence[Any]) -> list[tuple[Item, list[Row]]]: ...

    def measures(self) -> Sequence[Any]: ...


@runtime_checkable
class Rescorable(Task, Protocol):
    """A task whose answers are words that one of several ``parsers`` reads: stored replies can be read again, without a
    model. ``rescored`` names the metrics that come from a reply's words; ``parser`` is the one in use."""

    parsers: ClassVar[tuple[str, ...]]

    @property
    def rescored(self) -> frozenset[str]: ...

    def with_parser(self, name: str) -> Rescorable: ...

    def rescore(self, item: Item, reply: str) -> list[Row]: ...
