"""Interventions on the prompt inside the network: swapped, patched back, split into routing and content, or reduced to
its text.

``swap-prompt`` gives every evaluation another prompt. ``restore`` runs under another prompt and puts the values of the
item's own back at one site (denoising; ``ablate:kind=resample`` is the noising direction). ``split-prompt`` takes the
keys of cross-attention from one prompt and the values from another. ``minus-text-free`` subtracts from every
cross-attention what it gives without any text, which leaves what is really about the text. All ours, as controls for
arXiv 2606.10046 (fact sheet, section 8.2).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from otoscope.core import clock
from otoscope.core.errors import UsageError
from otoscope.core.sites import SiteMap
from otoscope.interventions.acting import Acting, check_times, layer_list
from otoscope.interventions.hooks import Action, Change, Observe, Skip, places, within
from otoscope.interventions.shadow import ROOT, encode_prompt, patch
from otoscope.interventions.tally import Tally


@dataclass(frozen=True)
class SwapPrompt(Acting):
    """Every evaluation from ``start`` to ``end`` is under ``prompt`` ("" for no text at all)."""

    name: ClassVar[str] = "swap-prompt"
    prompt: str = ""
    start: float = 0.0
    end: float = 1.0

    def __post_init__(self) -> None:
        check_times(self.start, self.end, self.name)

    def actions(self, model: Any, sites: SiteMap, tally: Tally) -> Sequence[Action]:
        text, mask = encode_prompt(model, str(self.prompt or ""))

        def evaluate(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            return type(module).forward(module, *args, **{**kwargs, "text": text, "text_mask": mask})

        return [Skip(ROOT, evaluate, within(self.start, self.end))]


@dataclass(frozen=True)
class Restore(Acting):
    """Under ``prompt``, the item's own values are put back at ``site``."""

    name: ClassVar[str] = "restore"
    site: str = ""
    prompt: str = ""
    layers: str | int | None = None
    start: float = 0.0
    end: float = 1.0

    def __post_init__(self) -> None:
        if not self.site or not self.prompt:
            raise UsageError("needs site=NAME and prompt=TEXT", where=self.name)
        layer_list(self.layers, self.name)
        check_times(self.start, self.end, self.name)

    def actions(self, model: Any, sites: SiteMap, tally: Tally) -> Sequence[Action]:
        wanted = places(sites, self.site, layer_list(self.layers, self.name))
        return patch(model, str(self.prompt), wanted, within(self.start, self.end), swap=True)


@dataclass(frozen=True)
class SplitPrompt(Acting):
    """``take=keys``: cross-attention routes by ``prompt`` and reads the item's own values; ``take=values``: the other
    way round."""

    name: ClassVar[str] = "split-prompt"
    prompt: str = ""
    take: Literal["keys", "values"] = "keys"

    def __post_init__(self) -> None:
        if not self.prompt or self.take not in ("keys", "values"):
            raise UsageError("needs prompt=TEXT and take=keys or take=values", where=self.name)

    def actions(self, model: Any, sites: SiteMap, tally: Tally) -> Sequence[Action]:
        site = "cross_k" if self.take == "keys" else "cross_v"
        return patch(model, str(self.prompt), places(sites, site), None)


@dataclass(frozen=True)
class CrossUniform(Acting):
    """Every token gets the same weight in cross-attention: content without routing."""

    name: ClassVar[str] = "cross-uniform"
    layers: str | int | None = None

    def __post_init__(self) -> None:
        layer_list(self.layers, self.name)

    def actions(self, model: Any, sites: SiteMap, tally: Tally) -> Sequence[Action]:
        def uniform(probabilities: Tensor) -> Tensor:
            real = (probabilities > 0).to(probabilities.dtype)
            return real / real.sum(-1, keepdim=True).clamp_min(1)

        return [Change(p, uniform) for p in places(sites, "cross_attn_map", layer_list(self.layers, self.name))]


@dataclass(frozen=True)
class MinusTextFree(Acting):
    """Cross-attention less what the time alone gives it, for the same queries."""

    name: ClassVar[str] = "minus-text-free"
    layers: str | int | None = None

    def __post_init__(self) -> None:
        layer_list(self.layers, self.name)

    def actions(self, model: Any, sites: SiteMap, tally: Tally) -> Sequence[Action]:
        network, memory = model.network, {}

        def remember(embedded: Tensor) -> None:
            moment = torch.tensor([clock.now().time], device=embedded.device)
            bare = network.memory(moment.expand(embedded.shape[0]), None, embedded.dtype)
            memory["time"] = type(network.transformer.y_embedder).forward(network.transformer.y_embedder, bare)

        def reduced(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            run = type(module).forward
            return run(module, *args, **kwargs) - run(module, args[0], memory["time"])

        wanted = places(sites, "cross_attn_out", layer_list(self.layers, self.name))
        return [Observe(places(sites, "memory_embedded")[0], remember), *(Skip(p, reduced) for p in wanted)]


@dataclass(frozen=True)
class Gate(Acting):
    """The gate of the anchors, before its tanh, is set to ``gamma``. It scales the anchor of every real frame, those
    without a span included: compare with the same gate and no span at all."""

    name: ClassVar[str] = "gate"
    gamma: float = 0.0

    def __post_init__(self) -> None:
        number = self.gamma
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
            raise UsageError(f"gamma={number} is not a number", where=self.name)

    def actions(self, model: Any, sites: SiteMap, tally: Tally) -> Sequence[Action]:
        return [Change(places(sites, "anchor_gate")[0], lambda gate: torch.full_like(gate, float(self.gamma)))]
