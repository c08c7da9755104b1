"""``head-atlas``: watches every head of every layer while a prompt is read, and changes nothing.

Per layer and head the two statistics that HeadRouter routes by (:mod:`otoscope.interventions.prune.headstats`; there in
one layer, here in all, ours): how much of the text's attention falls on sound, and how selectively. The report holds
``responsiveness.L.H`` and ``selectivity.L.H`` of the last prompt (of a batch the mean).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from otoscope.core.errors import ModelError
from otoscope.core.sites import SiteMap
from otoscope.interventions.acting import Acting
from otoscope.interventions.decoder import audio_id, ids_of, padding
from otoscope.interventions.hooks import Action, Observe, Skip, places
from otoscope.interventions.prune.engine import Row
from otoscope.interventions.prune.headstats import head_stats
from otoscope.interventions.shadow import ROOT
from otoscope.interventions.tally import Tally

RESPONSIVENESS, SELECTIVITY = "responsiveness", "selectivity"


@dataclass(frozen=True)
class HeadAtlas(Acting):
    """No parameters."""

    name: ClassVar[str] = "head-atlas"

    def actions(self, model: Any, sites: SiteMap, tally: Tally) -> Sequence[Action]:
        return _Watch(model, sites, tally, self.name).actions()


class _Watch:
    """State of one context: the tokens of the call that is running, and what has come by of a layer."""

    def __init__(self, model: Any, sites: SiteMap, tally: Tally, name: str) -> None:
        self.sites, self.tally = sites, tally
        self.layers = model.network.get_decoder().layers
        self.audio_id, self.name = audio_id(model, name), name
        fused = any(s.name == "qkv_proj" for s in sites.sites)
        self.names = ("qkv_proj",) if fused else ("q_proj", "k_proj")
        self.seen: dict[str, Tensor] = {}
        self.ids: Tensor | None = None
        self.real: Tensor | None = None

    def actions(self) -> list[Action]:
        found: list[Action] = [Skip(ROOT, self._enter)]
        for layer in range(self.sites.n_layers):
            for name in self.names:
                found.append(Observe(places(self.sites, name, layer)[0], self._watcher(name, layer)))
        return found

    def _enter(self, network: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        ids = ids_of(args, kwargs)
        if ids is None and "inputs_embeds" in kwargs:
            raise ModelError(
                "cannot tell which tokens are sound: the network was called with embeddings", where=self.name
            )
        self.ids, self.real = ids, padding(kwargs.get("attention_mask"), ids)
        self.seen.clear()
        if ids is not None and ids.shape[1] > 1:  # a prompt, not a token of the answer
            numbers = self.tally.numbers
            for key in [k for k in numbers if k.startswith((RESPONSIVENESS, SELECTIVITY))]:
                del numbers[key]
        return network(*args, **kwargs)

    def _watcher(self, name: str, layer: int) -> Any:
        def see(value: Tensor) -> None:
            if self.ids is None or value.shape[-2] != self.ids.shape[1] or value.shape[-2] < 2:
                return
            self.seen[name] = value
            if all(n in self.seen for n in self.names):
                self._told(layer)
                self.seen.clear()

        return see

    def _told(self, layer: int) -> None:
        assert self.ids is not None
        found = [s for i in range(len(self.ids)) if (s := self._stats(i, layer)) is not None]
        for name in (RESPONSIVENESS, SELECTIVITY) if found else ():
            mean = torch.stack([getattr(s, name).double() for s in found]).mean(0)
            for head, value in enumerate(mean.tolist()):
                self.tally.numbers[f"{name}.{layer}.{head}"] = value

    def _stats(self, i: int, layer: int) -> Any:
        assert self.ids is not None
        ids = self.ids[i].to(next(iter(self.seen.values())).device)
        real = torch.ones_like(ids, dtype=torch.bool) if self.real is None else self.real[i].to(ids.device)
        audio = ((ids == self.audio_id) & real).nonzero()[:, 0]
        if not len(audio):
            return None
        after = torch.arange(int(audio[-1]) + 1, len(ids), device=ids.device)
        edges = [0, *((audio.diff() > 1).nonzero()[:, 0] + 1).tolist(), len(audio)]
        watched = {name: value[i] for name, value in self.seen.items()}
        nothing = torch.empty(0, device=ids.device)
        row = Row(audio, list(pairwise(edges)), after[real[after]], real, nothing, self.layers[layer], watched,
                  (nothing, nothing))  # fmt: skip
        return head_stats(row)


def read(numbers: dict[str, float], name: str) -> list[list[float]]:
    """``numbers`` of a report as ``[layers][heads]``; [] where there are none."""
    found = {tuple(map(int, k.split(".")[1:])): v for k, v in numbers.items() if k.startswith(f"{name}.")}
    if not found:
        return []
    layers, heads = (1 + max(k[i] for k in found) for i in (0, 1))
    return [[found[layer, head] for head in range(heads)] for layer in range(layers)]
