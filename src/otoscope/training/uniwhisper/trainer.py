"""The loop: batches in, steps out, over accelerate (one process or many), resumable to the bit on a CPU.

A step's loss is the sum over all its answer tokens, of all processes and accumulated batches, over their number, so
that how a global batch is divided changes nothing. Steps whose gradient is not finite are skipped and counted."""

from __future__ import annotations

import contextlib
import copy
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from otoscope.core.errors import UsageError
from otoscope.core.identity import digest
from otoscope.training.schedule import average_into, learning_rate
from otoscope.training.uniwhisper import checkpoints, sharding
from otoscope.training.uniwhisper.batches import Batches, Once
from otoscope.training.uniwhisper.collate import Laid
from otoscope.training.uniwhisper.feed import POOL_BATCHES, Feed, FeedState
from otoscope.training.uniwhisper.mixture import Source
from otoscope.training.uniwhisper.network import Listener, ctc_loss, groups, heard_by
from otoscope.training.uniwhisper.parts import Parts, build
from otoscope.training.uniwhisper.recipe import Recipe


@dataclass
class Told:
    """One step: sums of losses and answer tokens by task, clips, seconds of sound, waste, the gradient's norm, and in
    ``extra`` what auxiliaries measured, a mean over this process' batches (``ctc``: per answer token)."""

    step: int
    losses: dict[str, float] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)
    drawn: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    waste: float = 0.0
    norm: float = 0.0
    extra: dict[str, float] = field(default_factory=dict)
    skipped: bool = False

    @property
    def loss(self) -> float:
        return sum(self.losses.values()) / max(1, sum(self.tokens.values()))

    def measured(self, name: str, total: float) -> None:
        """Add what an auxiliary measured of a batch, summed over the batch."""
        self.extra[name] = self.extra.get(name, 0.0) + total


