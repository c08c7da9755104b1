"""``knock-heads``: what chosen heads have heard becomes nothing, or its mean over tokens. The causal side of the atlas.

Heads are named (``layer`` and ``heads``), or the share of all heads that is most ``responsive`` to sound or most
``selective`` on calibration items, or ``random`` (the control: as many, drawn from all). Ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np
from torch import Tensor

from otoscope.audio.binaural import child
from otoscope.core.errors import InputError, UsageError
from otoscope.core.sites import SiteMap
from otoscope.interventions.acting import Acting, layer_list
from otoscope.interventions.heads.atlas import RESPONSIVENESS, SELECTIVITY, HeadAtlas, read
from otoscope.interventions.hooks import Action, Change, places
from otoscope.interventions.tally import Tally

Which = Literal["named", "responsive", "selective", "random"]
_BY = {"responsive": RESPONSIVENESS, "selective": SELECTIVITY}


@dataclass(frozen=True)
class KnockHeads(Acting):
    """``which`` heads: ``named`` (``layer``, ``heads``: ``0+2``), or a ``share`` of all, to the
    nearest whole number of heads and at least one. ``kind``: zero, mean."""

    name: ClassVar[str] = "knock-heads"
    which: Which = "named"
    layer: int | None = None
    heads: str | int | None = None
    share: float = 0.1
    kind: Literal["zero", "mean"] = "zero"
    seed: int = 0
    learned_: Mapping[str, Any] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        for value, known in ((self.which, get_args(Which)), (self.kind, ("zero", "mean"))):
            if value not in known:
                raise UsageError(f"{value!r} is not one of {', '.join(known)}", where=self.name)
        if (self.which == "named") != (self.layer is not None and self.heads is not None):
            raise UsageError("named heads, and they alone, need layer= and heads=", where=self.name)
        layer_list(self.heads, self.name)
        if isinstance(self.share, bool) or not 0 < self.share <= 1:
            raise UsageError(f"share={self.share} is no share of the heads above 0 and up to 1", where=self.name)

    @property
    def needs_fit(self) -> bool:
        return self.which in _BY and self.learned_ is None

    def identity(self) -> Mapping[str, Any]:
        return {k: v for k, v in super().identity().items() if k != "learned_"}

    def learns(self) -> Mapping[str, Any]:
        return {"class": "head-atlas", "version": 1}

    def learn(self, model: Any, calls: Sequence[Callable[[], Any]]) -> dict[str, Any]:
        """The atlas: mean statistics per layer and head over the calibration items that have sound."""
        seen: dict[str, list[Any]] = {RESPONSIVENESS: [], SELECTIVITY: []}
        with HeadAtlas().on(model) as tally:
            for call in calls:
                call()
                for name, items in seen.items():
                    if found := read(dict(tally.drain()), name):
                        items.append(found)
        if not seen[RESPONSIVENESS]:
            raise InputError("no calibration item has sound", where=self.name)
        return {name: np.mean(items, axis=0).tolist() for name, items in seen.items()}

    def given(self, learned: Mapping[str, Any]) -> Self:
        """This method with an atlas."""
        return replace(self, learned_=learned)

    def actions(self, model: Any, sites: SiteMap, tally: Tally) -> Sequence[Action]:
        config = model.network.get_decoder().config
        chosen = self.chosen(sites.n_layers, int(config.num_attention_heads))
        tally.numbers["knocked_heads"] = float(sum(map(len, chosen.values())))
        return [
            Change(places(sites, "self_heads", layer)[0], partial(knocked, heads=heads, kind=self.kind))
            for layer, heads in sorted(chosen.items())
        ]

    def chosen(self, n_layers: int, n_heads: int) -> dict[int, list[int]]:
        """Layer -> heads. Raises :class:`UsageError` on a head that is not there, and without an atlas."""
        if self.which == "named":
            heads = list(layer_list(self.heads, self.name) or ())
            if not 0 <= int(self.layer or 0) < n_layers or not all(0 <= h < n_heads for h in heads):
                raise UsageError(
                    f"there is no layer {self.layer} with heads {self.heads}",
                    where=self.name,
                    fix=f"Layers are 0 to {n_layers - 1}, heads 0 to {n_heads - 1}.",
                )
            return {int(self.layer or 0): heads}
        n = max(1, round(self.share * n_layers * n_heads))
        if self.which == "random":
            flat = child(self.seed, "knock-heads").permutation(n_layers * n_heads)[:n]
        else:
            if self.learned_ is None:
                raise UsageError("has no atlas yet", where=self.name, fix="Let an experiment fit it (fit_on).")
            values = np.asarray(self.learned_[_BY[self.which]], dtype=np.float64)
            if values.shape != (n_layers, n_heads):
                raise UsageError(f"has an atlas of {values.shape} heads", where=self.name, fix="Fit it on this model.")
            flat = np.argsort(-values.ravel(), kind="stable")[:n]
        found: dict[int, list[int]] = {}
        for i in sorted(int(x) for x in flat):
            found.setdefault(i // n_heads, []).append(i % n_heads)
        return found


def knocked(value: Tensor, heads: Sequence[int], kind: str) -> Tensor:
    """``value`` ``[B, H, T, d]`` with what ``heads`` have heard gone."""
    out = value.clone()
    chosen = list(heads)
    out[:, chosen] = 0 if kind == "zero" else value[:, chosen].mean(-2, keepdim=True).expand_as(value[:, chosen])
    return out
