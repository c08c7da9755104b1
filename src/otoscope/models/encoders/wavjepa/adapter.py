"""``wavjepa-nat``: our implementation of WavJEPA-Nat with the published weights, or with random ones.

Tokens come out per ear, ``[2, T, D]``, before the average over ears that the public runtime takes: the view's
``merge=mean`` after it, ``difference`` and ``concat`` keep what the average cancels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from otoscope.core.audio import Audio
from otoscope.core.errors import InputError, ModelError, UsageError
from otoscope.core.nouns import Card, Encoded, Layer
from otoscope.core.sites import SiteMap
from otoscope.models import devices
from otoscope.models.encoders.checkpoint import check_init
from otoscope.models.encoders.contract import check_inputs, equal_length_batches, pick_layers
from otoscope.models.encoders.hub_cards import WAVJEPA_NAT
from otoscope.models.shown import ShownModel
from otoscope.models.weights import files_digest

if TYPE_CHECKING:
    from otoscope.models.encoders.tensor_map import Report, TensorMap
    from otoscope.models.encoders.wavjepa.network import WavJepaNat

NAME, HUB_ID, RATE = "wavjepa-nat", "labhamlet/wavjepa-nat-base", 16_000
#: Windows that go through the network at once; bounds memory.
_WINDOWS = 8


def wavjepa_nat(
    path: str | None = None,
    revision: str | None = None,
    init: str = "pretrained",
    seed: int | None = None,
    average: bool = False,
    level: str = "rms",
) -> WavJepaEncoder:
    """The encoder of the name ``wavjepa-nat``. ``path`` is a weight file or a folder with ``model.safetensors``;
    ``init=random`` reads none. ``average=true`` averages the tokens over the ears as the public runtime does;
    ``level=none`` leaves out its gain to -14 dB. Raises :class:`UsageError` on values that make no sense."""
    check_init(init, seed, NAME)
    if level not in ("rms", "none"):
        raise UsageError(f"there is no level={level}", where=NAME, fix="Use level=rms or level=none.")
    if not isinstance(average, bool):
        raise UsageError(f"average={average} is neither true nor false", where=NAME)
    random_seed = (seed or 0) if init == "random" else None
    return WavJepaEncoder(path=path, revision=revision, seed=random_seed, average=average, level=level)


class WavJepaEncoder(ShownModel):
    """``seed`` draws random weights, None loads published ones; ``sizes`` (a :class:`~.network.Sizes`) is the base
    model unless given. Raises :class:`ModelError` in :meth:`load` and :meth:`identity` where weights are missing."""

    version: ClassVar[int] = 1

    def __init__(
        self,
        *,
        path: str | None = None,
        revision: str | None = None,
        seed: int | None = None,
        average: bool = False,
        level: str = "rms",
        sizes: Any = None,
        device: str = "cpu",
    ) -> None:
        self.path, self.revision, self.seed = path, revision or str(WAVJEPA_NAT.revision), seed
        self.average, self.level, self.sizes, self.device = average, level, sizes, device
        self._model: Any = None
        self._file: Path | None = None
        self._failure: ModelError | None = None
        #: What became of the checkpoint's tensors (a :class:`~..tensor_map.Report`), after :meth:`load`.
        self.report: Report | None = None

    @property
    def card(self) -> Card:
        from dataclasses import replace

        extra = {"average": self.average, "level": self.level}
        if self.seed is not None:
            extra |= {"init": "random", "seed": self.seed}
        depth = 12 if self.sizes is None else self.sizes.depth
        return replace(WAVJEPA_NAT, revision=self.revision, layers=(*range(depth + 1), "last"), extra=extra)

    def identity(self) -> Mapping[str, Any]:
        """JSON over the weights (digest of the file, or the seed), the sizes and the options."""
        out = {
            "kind": NAME,
            "version": self.version,
            "sizes": None if self.sizes is None else self.sizes.as_dict(),
            "average": self.average,
            "level": self.level,
        }
        if self.seed is not None:
            return {**out, "init": "random", "seed": self.seed}
        file = self.file
        return {**out, "weights": files_digest(file.parent, [file.name])}

    @property
    def file(self) -> Path:
        """The weight file; a failure to find it is remembered, not tried again."""
        if self._failure is not None:
            raise self._failure
        if self._file is None:
            from otoscope.models.encoders.wavjepa.files import find

            try:
                self._file = find(self.path, self.revision)
            except ModelError as e:
                self._failure = e
                raise
        return self._file

    @property
    def tensor_map(self) -> TensorMap:
        """How published tensors become those of :meth:`build`."""
        from otoscope.models.encoders.wavjepa.tensors import WAVJEPA_NAT_MAP

        return WAVJEPA_NAT_MAP

    def build(self) -> WavJepaNat:
        """The network, with weights from torch's generator."""
        from otoscope.models.encoders.wavjepa.network import WavJepaNat

        return WavJepaNat(self.sizes)

    @property
    def ready(self) -> bool:
        return self._model is not None

    def load(self) -> None:
        """Build the network, on its device, in evaluation mode and float32."""
        if self._model is not None:
            return
        from otoscope.models.encoders.tensor_map import load_state

        device = devices.pick(self.device)
        devices.settle()
        file = None if self.seed is not None else self.file  # before anything is built
        with devices.seeded(self.seed or 0):
            model = self.build()
        if file is not None:
            self.report = load_state(model, file, self.tensor_map)
        self._model = model.eval().float().to(device)

    @property
    def network(self) -> Any:
        """The loaded network, where interventions act."""
        self.load()
        return self._model

    @property
    def sites(self) -> SiteMap:
        """The named places of :attr:`network`."""
        from otoscope.models.encoders.wavjepa.network import Sizes
        from otoscope.models.sites.wavjepa import site_map

        sizes = self.sizes or Sizes()
        return site_map(sizes.depth, 1 if sizes.shared else 2)

    def encode(self, audio: Sequence[Audio], layers: Sequence[Layer] | None = None) -> list[Encoded]:
        """Frames ``[2, T, D]`` (``[1, T, D]`` with ``average``), ``hop_s`` on the average 10.05 ms. Raises
        :class:`InputError` on a sound shorter than one token."""
        self.load()
        check_inputs(self.card, audio)
        out: list[Encoded | None] = [None] * len(audio)
        s = self._model.sizes
        hop = s.window / RATE / s.steps
        for group in equal_length_batches(audio, _WINDOWS):
            states = self._states(np.stack([audio[i].samples for i in group]), layers)
            for row, i in enumerate(group):
                out[i] = Encoded({k: v[row] for k, v in states.items()}, hop)
        return [one for one in out if one is not None]

    def _states(self, x: Any, layers: Sequence[Layer] | None) -> dict[Layer, Any]:
        """``[B, 2, n]`` -> the wanted layers as ``[B, C, T, D]``; windows of a sound one after the other."""
        import torch

        from otoscope.models.encoders.wavjepa.windows import kept_steps, standardise, to_level

        s = self._model.sizes
        kept = kept_steps(x.shape[-1], s.window, s.steps, RATE)
        if not kept:
            raise InputError(
                f"{x.shape[-1]} samples are fewer than one token needs", where=NAME, fix="Use longer sounds."
            )
        found: dict[Layer, list[Any]] = {}
        with torch.inference_mode(), _exact():
            sound = torch.from_numpy(x).to(devices.pick(self.device))
            if self.level == "rms":
                sound = to_level(sound)
            sound = torch.nn.functional.pad(sound, (0, max(0, len(kept) * s.window - sound.shape[-1])))
            for w, count in enumerate(kept):
                window = standardise(sound[..., w * s.window : (w + 1) * s.window])
                states = pick_layers(self._model(window, count), layers, NAME)
                for key, value in states.items():
                    value = value.mean(dim=1, keepdim=True) if self.average else value
                    found.setdefault(key, []).append(value.float().cpu())
        return {k: torch.cat(parts, dim=2).numpy() for k, parts in found.items()}

    def fresh(self) -> WavJepaEncoder:
        """The same encoder, not loaded."""
        return WavJepaEncoder(
            path=self.path,
            revision=self.revision,
            seed=self.seed,
            average=self.average,
            level=self.level,
            sizes=self.sizes,
            device=self.device,
        )


@contextmanager
def _exact() -> Iterator[None]:
    """Keep torch from its fused inference kernel, whose rounding depends on the batch and on the mask."""
    import torch

    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
