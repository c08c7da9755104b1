"""The contract of calibration: who learns, on which items, and that nothing learned from is scored.

An experiment names tasks (``fit_on``). An intervention that learns does so once per model on all of their items; what
it learned is kept in the run directory under a key of everything it depends on, and goes into the identity of the cell.
Evaluation items must share no group (speaker, recording) with calibration items.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from otoscope.core.errors import InputError, UsageError
from otoscope.core.identity import canonical, digest
from otoscope.core.items import Item
from otoscope.core.nouns import Fitted, Generate, Intervention, Separate, Task
from otoscope.experiments.ask_generate import generate_one
from otoscope.experiments.ask_separate import Outputs, separate_one
from otoscope.experiments.bench import Asked
from otoscope.experiments.experiment import Cell


@dataclass(frozen=True)
class Calibration:
    """The items that an intervention learns from, by task."""

    parts: tuple[tuple[Task, tuple[Item, ...]], ...]

    @classmethod
    def of(cls, tasks: Sequence[Task]) -> Calibration:
        return cls(tuple((task, tuple(task.items(0))) for task in tasks))

    def identity(self) -> list[Any]:
        """JSON over tasks and items."""
        return [{"task": task.identity(), "items": digest([i.id for i in items])} for task, items in self.parts]

    def groups(self) -> set[str]:
        return {item.group for _, items in self.parts for item in items}


def learns(intervention: Intervention) -> bool:
    """Whether ``intervention`` has to be fitted before it can act."""
    return isinstance(intervention, Fitted) and intervention.needs_fit


def check(cell: Cell, intervention: Intervention, calibration: Calibration, task: Task) -> dict[str, Any]:
    """What the cell's identity says of its calibration. Raises :class:`UsageError` where there are no calibration items
    or where the cell would be scored on a group that it was fitted on."""
    assert isinstance(intervention, Fitted)
    if not calibration.parts:
        raise UsageError(
            "learns from calibration items, and the experiment names none",
            where=str(cell.intervention),
            fix="Name a task with --fit-on (in a TOML file: fit_on), whose items are not among those scored.",
        )
    if both := sorted(calibration.groups() & {item.group for item in task.items(0)}):
        raise UsageError(
            f"{cell.alias} would be scored on {both[0]!r}, which its intervention is fitted on",
            where=str(cell.intervention),
            fix="Fit on other items: another split, seed or data set.",
        )
    return {"learns": dict(intervention.learns()), "on": calibration.identity()}


def fitted(
    intervention: Intervention, model: Any, model_identity: Mapping[str, Any], calibration: Calibration, kept: Outputs
) -> Intervention:
    """``intervention`` with what it learned on ``calibration``: found among ``kept``, or learned now."""
    assert isinstance(intervention, Fitted)
    key = _key(intervention.learns(), model_identity, calibration.identity())
    if (found := kept.output(key)) is None:
        most = getattr(intervention, "answer_tokens", None)
        calls = [
            lambda task=task, item=item: _call(model, task, item, most)
            for task, items in calibration.parts
            for item in items
        ]
        learned = intervention.learn(model, calls)
        found = {"learned": np.frombuffer(canonical(learned).encode("utf-8"), dtype=np.uint8)}
        kept.keep_output(key, found)
    return intervention.given(_read(found))


def learned_of(identity: Mapping[str, Any], kept: Outputs) -> dict[str, Any] | None:
    """What the intervention of a cell with this ``identity`` learned, if it learned anything that is still kept."""
    fit = identity.get("fit")
    found = None if fit is None else kept.output(_key(fit["learns"], identity["model"], fit["on"]))
    return None if found is None else _read(found)


def _key(learns: Mapping[str, Any], model: Mapping[str, Any], on: Sequence[Any]) -> str:
    return digest({"fit": learns, "model": model, "on": on})


def _read(found: Mapping[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(found["learned"].tobytes().decode("utf-8"))
    return data


def _call(model: Any, task: Task, item: Item, most: int | None = None) -> Any:
    """Run ``model`` on a calibration item, for at most so many tokens of an answer."""
    request = task.request(item, model.card)
    if not isinstance(request, Separate | Generate):
        raise InputError("only separators and audio language models can be fitted on a task's items", where=item.id)
    signals = item.inputs.render(model.card.rate) if request.inputs else {}
    if isinstance(request, Separate):
        return separate_one(model, signals[request.mixture], request)
    if most is not None:
        request = replace(request, max_new_tokens=min(most, request.max_new_tokens))
    return generate_one(model, Asked(item, request, signals, {}, 0.0), request)
