"""The base of separators that are a flow network once loaded: a model says how it is built, the rest is common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from otoscope.core.audio import Audio
from otoscope.core.costs import EvaluationCost
from otoscope.core.nouns import StemPrompt, Stems
from otoscope.core.sites import SiteMap
from otoscope.models.shown import ShownModel

if TYPE_CHECKING:
    from torch import Tensor

    from otoscope.models.separators.dit import FlowNetwork
    from otoscope.models.separators.flow import FlowSeparator


class BuiltFlow(ShownModel):
    """A ``Separator`` that is ``Sited``, and knows what its evaluations cost."""

    _flow: FlowSeparator | None = None

    def build(self) -> FlowSeparator:
        """Network, codec and words, with their weights. Raises :class:`ModelError`."""
        raise NotImplementedError

    @property
    def ready(self) -> bool:
        return self._flow is not None

    def load(self) -> None:
        """Build it on its device, once."""
        if self._flow is None:
            flow = self.build()
            flow.load()
            self._flow = flow

    @property
    def flow(self) -> FlowSeparator:
        """The loaded separator."""
        self.load()
        assert self._flow is not None
        return self._flow

    @property
    def network(self) -> FlowNetwork:
        return self.flow.network

    @property
    def sites(self) -> SiteMap:
        return self.flow.sites

    def cost(self, frames: int, tokens: int) -> EvaluationCost:
        """See :meth:`FlowSeparator.cost`."""
        return self.flow.cost(frames, tokens)

    def encode_text(self, prompt: str) -> tuple[Tensor | None, Tensor | None]:
        """See :meth:`FlowSeparator.encode_text`."""
        return self.flow.encode_text(prompt)

    def separate(
        self, mixtures: Sequence[Audio], prompts: Sequence[StemPrompt], noise_seeds: Sequence[int]
    ) -> list[Stems]:
        """See :meth:`FlowSeparator.separate`."""
        return self.flow.separate(mixtures, prompts, noise_seeds)
