"""SAM Audio's separation network: a flow-matching transformer over the latents of a mixture, conditioned on text,
spans of time and video.

Source: arXiv 2512.18099 and the behaviour of the published code, written anew; parameter names are the published ones.
One call is one evaluation of the velocity field. State, mixture latents and velocity are ``[B, T, 2 C]``: target
channels, then residual channels; the mixture's ``C`` channels stand there twice. Dropout (0.1 where it was trained) is
left out. Fresh weights are torch's own draws and, for the modulation tables, normal with variance 1 / d (ours).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from otoscope.core.errors import InputError, ModelError
from otoscope.models.separators.blocks import (
    Block,
    GatedProjection,
    ResidualConv,
    RMSNorm,
    rope_angles,
    sinusoid,
)

#: The anchor of a frame without a span, in a wanted span, in an unwanted span, and of padding.
NULL, WANTED, UNWANTED, PAD = 0, 1, 2, 3


@dataclass(frozen=True)
class DiTConfig:
    """Sizes. ``video_dim`` or ``anchor_dim`` None: the network has no such pathway. ``prediction`` says what the
    transformer's output is: the velocity, as published, or (``clean``, ours) three numbers per channel, ``a``, ``b``
    and ``c``, for the latents at t = 1 as ``a * mixture + b * state + c``, from which the velocity follows. So what is
    there already need not be carried through the layers; and the state is heard only as far as it is no noise. Raises
    :class:`ModelError` on sizes that cannot be built."""

    dim: int = 1024
    heads: int = 8
    layers: int = 12
    latent: int = 128
    text_dim: int = 768
    video_dim: int | None = 1024
    anchor_dim: int | None = 128
    frequencies: int = 256
    ffn_exp: float = 4
    multiple_of: int = 64
    max_positions: int = 10_000
    eps: float = 1e-5
    prediction: Literal["velocity", "clean"] = "velocity"

    def __post_init__(self) -> None:
        if self.prediction not in ("velocity", "clean"):
            raise ModelError(f"prediction is velocity or clean, got {self.prediction!r}")
        if self.dim % self.heads or (self.dim // self.heads) % 2:
            raise ModelError(
                f"dim {self.dim} does not split into {self.heads} heads of even size", fix="Change dim or heads."
            )
        if self.dim % 2 or self.frequencies % 2:
            raise ModelError("dim and frequencies must be even: each frequency has a cosine and a sine")
        if min(self.layers, self.latent, self.text_dim, self.multiple_of, self.max_positions) < 1:
            raise ModelError(f"every size must be at least 1: {self}")

    @property
    def hidden(self) -> int:
        """Units inside the feed-forward: two thirds of ``ffn_exp * dim``, rounded up to ``multiple_of``."""
        units = int(2 * int(self.ffn_exp * self.dim) / 3)
        return self.multiple_of * math.ceil(units / self.multiple_of)

    @property
    def channels(self) -> int:
        """Channels of state and velocity: both stems."""
        return 2 * self.latent

    @property
    def outputs(self) -> int:
        """Channels of the transformer's output."""
        return self.channels * (3 if self.prediction == "clean" else 1)


#: With ``prediction="clean"`` the way that is left is not divided by less than this.
NEAR_END = 1e-3
#: The published sizes.
SIZES = {
    "small": DiTConfig(),
    "base": DiTConfig(dim=1536, heads=12, layers=16),
    "large": DiTConfig(dim=2816, heads=22, layers=22),
}


