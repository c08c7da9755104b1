"""``sam-audio-small``, ``-base``, ``-large`` and their ``-tv`` variants: our implementation of SAM Audio (arXiv
2512.18099) with published weights, which users bring, or with random ones.

The codec's watermark carries 16 bits that the published code draws anew at every decoding. Here they are the parameter
``message``, so that equal latents sound equal. The published code also averages stereo, cuts long prompts and returns
whole frames; here the first two are refused and stems are as long as the mixture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from otoscope.core.errors import ModelError, UsageError
from otoscope.core.nouns import Card
from otoscope.models import devices
from otoscope.models.encoders.checkpoint import check_init
from otoscope.models.separators.built import BuiltFlow
from otoscope.models.separators.cards import SAM_AUDIO
from otoscope.models.separators.sampling import Sampling
from otoscope.models.weights import files_digest

if TYPE_CHECKING:
    from otoscope.models.encoders.tensor_map import Report
    from otoscope.models.separators.checkpoint import Files
    from otoscope.models.separators.flow import FlowSeparator
    from otoscope.models.separators.published import Sizes


class SamAudio(BuiltFlow):
    """``path`` is a folder with ``config.json`` and ``checkpoint.pt`` (or safetensors), None the hub's cache;
    ``text_path`` a folder with the T5 that the prompt is read by, None: no prompts in words. ``seed`` draws random
    weights, in the sizes of the ``config.json`` of ``path``, else in the published ones of ``name``. Raises
    :class:`ModelError` in :meth:`load` and :meth:`identity` where weights are missing."""

    version: ClassVar[int] = 1

    def __init__(
        self,
        name: str,
        *,
        path: str | None = None,
        text_path: str | None = None,
        revision: str | None = None,
        seed: int | None = None,
        message: int = 0,
        sampling: Sampling | None = None,
        device: str = "cpu",
    ) -> None:
        if isinstance(message, bool) or not isinstance(message, int) or not 0 <= message < 2**16:
            raise UsageError(f"message={message} is not a whole number of 16 bits", where=name, fix="0 to 65535.")
        self.name, self.path, self.text_path, self.revision = name, path, text_path, revision
        self.seed, self.message, self.device = seed, message, device
        self.sampling = sampling or Sampling()
        #: What became of the checkpoint's tensors, after :meth:`load`; None with random weights.
        self.report: Report | None = None

    @property
    def card(self) -> Card:
        extra: dict[str, Any] = {**asdict(self.sampling), "message": self.message}
        if self.seed is not None:
            extra |= {"init": "random", "seed": self.seed}
        return replace(SAM_AUDIO[self.name], revision=self.revision, extra=extra)

    def identity(self) -> Mapping[str, Any]:
        """JSON over the weights (digests of the files, or sizes and seed), the text encoder and the options."""
        from otoscope.models.encoders.hf_files import CONFIG
        from otoscope.models.separators.text import t5_identity

        out: dict[str, Any] = {
            "kind": "sam-audio",
            "version": self.version,
            "message": self.message,
            "text": t5_identity(self.text_path, self.name),
            "sampling": asdict(self.sampling),
        }
        if self.seed is not None:
            return {**out, "init": "random", "seed": self.seed, "sizes": asdict(self._sizes())}
        files = self._files()
        return {**out, "weights": files_digest(files.folder, [CONFIG, *files.weights])}

    def build(self) -> FlowSeparator:
        """Network and codec. The text encoder is loaded with the first prompt in words."""
        from otoscope.models.separators import checkpoint
        from otoscope.models.separators.dacvae import MarkedCodec
        from otoscope.models.separators.flow import FlowSeparator
        from otoscope.models.separators.text import T5Words

        device, dtype = devices.pick(self.device), devices.torch_dtype(self.sampling.dtype)
        files = None if self.seed is not None else self._files()
        sizes = self._sizes() if files is None else files.sizes()
        devices.settle()
        if files is None:
            network, codec = checkpoint.draw(sizes, self.seed or 0)
        else:
            network, codec, self.report = checkpoint.load(files, dtype, device)
        words = T5Words(self.text_path, sizes.network.text_dim, sizes.max_tokens, self.name)
        marked = MarkedCodec(codec, self.message)
        return FlowSeparator(self.card, network, marked, words, self.sampling, {}, self.device)

    def _files(self) -> Files:
        from otoscope.models.separators.checkpoint import in_folder

        return in_folder(Path(self.path).expanduser() if self.path else _cached(self.card))

    def _sizes(self) -> Sizes:
        """Of random weights."""
        from otoscope.models.separators.checkpoint import in_folder
        from otoscope.models.separators.dacvae import CodecConfig
        from otoscope.models.separators.dit import SIZES
        from otoscope.models.separators.published import Sizes

        if self.path is not None:
            return in_folder(Path(self.path).expanduser(), weights=False).sizes()
        return Sizes(SIZES[self.name.split("-")[2]], CodecConfig())


def _cached(card: Card) -> Path:
    """The folder of a checkpoint that the hub's own client has fetched; nothing is fetched here."""
    import huggingface_hub as hub

    try:
        return Path(hub.snapshot_download(str(card.hub_id), revision=card.revision, local_files_only=True))
    except (OSError, ValueError) as e:
        raise ModelError(
            f"config.json and checkpoint.pt of {card.hub_id} are not on this machine; licence: {card.licence}",
            where=card.name,
            fix=f"Where there is a network, and once access is granted: hf download {card.hub_id} --local-dir FOLDER; "
            "then add path=FOLDER to the name. init=random needs no files.",
        ) from e


def _named(name: str) -> Callable[..., SamAudio]:
    def make(
        path: str | None = None,
        text_path: str | None = None,
        revision: str | None = None,
        init: str = "pretrained",
        seed: int | None = None,
        message: int = 0,
        solver: Any = "midpoint",
        steps: int = 16,
        chunk_s: float | None = None,
        overlap_s: float = 1.0,
        candidates: int = 1,
        dtype: Any = "float32",
        temperature: float = 1.0,
        consistent: bool = False,
        *,
        device: str = "cpu",
    ) -> SamAudio:
        check_init(init, seed, name)
        return SamAudio(
            name,
            path=path,
            text_path=text_path,
            revision=revision,
            seed=(seed or 0) if init == "random" else None,
            message=message,
            sampling=Sampling(solver, steps, chunk_s, overlap_s, candidates, dtype, temperature, consistent),
            device=device,
        )

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"The separator of the name ``{name}``. Raises :class:`UsageError` on values that make no sense."
    return make


sam_audio_small, sam_audio_base, sam_audio_large = map(_named, ("sam-audio-small", "sam-audio-base", "sam-audio-large"))
sam_audio_small_tv, sam_audio_base_tv, sam_audio_large_tv = map(
    _named, ("sam-audio-small-tv", "sam-audio-base-tv", "sam-audio-large-tv")
)
