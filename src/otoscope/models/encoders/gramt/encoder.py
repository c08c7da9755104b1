"""``gram-t`` by name: its card, where its weights lie, and how sounds go through it.

The card, and resolving the name, import no torch and open no file. Weights are looked for in ``path=`` (a file, or a
folder with ``model.safetensors``), then in the hub's cache; nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from otoscope.core.audio import Audio
from otoscope.core.errors import ModelError, UsageError
from otoscope.core.identity import file_digest
from otoscope.core.nouns import Card, Encoded, Layer
from otoscope.core.sites import SiteMap
from otoscope.models import devices
from otoscope.models.encoders.checkpoint import check_init
from otoscope.models.encoders.contract import check_inputs, equal_length_batches, pick_layers
from otoscope.models.shown import ShownModel

if TYPE_CHECKING:
    from otoscope.models.encoders.gramt.network import GramT
    from otoscope.models.encoders.tensor_map import TensorMap

FILE = "model.safetensors"
#: Seconds between frames.
_HOPS = {"patch": 0.08, "time": 0.02}
_TAILS = ("real", "published")
#: Sounds at once; ten seconds each are fifty windows.
_BATCH = 8

CARD = Card(
    name="gram-t",
    capability="encoder",
    summary="GRAM-T binaural: log-mel of both ears, vision transformer over windows of 2 s",
    rate=32_000,
    channels=2,
    cues=frozenset({"magnitude"}),
    licence="CC-BY-4.0",
    hub_id="labhamlet/gramt-binaural",
    source="GRAM-T, labhamlet; front end and names from the public repository labhamlet/GRAM-T",
    layers=(*range(13), "last"),
    notes=(
        "keeps no interaural phase: whatever it does here comes from the magnitudes at each ear",
        "every 2 s window is normalised jointly over ear, mel bin and time: in full windows level hardly matters, and "
        "differences between the ears stay",
        "tail=published repeats the published runtime: a sound of 2, 4, ... s gets a further window with one column of "
        "sound, a frame of which enters the mean; tail=real (default) hears whole hops only and adds no window in vain",
        "the rest of a last window is zeros of log-mel, which is louder than silence; sounds of 2, 4, ... s have none",
        "variant=time is the published model with patches of 20 ms and all mel bins; the hub's file is variant=patch",
        "layers 0-12 are before the final norm; the published runtime normalises whatever layer it is asked for",
    ),
    breaks=("padding invariance: a window is normalised and attended to as a whole",),
)


def gram_t(
    path: str = "",
    variant: str = "patch",
    tail: str = "real",
    revision: str | None = None,
    init: str = "pretrained",
    seed: int | None = None,
) -> GramTEncoder:
    """``path``: a checkpoint or its folder. ``variant``: patch or time. ``tail``: real or published. ``revision`` of
    the hub's cache. ``init=random,seed=``: fresh weights, no file. Raises :class:`UsageError` on other values."""
    check_init(init, seed, CARD.name)
    for what, value, known in (("variant", variant, tuple(_HOPS)), ("tail", tail, _TAILS)):
        if value not in known:
            raise UsageError(f"there is no {what}={value}", where=CARD.name, fix=f"One of: {', '.join(known)}.")
    random_seed = (seed or 0) if init == "random" else None
    return GramTEncoder(str(path), variant, tail, None if revision is None else str(revision), random_seed)