class Embedder(nn.Module):
    """A gated projection under the published name, ``[.., width] -> [.., dim]``."""

    def __init__(self, width: int, dim: int) -> None:
        super().__init__()
        self.projection = GatedProjection(width, dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.projection(x)


class Transformer(nn.Module):
    """Frames ``[B, T, d]``, flow time ``[B]`` and memory ``[B, S, d]`` -> ``[B, T, outputs]``."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        dim = config.dim
        self.config = config
        self.x_embedder = ResidualConv(dim)
        self.y_embedder, self.t_embedder = Embedder(dim, dim), Embedder(config.frequencies, dim)
        self.t_block = nn.Linear(dim, 6 * dim)
        self.layers = nn.ModuleList(Block(dim, config.heads, config.hidden, config.eps) for _ in range(config.layers))
        self.norm = RMSNorm(dim, config.eps)
        self.final_layer_scale_shift_table = nn.Parameter(torch.randn(2, dim) / dim**0.5)
        self.output = nn.Linear(dim, config.outputs, bias=False)

    def forward(
        self, x: Tensor, time: Tensor, memory: Tensor, mask: Tensor | None, memory_mask: Tensor | None
    ) -> Tensor:
        config = self.config
        x = self.x_embedder(x)
        t = self.t_embedder(sinusoid(time, config.frequencies).to(x.dtype))
        shared = self.t_block(functional.silu(t)).unflatten(-1, (6, config.dim))
        y = self.y_embedder(memory)
        angles = rope_angles(x.shape[1], config.dim // config.heads, config.max_positions, x.device)
        for layer in self.layers:
            x = layer(x, y, shared, mask, memory_mask, angles)
        # The final modulation adds the plain time embedding, not what t_block makes of it for the layers.
        shift, scale = (self.final_layer_scale_shift_table + t[:, None])[:, :, None].unbind(1)
        return self.output(self.norm(x) * (1 + scale) + shift)


class VideoPath(nn.Module):
    """``tanh(gate) * LayerNorm(Conv1x1(video))``. Without video it sees zeros, and what bias and norm make of them is
    no zero unless the gate is."""

    def __init__(self, width: int, dim: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(width, dim, 1)
        self.layer_norm = nn.LayerNorm(dim)
        self.gate = nn.Parameter(torch.zeros(1))

    def forward(self, video: Tensor) -> Tensor:
        return torch.tanh(self.gate) * self.layer_norm(self.conv(video.mT).mT)


class AnchorPath(nn.Module):
    """``tanh(gate) * proj(embed(anchor))`` of each frame's anchor. Frames without a span have the anchor :data:`NULL`,
    which is embedded like any other."""

    def __init__(self, width: int, dim: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(PAD + 1, width, padding_idx=PAD)
        self.proj = nn.Linear(width, dim, bias=False)
        self.gate = nn.Parameter(torch.zeros(1))
        self.gamma = nn.Identity()  # the gate before its tanh, for probes

    def forward(self, anchors: Tensor) -> Tensor:
        return torch.tanh(self.gamma(self.gate)) * self.proj(self.embed(anchors))


class FlowNetwork(nn.Module):
    """The whole velocity field. The identities are places for probes where no module gives the value."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        dim = config.dim
        self.config = config
        self.proj = nn.Linear(3 * config.channels, dim)
        self.memory_proj = nn.Linear(config.text_dim, dim)
        self.align_masked_video = None if config.video_dim is None else VideoPath(config.video_dim, dim)
        self.embed_anchors = None if config.anchor_dim is None else AnchorPath(config.anchor_dim, dim)
        self.transformer = Transformer(config)
        self.state, self.time_memory, self.velocity = nn.Identity(), nn.Identity(), nn.Identity()
        self.schedule = nn.Identity()  # the solver's time grid passes through it, once per solve

    def forward(
        self,
        state: Tensor,
        time: Tensor,
        mixture: Tensor,
        text: Tensor | None = None,
        text_mask: Tensor | None = None,
        anchors: Tensor | None = None,
        video: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Velocity ``[B, T, 2 C]`` of ``state [B, T, 2 C]`` at flow ``time`` (a scalar or ``[B]``, in [0, 1]).

        ``mixture [B, T, 2 C]``: the mixture's latents, twice. ``text [B, S, text_dim]`` and its mask; None: no text,
        the memory is the time alone. ``anchors [B, T]``: None is :data:`NULL` everywhere. ``video [B, T, video_dim]``.
        ``mask [B, T]``: real frames. Raises :class:`InputError` on a conditioning that the network has no path for.
        """
        state = self.state(state)
        moments = time.reshape(-1).expand(state.shape[0])
        x = state * _known(moments, state.dtype) if self.config.prediction == "clean" else state
        x = self.proj(torch.cat([x, torch.zeros_like(x), mixture], dim=-1))
        if self.align_masked_video is not None:
            x = x + self.align_masked_video(_zeros(x, self.config.video_dim) if video is None else video)
        elif video is not None:
            raise InputError("this network has no video pathway", fix="Leave the video out.")
        if self.embed_anchors is not None:
            x = x + self.embed_anchors(_no_spans(x, mask) if anchors is None else anchors)
        elif anchors is not None:
            raise InputError("this network has no anchor pathway", fix="Leave the spans out.")
        if text is None and text_mask is not None:
            raise InputError("a text mask came without a text", fix="Give both or neither.")
        memory = self.memory(moments, text, x.dtype)
        out = self.transformer(x, moments, memory, mask, text_mask)
        if self.config.prediction == "clean":
            of_mixture, of_state, added = out.chunk(3, dim=-1)
            clean = of_mixture * mixture + of_state * state + added
            out = (clean - state) / (1 - moments[:, None, None]).clamp_min(NEAR_END).to(clean.dtype)
        return self.velocity(out)

    def memory(self, moments: Tensor, text: Tensor | None, dtype: torch.dtype) -> Tensor:
        """What cross-attention reads, before it is embedded: text plus time ``[B, S, d]``, or the time alone
        ``[B, 1, d]``. ``moments [B]``."""
        memory = self.time_memory(sinusoid(moments, self.config.dim).to(dtype)[:, None])
        return memory if text is None else self.memory_proj(text) + memory


def _known(moments: Tensor, dtype: torch.dtype) -> Tensor:
    """How much of a state at each moment is latents and not noise: ``t / sqrt(t^2 + (1 - t)^2)``, ``[B, 1, 1]``."""
    return (moments / (moments.square() + (1 - moments).square()).sqrt()).to(dtype)[:, None, None]


def _zeros(x: Tensor, width: int | None) -> Tensor:
    return x.new_zeros(x.shape[0], x.shape[1], width or 0)


def _no_spans(x: Tensor, mask: Tensor | None) -> Tensor:
    anchors = torch.full(x.shape[:2], NULL, dtype=torch.long, device=x.device)
    return anchors if mask is None else anchors.masked_fill(~mask, PAD)
