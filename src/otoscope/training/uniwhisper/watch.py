"""What a run says while it goes: a line every so often, the same into TensorBoard, held-out losses, what is forgotten,
and a probe.

``log.jsonl`` has, per line: step, seconds, mean loss per answer token of every task, realised shares of the sources,
clips and seconds of sound a second, share of frames that are padding, gradient norm, skipped steps, and what
regularisers measured."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from otoscope.training.uniwhisper.export import state
from otoscope.training.uniwhisper.forgetting import Forgetting
from otoscope.training.uniwhisper.mixture import Source
from otoscope.training.uniwhisper.parts import place
from otoscope.training.uniwhisper.trainer import Told, Trainer


class Watch:
    """An ``after`` for :meth:`Trainer.run`. ``tell`` gets every line; ``tested`` are sources of records that are not
    trained on."""

    def __init__(
        self,
        trainer: Trainer,
        tested: Sequence[Source] = (),
        tell: Callable[[Mapping[str, Any]], None] = lambda line: None,
    ) -> None:
        self.trainer, self.tested, self.tell = trainer, tested, tell
        self.began, self.first, self.seen = time.perf_counter(), trainer.step, list[Told]()
        self._board: Any = None
        self.forgetting: Forgetting | None = None
        run = trainer.recipe.run
        if run.forgetting and trainer.accelerator.is_main_process:
            held = [r for s in tested for r in s.records]
            source = place(trainer.recipe, run.forgetting)
            self.forgetting = Forgetting(source, held, trainer.parts.bank, trainer.device)
        trainer.folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, told: Told) -> None:
        self.seen.append(told)
        run = self.trainer.recipe.run
        last = told.step == self.trainer.recipe.optimise.steps
        evaluated = told.step % run.evaluate_every == 0 and bool(self.tested)
        probed = bool(run.probe_every and run.probes) and told.step % run.probe_every == 0
        if told.step % run.log_every and not (last or evaluated or probed):
            return
        main = self.trainer.accelerator.is_main_process
        held: dict[str, float] = {}
        if evaluated and (main or self.trainer.sharded):  # weights that are divided are put together by all
            held = self.trainer.held_out(self.tested)
        if not main:
            self.seen.clear()
            return
        line = self._line(told)
        if evaluated:
            line["held_out"] = held
            if self.forgetting is not None:
                with self.trainer.averaged() as listener:
                    line["forgetting"] = self.forgetting.measure(state(listener))
        if probed:
            line["probes"] = self.probe(told.step)
        with (self.trainer.folder / "log.jsonl").open("a", encoding="utf-8") as out:
            out.write(json.dumps(line) + "\n")
        self._show(line)
        self.tell(line)
        self.seen.clear()

    def _line(self, told: Told) -> dict[str, Any]:
        seen = self.seen
        tasks = sorted({t for x in seen for t in x.losses})
        tokens = {t: sum(x.tokens.get(t, 0) for x in seen) for t in tasks}
        sources = sorted({s for x in seen for s in x.drawn})
        drawn = {s: sum(x.drawn.get(s, 0) for x in seen) for s in sources}
        clips = max(1, sum(drawn.values()))
        gone = time.perf_counter() - self.began
        done = told.step - self.first
        left = self.trainer.recipe.optimise.steps - told.step
        extra = sorted({e for x in seen for e in x.extra})
        return {
            "step": told.step,
            "seconds": round(gone, 2),
            "eta_s": round(gone / max(1, done) * left, 1),
            "loss": {t: sum(x.losses.get(t, 0.0) for x in seen) / max(1, tokens[t]) for t in tasks},
            "shares": {s: n / clips for s, n in drawn.items()},
            "clips_per_s": clips / len(seen) * done / gone,
            "sound_per_s": sum(x.seconds for x in seen) / len(seen) * done / gone,
            "padding": float(np.mean([x.waste for x in seen])),
            "norm": float(np.mean([x.norm for x in seen])),
            "skipped": self.trainer.skipped,
            **{e: float(np.mean([x.extra.get(e, 0.0) for x in seen])) for e in extra},
        }

    def probe(self, step: int) -> dict[str, float]:
        """Scores of the recipe's probe tasks for the averaged encoder, through the ordinary runner and its store."""
        from otoscope.core.naming import parse_spec
        from otoscope.experiments.experiment import Block, Experiment
        from otoscope.experiments.runner import run
        from otoscope.experiments.scores import scores_of

        folder = self.trainer.folder
        with self.trainer.averaged() as listener:
            encoder = self.trainer.parts.write(listener, folder / "probed")
        tasks = tuple(map(parse_spec, self.trainer.recipe.run.probes))
        chosen = Experiment(f"step-{step}", (Block(tasks),), models=(parse_spec(str(encoder)),))
        done = run(chosen, into=folder / "probes" / f"step-{step:08d}")
        return {
            f"{s.task.partition(':')[0]} {s.factors.get('probe', '')}".strip(): s.value
            for s in scores_of(done.results)
            if s.metric == "score" and s.value is not None
        }

    def _show(self, line: Mapping[str, Any]) -> None:
        """Into TensorBoard's files, where it is installed."""
        if self._board is None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                warnings.warn(
                    "no events for TensorBoard are written, it is not installed: pip install otoscope[train]. All "
                    "figures are in log.jsonl",
                    stacklevel=2,
                )
                self._board = False
                return
            self._board = SummaryWriter(str(self.trainer.folder / "tensorboard"))
        if self._board is False:
            return
        for name, value in line.items():
            if isinstance(value, Mapping):
                for key, one in value.items():
                    self._board.add_scalar(f"{name}/{key}", one, line["step"])
            elif name != "step":
                self._board.add_scalar(name, value, line["step"])
        self._board.flush()
