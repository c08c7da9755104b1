"""One shard of one cell: items in, rows out. Nothing else in the package calls a model (``ask_encode``,
``ask_separate`` and ``ask_generate`` are parts of this).

Batches are a pure function of the shard's items, never of worker count or of where a killed run resumed. Sounds that
are bit-equal (the same noise under every signal-to-noise ratio, say) are embedded once per shard. What breaks, breaks
alone, and becomes a failure row that names it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from otoscope.core.audio import Audio
from otoscope.core.errors import InputError, OtoscopeError, StoreError
from otoscope.core.items import Item, recordings
from otoscope.core.nouns import Answered, Card, Decide, Encode, Generate, InterventionReport, Row, Separate
from otoscope.experiments.ask_encode import Known, embed_missing, embedded, keep_decision, pack, unpack
from otoscope.experiments.ask_generate import answered, bare_replies
from otoscope.experiments.ask_separate import InMemory, Outputs, bare_stems, separated
from otoscope.experiments.bench import DEFAULT_RATE, Asked, Bench, Broken
from otoscope.experiments.recall import Recall, recall_of
from otoscope.experiments.sharing import Shelf, Spent, render
from otoscope.results.schema import Cost, failure_records, item_records

__all__ = ["Bench", "ShardOutput", "explain", "failed_rows", "mark_training", "readout_records", "run_shard", "unpack"]

#: Items rendered together. Bounds memory; also the horizon within which equal sounds are batched.
CHUNK_ITEMS = 16


@dataclass
class ShardOutput:
    """Rows of a shard (one mapping per row, in item order) and, where the task keeps them, its embeddings. ``recall``
    says what of them was in the embedding store; None where none was asked."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    kept: dict[str, NDArray[Any]] | None = None
    n_failed: int = 0
    recall: Recall | None = None


def run_shard(
    bench: Bench, items: Sequence[Item], outputs: Outputs | None = None, shelf: Shelf | None = None
) -> ShardOutput:
    """Run ``items``; every item yields rows, a failed one a row with status ``failed`` and the reason. ``outputs`` is
    where unmodified stems and answers are kept and looked for (None: in memory, for this shard), ``shelf`` where
    rendered sounds are."""
    shard = _Shard(bench, InMemory() if outputs is None else outputs, shelf)
    for start in range(0, len(items), CHUNK_ITEMS):
        shard.run(items[start : start + CHUNK_ITEMS], shown=start == 0)
    if bench.task.keeps_outputs:
        shard.out.kept = pack(items, shard.kept, shard.known)
    recalled = shard.out.recall is not None and shard.out.recall.n_stored > 0
    peak = None if recalled else _peak_bytes()  # without encoding it is another figure
    for row in shard.out.rows:
        row["peak_bytes"] = peak
    return shard.out


class _Shard:
    """What the chunks of one shard share."""

    def __init__(self, bench: Bench, outputs: Outputs, shelf: Shelf | None) -> None:
        self.bench, self.outputs, self.shelf = bench, outputs, shelf
        store = bench.embeddings
        self.out = ShardOutput(recall=None if store is None else recall_of(store, bench.model, bench.batch))
        self.known: Known = {}
        self.kept: list[tuple[Item, dict[str, str]]] = []

    def run(self, items: Sequence[Item], shown: bool) -> None:
        """``shown``: of the first item, what an intervention made of it is kept, to be heard and seen in the page."""
        chunk = [_ask(self.bench, item, self.shelf) for item in items]
        asked = [a for a in chunk if isinstance(a, Asked)]
        bare = {**bare_stems(self.bench, asked, self.outputs), **bare_replies(self.bench, asked, self.outputs)}
        with self.bench.intervention.on(self.bench.model) as report:
            embed_missing(self.bench, asked, self.known, self.out.recall)
            for i, (item, one) in enumerate(zip(items, chunk, strict=True)):
                self._finish(item, one, report, bare, shown and i == 0)

    def _finish(
        self,
        item: Item,
        asked: Asked | Broken,
        report: InterventionReport | None,
        bare: Mapping[str, Any],
        shown: bool,
    ) -> None:
        try:
            if isinstance(asked, Broken):
                raise asked.error
            output, seconds, artefact = self._output(asked, report, bare, shown)
            if self.bench.task.keeps_outputs:
                self._keep(asked, output)
            rows = self.bench.task.score(asked.item, output)
        except StoreError:
            raise  # a full disk is not the item's failure
        except Exception as e:
            self.out.rows.extend(failure_records(item, explain(e)))
            self.out.n_failed += 1
            return
        cost = _cost(asked, output, seconds)
        self.out.rows.extend(item_records(asked.item, rows, cost=cost, output=artefact))

    def _output(
        self, asked: Asked, report: InterventionReport | None, bare: Mapping[str, Any], shown: bool
    ) -> tuple[Any, float | None, str | None]:
        if isinstance(asked.request, Separate):
            return separated(self.bench, asked, report, bare, self.outputs, shown)
        if isinstance(asked.request, Generate):
            return answered(self.bench, asked, report, bare, self.outputs, shown)
        if isinstance(asked.request, Decide):
            start = time.perf_counter()
            decision = self.bench.model.decide(asked.request.quantity, asked.signals, asked.request.about)
            return decision, time.perf_counter() - start, None
        return *embedded(asked, self.known), None

    def _keep(self, asked: Asked, output: Any) -> None:
        if isinstance(asked.request, Separate | Generate):
            what = "a readout learns from embeddings or decisions, not from stems or answers"
            raise InputError(what, where=asked.item.id)
        self.kept.append((asked.item, asked.keys or keep_decision(asked.item, output, self.known)))


