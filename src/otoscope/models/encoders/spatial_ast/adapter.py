"""``spatial-ast`` and ``dspast`` as encoders: the name, the file, the sound, the layers.

The networks hear 10 s. What is shorter is repeated until 10 s are full and the frames of the repeats are cut
(``short=tile``), or refused (``short=refuse``); ``stretch=true`` does what the published code does instead, and
stretches the spectrogram of any sound to the same 1024 frames. What is longer is refused. No reverberation is applied:
the published code convolves with a room first, for which this is a unit impulse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from otoscope.core.audio import Audio
from otoscope.core.errors import InputError, UsageError
from otoscope.core.nouns import Card, Encoded, Layer
from otoscope.core.sites import SiteMap
from otoscope.models import devices
from otoscope.models.encoders.checkpoint import check_init
from otoscope.models.encoders.contract import check_inputs, equal_length_batches, pick_layers
from otoscope.models.encoders.spatial_ast.cards import CARDS, DURATION_S, RATE
from otoscope.models.encoders.spatial_ast.published import Published
from otoscope.models.shown import ShownModel

if TYPE_CHECKING:
    from torch import nn

    from otoscope.models.encoders.tensor_map import TensorMap

#: A sound needs one analysis window.
MIN_SAMPLES = 1024
#: Sounds that go through at once: 515 tokens of 768 through 12 blocks, three times over for DSpAST.
_BATCH = 4
_TOKENS = ("patches", "all", "class")
_BRANCHES = ("all", "distance", "direction", "event")


@dataclass(frozen=True)
class Options:
    """What a name says of the sound and the frames. ``level_dbfs``: scale both ears by one gain to this RMS, over both
    ears and the whole sound (the networks were trained on sources at -14 dBFS before the room); None leaves it."""

    short: str = "tile"
    stretch: bool = False
    level_dbfs: float | None = None
    tokens: str = "patches"
    branch: str = "all"

    def __post_init__(self) -> None:
        for what, value, known in (
            ("short", self.short, ("tile", "refuse")),
            ("tokens", self.tokens, _TOKENS),
            ("branch", self.branch, _BRANCHES),
        ):
            if value not in known:
                raise UsageError(f"there is no {what}={value}", fix=f"One of: {', '.join(known)}.")
        if not isinstance(self.stretch, bool):
            raise UsageError(f"stretch={self.stretch} is neither true nor false")
        if self.stretch and self.short == "refuse":
            raise UsageError("stretch=true hears short sounds, short=refuse refuses them", fix="Leave one out.")
        level = self.level_dbfs
        if level is not None and (isinstance(level, bool) or not isinstance(level, int | float) or level > 0):
            raise UsageError(f"level_dbfs={level} is no level", fix="A number of at most 0, for example -14.")


class SpatialEncoder(ShownModel):
    """One of the two networks. ``shape`` replaces the published sizes (with ``init="random"`` only)."""

    version: ClassVar[int] = 1

    def __init__(
        self,
        name: str,
        published: Published,
        options: Options,
        *,
        random_seed: int | None = None,
        shape: Any = None,
        device: str = "cpu",
    ) -> None:
        if shape is not None and random_seed is None:
            raise UsageError("only random weights come in other sizes", where=name)
        self.name, self.published, self.options, self.shape = name, published, options, shape
        self.random_seed, self.device = random_seed, device
        self._network: Any = None

    @property
    def card(self) -> Card:
        card, o = CARDS[self.name], self.options
        depth = self.shape.depth if self.shape is not None else max(k for k in card.layers if isinstance(k, int))
        extra: dict[str, Any] = {**card.extra, **{k: v for k, v in vars(o).items() if v != getattr(Options, k)}}
        if self.random_seed is not None:
            extra |= {"init": "random", "seed": self.random_seed}
        elif self.published.stage:
            extra |= {"stage": self.published.stage}
        return replace(card, layers=(*range(depth + 1), "last"), revision=self.published.revision, extra=extra)

    def identity(self) -> Mapping[str, Any]:
        """JSON over the weights' file, or the seed, and the options. Raises :class:`ModelError` without the file."""
        out: dict[str, Any] = {"kind": self.name, "version": self.version, "options": dict(vars(self.options))}
        if self.random_seed is None:
            return {**out, "weights": self.published.digest()}
        shape = None if self.shape is None else dict(vars(self.shape))
        return {**out, "init": "random", "seed": self.random_seed, "shape": shape}

    @property
    def tensor_map(self) -> TensorMap:
        """How published tensors become those of :meth:`build`."""
        from otoscope.models.encoders.spatial_ast.tensors import dspast_map, spatial_ast_map

        return spatial_ast_map() if self.name == "spatial-ast" else dspast_map(self.published.stage)

    def build(self) -> nn.Module:
        """The network, not yet drawn."""
        from otoscope.models.encoders.spatial_ast.dspast import DSpAST
        from otoscope.models.encoders.spatial_ast.spatial_ast import SpatialAST

        return (SpatialAST if self.name == "spatial-ast" else DSpAST)(self.shape)

    @property
    def ready(self) -> bool:
        return self._network is not None

    def load(self) -> None:
        """Build the network and read its weights. Raises :class:`ModelError`."""
        if self._network is not None:
            return
        from otoscope.models.encoders.spatial_ast.trunk import draw
        from otoscope.models.encoders.tensor_map import load_state

        device = devices.pick(self.device)
        devices.settle()
        file = None if self.random_seed is not None else self.published.file()  # before anything is built
        with devices.seeded(0):
            network = self.build()
        if file is None:
            draw(network, int(self.random_seed or 0))
        else:
            load_state(network, file, self.tensor_map)
        self._network = network.eval().to(device)

    @property
    def network(self) -> Any:
        """The loaded network, where interventions act."""
        self.load()
        return self._network

    @property
    def sites(self) -> SiteMap:
        """The named places of :attr:`network`."""
        from otoscope.models.encoders.spatial_ast.dspast import BRANCHES
        from otoscope.models.sites.spatial_ast import dspast, spatial_ast

        depth = sum(isinstance(layer, int) for layer in self.card.layers) - 1
        return spatial_ast(depth) if self.name == "spatial-ast" else dspast(depth, BRANCHES)

    def encode(self, audio: Sequence[Audio], layers: Sequence[Layer] | None = None) -> list[Encoded]:
        """Frames per layer. ``tokens=patches``: one per 0.156 s, the mean over the eight patches of that time, of those
        that lie wholly in the sound (at least one). ``all``: 3 class tokens and 512 patches. ``class``: the three.
        Raises :class:`InputError` on sounds that are too short, too long or refused."""
        import torch

        check_inputs(self.card, audio)
        for i, sound in enumerate(audio):
            self._check_length(i, sound.n)
        self.load()
        out: list[Encoded | None] = [None] * len(audio)
        for group in equal_length_batches(audio, _BATCH):
            n = audio[group[0]].n
            x = np.stack([self._heard(audio[i].samples) for i in group])
            with torch.inference_mode():
                states = self._network(torch.from_numpy(x).to(devices.pick(self.device)))
            wanted = pick_layers(states, layers, self.name)
            arrays = {k: self._frames(h, n).cpu().numpy() for k, h in wanted.items()}
            for row, i in enumerate(group):
                out[i] = Encoded({k: a[row] for k, a in arrays.items()}, self._hop_s)
        return [one for one in out if one is not None]

    def fresh(self) -> SpatialEncoder:
        """The same encoder, not loaded."""
        return SpatialEncoder(
            self.name,
            self.published,
            self.options,
            random_seed=self.random_seed,
            shape=self.shape,
            device=self.device,
        )

    # --- a sound goes in, frames come out ---

    @property
    def _hop_s(self) -> float | None:
        """1001 spectra at 10 ms are stretched onto 1024, of which a patch takes 16."""
        o = self.options
        return None if o.stretch or o.tokens != "patches" else 16 * 0.01 * 1000 / 1023

    def _check_length(self, i: int, n: int) -> None:
        full = round(DURATION_S * RATE)
        if n < MIN_SAMPLES:
            raise InputError(
                f"sound {i} has {n} samples, fewer than one window ({MIN_SAMPLES})",
                where=self.name,
                fix=f"Use sounds of at least {MIN_SAMPLES / RATE:.3f} s; 10 s are right.",
            )
        if n > full:
            raise InputError(
                f"sound {i} of {n / RATE:.2f} s is longer than the network hears ({DURATION_S:g} s)",
                where=self.name,
                fix="Split it; nothing is cut silently.",
            )
        if n < full and self.options.short == "refuse":
            raise InputError(
                f"sound {i} of {n / RATE:.2f} s is shorter than {DURATION_S:g} s and short=refuse",
                where=self.name,
                fix="Make it 10 s long, or use short=tile.",
            )

    def _heard(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """``[2, n]`` at the level asked for, repeated to 10 s unless it is to be stretched."""
        level = self.options.level_dbfs
        if level is not None:
            rms = float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))
            x = x * np.float32(10.0 ** (level / 20.0) / rms) if rms > 0.0 else x  # silence stays silence
        if self.options.stretch:
            return x
        full = round(DURATION_S * RATE)
        return np.tile(x, (1, -(-full // x.shape[1])))[:, :full]

    def _frames(self, h: Any, n: int) -> Any:
        """States ``[B, 3 + patches, D]`` -> frames ``[B, 1, T, D]``."""
        if self.options.branch != "all":
            h = h.chunk(3, dim=2)[_BRANCHES.index(self.options.branch) - 1]
        if self.options.tokens == "class":
            return h[:, None, :3]
        if self.options.tokens == "all":
            return h[:, None]
        columns = self._network.shape.columns
        by_time = h[:, 3:].unflatten(1, (columns, -1)).mean(dim=2)
        real = columns
        if self._hop_s is not None:
            last = (n // 320) * 1023 / 1000  # where the sound's last spectrum stands after stretching
            real = min(columns, max(1, int((last + 1) // 16)))
        return by_time[:, None, :real]


def spatial_ast(
    path: str | None = None,
    revision: str | None = None,
    init: str = "pretrained",
    seed: int | None = None,
    short: str = "tile",
    stretch: bool = False,
    level_dbfs: float | None = None,
    tokens: str = "patches",
) -> SpatialEncoder:
    """Spatial-AST. ``path`` is the published file or a folder with it; raises :class:`UsageError`."""
    check_init(init, seed, "spatial-ast")
    return SpatialEncoder(
        "spatial-ast",
        Published("spatial-ast", path=path, revision=revision),
        Options(short, stretch, level_dbfs, tokens),
        random_seed=(seed or 0) if init == "random" else None,
    )


def dspast(
    path: str | None = None,
    stage: int = 3,
    revision: str | None = None,
    init: str = "pretrained",
    seed: int | None = None,
    short: str = "tile",
    stretch: bool = False,
    level_dbfs: float | None = None,
    tokens: str = "patches",
    branch: str = "all",
) -> SpatialEncoder:
    """DSpAST after training ``stage`` 1, 2 or 3; ``branch`` keeps one of its three; raises :class:`UsageError`."""
    check_init(init, seed, "dspast")
    if isinstance(stage, bool) or stage not in (1, 2, 3):
        raise UsageError(f"there is no stage={stage}", where="dspast", fix="One of: 1, 2, 3.")
    return SpatialEncoder(
        "dspast",
        Published("dspast", path=path, revision=revision, stage=stage),
        Options(short, stretch, level_dbfs, tokens, branch),
        random_seed=(seed or 0) if init == "random" else None,
    )