class GramTEncoder(ShownModel):
    """See :func:`gram_t`. ``random_seed`` None: the published weights."""

    version: ClassVar[int] = 1

    def __init__(
        self,
        path: str,
        variant: str,
        tail: str,
        revision: str | None,
        random_seed: int | None,
        device: str = "cpu",
    ) -> None:
        self.path, self.variant, self.tail, self.revision = path, variant, tail, revision
        self.random_seed, self.device = random_seed, device
        self._network: GramT | None = None

    @property
    def card(self) -> Card:
        extra: dict[str, Any] = {"variant": self.variant, "tail": self.tail}
        if self.random_seed is not None:
            extra |= {"init": "random", "seed": self.random_seed}
        return replace(CARD, revision=self.revision, extra=extra)

    def identity(self) -> Mapping[str, Any]:
        """JSON over variant, tail and the content of the weight file; where it lies doesn't enter."""
        known = {"kind": "gram-t", "version": self.version, "variant": self.variant, "tail": self.tail}
        if self.random_seed is not None:
            return {**known, "init": "random", "seed": self.random_seed}
        return {**known, "weights": file_digest(self.weights())}

    def weights(self) -> Path:
        """The weight file. Raises :class:`ModelError`, in one line, that says which to get, where and under which
        licence."""
        if self.path:
            given = Path(self.path).expanduser()
            if given.is_file():
                return given
            if (given / FILE).is_file():
                return given / FILE
            raise self._lacking(f"{given} is no file, and no folder with {FILE}")
        import huggingface_hub as hub

        cached = hub.try_to_load_from_cache(str(CARD.hub_id), FILE, revision=self.revision)
        if isinstance(cached, str):
            return Path(cached)
        raise self._lacking(f"{FILE} of {CARD.hub_id} is not on this machine")

    def _lacking(self, what: str) -> ModelError:
        pinned = f" --revision {self.revision}" if self.revision else ""
        return ModelError(
            f"{what}; licence: {CARD.licence}",
            where=CARD.name,
            fix=f"Where there is a network: hf download {CARD.hub_id} {FILE}{pinned} --local-dir FOLDER; "
            "then add path=FOLDER to the name.",
        )

    @property
    def tensor_map(self) -> TensorMap:
        """How published tensors become those of :meth:`build`."""
        from otoscope.models.encoders.gramt.tensors import gramt_map

        return gramt_map(self.variant)

    def build(self) -> GramT:
        """The network, with weights from torch's generator."""
        from otoscope.models.encoders.gramt.network import VARIANTS, GramT

        return GramT(VARIANTS[self.variant], published_tail=self.tail == "published")

    @property
    def ready(self) -> bool:
        return self._network is not None

    def load(self) -> None:
        """Build the network, on its device. Raises :class:`ModelError` where weights are missing or don't fit."""
        if self._network is not None:
            return
        file = None if self.random_seed is not None else self.weights()
        from otoscope.models.encoders.tensor_map import load_state

        device = devices.pick(self.device)
        devices.settle()
        with devices.seeded(self.random_seed or 0):
            network = self.build()
        if file is not None:
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
        from otoscope.models.encoders.gramt.network import VARIANTS
        from otoscope.models.sites.gramt import site_map

        return site_map(VARIANTS[self.variant].depth)

    def encode(self, audio: Sequence[Audio], layers: Sequence[Layer] | None = None) -> list[Encoded]:
        """Frames ``[1, T, D]`` per layer: ``D`` 6144 for variant=patch (8 patches of 768 from low to high frequency,
        every 80 ms), 768 for variant=time (every 20 ms). Raises :class:`InputError` on sounds of 16 ms or less."""
        import torch

        self.load()
        assert self._network is not None
        check_inputs(self.card, audio)
        out: list[Encoded | None] = [None] * len(audio)
        for group in equal_length_batches(audio, _BATCH):
            x = torch.from_numpy(np.stack([audio[i].samples for i in group])).to(devices.pick(self.device))
            with torch.inference_mode():
                states = pick_layers(self._network(x), layers, CARD.name)
            arrays = {k: s[:, None].cpu().numpy() for k, s in states.items()}
            for row, i in enumerate(group):
                out[i] = Encoded({k: a[row] for k, a in arrays.items()}, _HOPS[self.variant])
        return [one for one in out if one is not None]

    def on(self, device: str) -> GramTEncoder:
        """The same encoder on ``device``, not loaded."""
        return GramTEncoder(self.path, self.variant, self.tail, self.revision, self.random_seed, device)

    def fresh(self) -> GramTEncoder:
        """The same encoder, not loaded."""
        return self.on(self.device)