def _ask(bench: Bench, item: Item, shelf: Shelf | None) -> Asked | Broken:
    spent = Spent(0.0, None)
    name = item.id
    try:
        item = bench.condition(item)
        request = bench.task.request(item, bench.model.card)
        signals: dict[str, Audio] = {}
        if request.inputs:
            rate = bench.model.card.rate or DEFAULT_RATE
            rendered, spent = render(item, rate) if shelf is None else shelf.rendered(name, item, rate)
            missing = [n for n in request.inputs if n not in rendered]
            if missing:
                raise InputError(f"the item has no input {missing[0]!r}", where=item.id)
            signals = {n: rendered[n] for n in request.inputs}
        if isinstance(request, Separate) and request.mixture not in signals:
            raise InputError(f"the mixture {request.mixture!r} is not among the request's inputs", where=item.id)
    except Exception as e:
        return Broken(e)
    # What the network hears decides what is equal: through ``channels=left`` a whole triplet can share one vector.
    key = getattr(bench.model, "key", Audio.digest)
    keys = {n: key(a) for n, a in signals.items()} if isinstance(request, Encode) else {}
    return Asked(item, request, signals, keys, spent.seconds, spent.peak_bytes)


def readout_records(rows: Sequence[tuple[Item, list[Row]]]) -> list[dict[str, Any]]:
    """Rows of a readout, in the store's form."""
    return [record for item, found in rows if found for record in item_records(item, found)]


def failed_rows(items: Sequence[Item], error: Exception) -> list[dict[str, Any]]:
    """A failure row for every item: the model could not be loaded, or a readout could not be fitted."""
    return [record for item in items for record in failure_records(item, explain(error))]


def mark_training(rows: Sequence[dict[str, Any]], items: Sequence[Item], card: Card) -> None:
    """Set ``in_training`` of each of ``rows``: whether the model was trained on a recording of its item, as far as its
    card lists them."""
    if not card.trained_on:
        return
    known = {item.id: not card.trained_on.isdisjoint(recordings(item)) for item in items}
    for row in rows:
        row["in_training"] = known[row["item"]]


def explain(error: Exception) -> str:
    """An error in one line: rows are read in tables."""
    text = str(error) if isinstance(error, OtoscopeError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:2000]


def _cost(asked: Asked, output: Any, seconds: float | None) -> Cost:
    """What the item cost; of an answer also its tokens, and those that are left in the last layer."""
    if not isinstance(output, Answered):
        return Cost(asked.seconds_render, seconds)
    tokens = output.reply.tokens
    kept = tokens.text + output.done.get("kept_audio_tokens", tokens.audio)
    return Cost(asked.seconds_render, seconds, tokens_in=tokens.prompt, tokens_kept=round(kept))


def _peak_bytes() -> int | None:
    """Peak resident memory of this process so far, in bytes."""
    try:
        import resource
    except ImportError:  # Windows has no resource module; the column stays empty there
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)