class Trainer:
    """One run in ``folder``. ``stop`` ends it early at a step (the schedule stays that of the whole run)."""

    def __init__(self, recipe: Recipe, folder: Path, parts: Parts | None = None) -> None:
        from accelerate import Accelerator
        from accelerate.utils import DataLoaderConfiguration

        self.recipe, self.folder = recipe, folder
        self.accelerator = Accelerator(
            mixed_precision=recipe.run.precision, dataloader_config=DataLoaderConfiguration(dispatch_batches=False)
        )
        self.device: torch.device = self.accelerator.device
        self.parts = parts or build(recipe)
        o = recipe.optimise
        listener = self.parts.listener
        self.start = copy.deepcopy(listener.encoder).requires_grad_(False) if o.l2_init or o.distil else None
        self.mean = nn.ModuleList([copy.deepcopy(listener.encoder), copy.deepcopy(listener.adapter)]).eval()
        self.mean.requires_grad_(False).to(self.device)
        self.sharded = recipe.run.sharding == "fsdp2"
        if self.sharded:
            if o.l2_init:
                raise UsageError("l2_init does not go with sharding", where="optimise", fix="Use distil.")
            sharding.shard(listener.to(self.device), self.device)
        optimiser = torch.optim.AdamW(
            groups(listener, (o.rate, o.adapter_rate), o.decay, o.layer_decay), betas=(0.9, 0.95)
        )
        if self.sharded:
            self.network, self.optimiser = listener, optimiser
        else:
            self.network, self.optimiser = self.accelerator.prepare(listener, optimiser)
        self.listener: Listener = self.accelerator.unwrap_model(self.network)
        if self.start is not None:
            self.start.to(self.device)
        self.step, self.skipped = 0, 0
        self.totals: dict[str, dict[str, float]] = {}
        self.feed = Feed(
            self.parts.sources, recipe.mixture, recipe.batch, seed=recipe.run.seed, pools=self._pools(),
            rank=self.accelerator.process_index, world=self.accelerator.num_processes,
        )  # fmt: skip
        self.feed_state = FeedState(0, 0, [0] * len(self.parts.sources))
        self._resume()

    def _pools(self) -> int:
        o = self.recipe.optimise
        return max(1, -(-o.steps * o.accumulate // POOL_BATCHES))

    # --- checkpoints ---

    def _resume(self) -> None:
        # A process among several calls its CPU cpu:0, which files cannot be read to.
        device = torch.device("cpu") if self.device.type == "cpu" else self.device
        found = checkpoints.newest(self.folder / "checkpoints", device)
        if found is None:
            return
        if found["recipe"] != digest(self.recipe.to_json()):
            fix = "Use that recipe, or another folder."
            raise UsageError("was begun with another recipe", where=str(self.folder), fix=fix)
        if self.sharded:
            sharding.restore(self.listener, self.optimiser, found["trained"], found["optimiser"])
        else:
            self.listener.load_state_dict(found["trained"], strict=False)
            self.optimiser.load_state_dict(found["optimiser"])
        self.mean.load_state_dict(found["mean"])
        self.step, self.skipped, self.totals = int(found["step"]), int(found["skipped"]), found["totals"]
        states = found["feeds"]
        if len(states) != self.accelerator.num_processes:
            what = f"was run by {len(states)} processes, not {self.accelerator.num_processes}"
            raise UsageError(what, where=str(self.folder), fix="Go on with as many.")
        self.feed_state = FeedState.of(states[self.accelerator.process_index])
        torch.set_rng_state(found["rng"].cpu())

    def save(self) -> None:
        """Everything that going on needs; of the decoder only what is trained."""
        states = [self.feed_state.to_json()]
        if self.accelerator.num_processes > 1:
            from accelerate.utils import gather_object

            states = gather_object(states)
        if self.sharded:
            trained, optimiser = sharding.gathered(self.listener, self.optimiser)
        else:
            wanted = {n for n, p in self.listener.named_parameters() if p.requires_grad}
            trained = {n: t for n, t in self.listener.state_dict().items() if n in wanted}
            optimiser = self.optimiser.state_dict()
        if self.accelerator.is_main_process:
            state = {
                "recipe": digest(self.recipe.to_json()), "step": self.step, "skipped": self.skipped,
                "totals": self.totals, "trained": trained, "mean": self.mean.state_dict(),
                "optimiser": optimiser,
                "feeds": states, "rng": torch.get_rng_state(),
            }  # fmt: skip
            checkpoints.save(self.folder / "checkpoints", self.step, state, self.recipe.run.keep)
        self.accelerator.wait_for_everyone()

    # --- the loop ---

    def run(self, after: Callable[[Told], None] = lambda told: None, stop: int | None = None) -> None:
        """To the end of the recipe, or to step ``stop``; ``after`` is told of every step."""
        o, r = self.recipe.optimise, self.recipe.run
        last = min(o.steps, o.steps if stop is None else stop)
        if self.step >= last:
            return
        stream = self._stream()
        try:
            while self.step < last:
                batches = list(itertools.islice(stream, o.accumulate))
                told = self._step(batches)
                self.step += 1
                self.feed_state = FeedState.of(batches[-1].state)
                after(told)
                if self.step % r.save_every == 0 or self.step == last:
                    self.save()
        finally:
            del stream  # ends the workers

    def _stream(self) -> Iterator[Laid]:
        recipe = self.recipe
        data = Batches(self.feed, self.parts.layout, self.parts.bank, recipe.run.seed, recipe.augment)
        loader: Any = DataLoader(
            data,
            batch_size=None,
            sampler=Once(self.feed.batches(self.feed_state)),
            num_workers=self.recipe.run.workers,
            generator=torch.Generator(),  # else it draws from the network's numbers, and dropout differs after a stop
        )
        for laid in loader:
            yield laid.to(self.device)

    def _rates(self) -> float:
        o = self.recipe.optimise
        share = learning_rate(1.0, o.warmup, o.steps, self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * share
        return share

    def _step(self, batches: Sequence[Laid]) -> Told:
        o = self.recipe.optimise
        self._rates()
        self.listener.encoder.train()
        only_adapter = self.step < o.adapter_steps
        told = Told(self.step + 1)
        own = float(sum(self._units(b) for b in batches))
        count = self._sum(own)
        for i, laid in enumerate(batches):
            final = i == len(batches) - 1
            with self._exchanging(final):
                with self.accelerator.autocast():
                    heard = self.network(laid.mel, laid.frames, laid.ids, laid.labels, laid.attention)
                    loss = self._loss(heard, laid, told) / count
                self.accelerator.backward(loss * self.accelerator.num_processes)
        norm = float(sharding.whole(self.accelerator.clip_grad_norm_(self.listener.parameters(), o.clip)))
        told.norm = norm
        told.extra = {name: value / own for name, value in told.extra.items()}
        if np.isfinite(norm):
            if only_adapter:
                for p in self.listener.encoder.parameters():
                    p.grad = None
            self.optimiser.step()
            average_into(self.mean, nn.ModuleList([self.listener.encoder, self.listener.adapter]), o.average, self.step)
        else:
            self.skipped += 1
            told.skipped = True
        self.optimiser.zero_grad(set_to_none=True)
        self._count(told)
        return told

    def _exchanging(self, final: bool) -> Any:
        """Processes exchange gradients in the last batch of a step alone."""
        if self.sharded:
            network: Any = self.network
            network.set_requires_gradient_sync(final)
            return contextlib.nullcontext()
        return contextlib.nullcontext() if final else self.accelerator.no_sync(self.network)

    def _units(self, laid: Laid) -> int:
        """What a loss is a mean over: answer tokens, or clips."""
        return laid.learned if self.recipe.optimise.token_average else len(laid.tasks)

    def _loss(self, heard: Any, laid: Laid, told: Told) -> Tensor:
        """Sum over the batch, in :meth:`_units`. ``told.extra`` gets sums in them too."""
        o = self.recipe.optimise
        per_clip = heard.losses.sum(1)
        learned = (laid.labels[:, 1:] != -100).sum(1)
        for task, source, value, n in zip(laid.tasks, laid.sources, per_clip.tolist(), learned.tolist(), strict=True):
            told.losses[task] = told.losses.get(task, 0.0) + value
            told.tokens[task] = told.tokens.get(task, 0) + n
            told.drawn[source] = told.drawn.get(source, 0) + 1
        told.seconds += laid.seconds
        told.waste += laid.waste
        loss: Tensor = per_clip.sum() if o.token_average else (per_clip / learned).sum()
        if o.ctc:
            targets = [a if t in o.ctc_tasks else [] for a, t in zip(laid.answers, laid.tasks, strict=True)]
            digits = ctc_loss(self.listener, heard, targets)
            told.measured("ctc", float(digits.detach()))
            loss = loss + o.ctc * digits
        if self.start is not None:
            loss = loss + self._units(laid) * self._held(heard, laid, told)
        return loss

    def _held(self, heard: Any, laid: Laid, told: Told) -> Tensor:
        """What holds the encoder to its start."""
        o = self.recipe.optimise
        assert self.start is not None
        held = heard.states.new_zeros(())
        if o.l2_init:
            pairs = zip(self.listener.encoder.parameters(), self.start.parameters(), strict=True)
            pull = sum((((a - b) ** 2).sum() for a, b in pairs if a.requires_grad), start=held)
            told.measured("l2_init", self._units(laid) * float(pull.detach()))
            held = held + o.l2_init * pull
        if o.distil:
            kinds = {s.name: s.group for s in self.parts.sources}
            rows = [i for i, s in enumerate(laid.sources) if kinds[s] in o.distil_groups]
            if rows:
                with torch.no_grad():
                    then = heard_by(self.start, laid.mel[rows])
                gap = nn.functional.mse_loss(heard.states[rows], then)
                told.measured("distil", self._units(laid) * float(gap.detach()))
                held = held + o.distil * gap
        return held

    def _sum(self, value: float) -> float:
        if self.accelerator.num_processes == 1:
            return value
        tensor = torch.tensor(value, dtype=torch.float64, device=self.device)
        return float(self.accelerator.reduce(tensor, reduction="sum"))

    def _count(self, told: Told) -> None:
        for source, n in told.drawn.items():
            found = self.totals.setdefault(source, {"clips": 0.0})
            found["clips"] += n

    # --- looking ---

    @torch.no_grad()
    def held_out(self, sources: Sequence[Source], seconds: float = 120.0) -> dict[str, float]:
        """Mean loss per answer token by task of the averaged weights, on about so many seconds of each source."""
        found: dict[str, list[float]] = {}
        with self.averaged():
            for source in sources:
                feed = Feed([source], type(self.recipe.mixture)(), self.recipe.batch, seed=0, pools=1)
                data = Batches(feed, self.parts.layout, self.parts.bank, 0)
                heard = 0.0
                for drawn in feed.batches():
                    laid = data[drawn].to(self.device)
                    losses = self.listener(laid.mel, laid.frames, laid.ids, laid.labels, laid.attention).losses.sum(1)
                    counts = (laid.labels[:, 1:] != -100).sum(1)
                    for task, value, n in zip(laid.tasks, losses.tolist(), counts.tolist(), strict=True):
                        found.setdefault(task, []).append(value / n)
                    heard += laid.seconds
                    if heard >= min(seconds, sum(r.duration_s for r in source.records)):
                        break
        return {task: float(np.mean(values)) for task, values in found.items()}

    def averaged(self) -> Any:
        """Inside, the network has the averaged weights."""
        return _Swapped(self.listener, self.mean)


class _Swapped:
    """The averaged encoder and adapter in the network, for the time of a ``with``."""

    def __init__(self, listener: Listener, mean: nn.ModuleList) -> None:
        self.listener, self.mean = listener, mean

    def __enter__(self) -> Listener:
        self.trained = self.listener.encoder, self.listener.adapter
        self.listener.encoder, self.listener.adapter = self.mean[0], self.mean[1]  # type: ignore[assignment]
        return self.listener

    def __exit__(self, *_: object) -> None:
        self.listener.encoder, self.listener.adapter = self.trained
