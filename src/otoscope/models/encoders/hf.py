"""Audio encoders of ``transformers``, by hub id or local folder.

Nothing is downloaded, imported or read before it is needed: the card of a known checkpoint costs nothing, the identity
reads files (config, feature extractor, sha256 of the weights), :meth:`PretrainedEncoder.load` builds the network.
``init=random`` builds the same architecture with fresh weights: of a name in ``published_configs.py`` without any file,
else from the checkpoint's config alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from otoscope.core.audio import Audio
from otoscope.core.errors import ModelError, OtoscopeError
from otoscope.core.nouns import Card, Encoded, Layer
from otoscope.core.sites import SiteMap
from otoscope.models import devices
from otoscope.models.encoders.checkpoint import Checkpoint
from otoscope.models.encoders.contract import BATCH, check_inputs, equal_length_batches
from otoscope.models.encoders.hf_family import Family, check_options, family_of
from otoscope.models.encoders.hf_files import Architecture, Snapshot, locate
from otoscope.models.encoders.published_configs import published_config
from otoscope.models.shown import ShownModel
from otoscope.models.sites import library_sites
from otoscope.readouts.library import quiet

_COMMIT = re.compile(r"^[0-9a-f]{40}$")


class PretrainedEncoder(ShownModel):
    """A checkpoint of ``transformers`` as an encoder. See :mod:`~otoscope.models.encoders.hf_family` for the layers."""

    version: ClassVar[int] = 1

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        card: Card | None = None,
        trust_remote_code: bool = False,
        device: str = "cpu",
    ) -> None:
        self.checkpoint, self.trust_remote_code, self.device = checkpoint, trust_remote_code, device
        self._known, self._model = card, None
        self._snapshot: Snapshot | None = None
        self._family: Family | None = None
        self._failure: ModelError | None = None
        if card is not None:
            check_options(family_of(card.extra["model_type"]), dict(checkpoint.options), checkpoint.name)

    # --- what is known without the network ---

    @property
    def card(self) -> Card:
        known = self._known
        if known is not None and known.hub_id == self.checkpoint.source and self._family is None:
            return self._with_options(known)
        family = self.family
        base = known or Card(
            name=self.checkpoint.name,
            capability="encoder",
            summary=f"{family.config.model_type} from {self.checkpoint.source}",
            rate=None,
            channels=1,
            hub_id=None if _folder(self.checkpoint.source).is_dir() else self.checkpoint.source,
            notes=family.notes,
        )
        return self._with_options(
            replace(
                base,
                rate=family.rate,
                channels=family.channels,
                layers=family.layers,
                cues=family.cues,
                breaks=family.breaks or base.breaks,
                fixed_duration_s=family.fixed_duration_s,
            )
        )

    def _with_options(self, card: Card) -> Card:
        c = self.checkpoint
        extra = {**card.extra, **dict(c.options)}
        if c.random:
            extra |= {"init": "random", "seed": c.seed}
        return replace(card, name=c.name, revision=c.revision, extra=extra)

    def identity(self) -> Mapping[str, Any]:
        """JSON over the content of the files, the precision and the options; where the files lie doesn't enter."""
        c, code = self.checkpoint, self._uses_code()
        out = {
            "kind": "transformers",
            "version": self.version,
            "files": self.files.identity(weights=not c.random, code=code),
            "dtype": c.dtype,
            "options": dict(c.options),
        }
        return {**out, "init": "random", "seed": c.seed} if c.random else out

    @property
    def files(self) -> Snapshot:
        """The checkpoint's files; a failure to get them is remembered, not tried again."""
        if self._failure is not None:
            raise self._failure
        if self._snapshot is None:
            c = self.checkpoint
            if (known := self._built_in()) is not None:
                self._snapshot = Architecture.of(known)
                return self._snapshot
            licence = self._known.licence if self._known else ""
            try:
                self._snapshot = locate(
                    c.source, c.revision, weights=not c.random, code=self.trust_remote_code, licence=licence
                )
            except ModelError as e:
                self._failure = e
                raise
        return self._snapshot

    def _built_in(self) -> Mapping[str, Any] | None:
        """The architecture from the list in the package: for random weights of a known name, wherever its files are."""
        c, card = self.checkpoint, self._known
        if not c.random or card is None or c.source != card.hub_id or c.revision is not None:
            return None
        return published_config(card.name, card.extra["model_type"])

    def _uses_code(self) -> bool:
        """Whether the checkpoint brings Python code that must run; refuses it unless trusted and pinned."""
        code, c = self.files.remote_code(), self.checkpoint
        if not code or ("AutoModel" not in code and _is_native(str(self.files.config().get("model_type")))):
            return False
        if not self.trust_remote_code:
            raise ModelError(
                "the checkpoint runs its own Python code",
                where=c.name,
                fix="Read it; if you trust it, allow it with --trust-remote-code and pin revision=COMMIT.",
            )
        if str(self.files.folder) != str(_folder(c.source)) and not (c.revision and _COMMIT.match(c.revision)):
            raise ModelError(
                "remote code needs a pinned revision", where=c.name, fix="Add revision=COMMIT (40 hexadecimal digits)."
            )
        foreign = sorted({v for v in code.values() if "--" in v})
        if foreign:
            raise ModelError(f"its code lies in another repository ({foreign[0]}) that cannot be pinned", where=c.name)
        return True

    # --- the network ---

    @property
    def family(self) -> Family:
        """The family, configured for this checkpoint."""
        if self._family is None:
            with quiet():
                self._family = self._configure()
        return self._family

    def _configure(self) -> Family:
        c, code = self.checkpoint, self._uses_code()
        try:
            config, extractor = self.files.library_config(code=code), self.files.extractor(code=code)
        except Exception as e:
            raise ModelError(f"its config cannot be used: {first_line(e)}", where=c.name) from e
        return family_of(config.model_type)(config, extractor, dict(c.options), c.name)

    @property
    def ready(self) -> bool:
        return self._model is not None

    def load(self) -> None:
        """Build the network, on its device, in evaluation mode. Raises :class:`ModelError`."""
        if self._model is not None:
            return
        device = devices.pick(self.device)
        devices.settle()
        with quiet(), devices.seeded(self.checkpoint.seed):  # building draws random numbers even where weights follow
            model = self._build()
        self._check_card()
        self._model = self.family.part(model).eval().to(device)

    @property
    def network(self) -> Any:
        """The loaded part of the network that :attr:`sites` describes."""
        self.load()
        return self.family.sited(self._model)

    @property
    def sites(self) -> SiteMap:
        """The named places of :attr:`network`. Raises :class:`ModelError` for a family that nobody has described."""
        return library_sites(self.family.config, self.checkpoint.name)

    def _build(self) -> Any:
        from transformers import AutoModel

        c, family, code = self.checkpoint, self.family, self._uses_code()
        dtype = devices.torch_dtype(c.dtype)
        try:
            if c.random:
                return AutoModel.from_config(family.config, trust_remote_code=code).to(dtype)
            model, report = AutoModel.from_pretrained(
                str(self.files.folder),
                config=family.config,
                local_files_only=True,
                use_safetensors=self.files.safe,
                weights_only=True,
                dtype=dtype,
                output_loading_info=True,
                trust_remote_code=code,
            )
        except OtoscopeError:
            raise
        except Exception as e:
            raise ModelError(f"cannot be loaded: {first_line(e)}", where=c.name) from e
        lacking = sorted(k for k in report["missing_keys"] if not any(m in k for m in family.may_lack))
        if lacking:
            raise ModelError(
                f"the checkpoint lacks {len(lacking)} of its network's weights, e.g. {lacking[0]}",
                where=c.name,
                fix="Such a network would be partly random. For a wholly random one use init=random.",
            )
        return model

    def _check_card(self) -> None:
        known, family = self._known, self.family
        if known is None:
            return
        for what, said, found in (
            ("rate", known.rate, family.rate),
            ("channels", known.channels, family.channels),
            ("layers", known.layers, family.layers),
        ):
            if said != found and self.checkpoint.source == known.hub_id:
                raise ModelError(f"its card says {what} {said}, the checkpoint has {found}", where=known.name)

    def encode(self, audio: Sequence[Audio], layers: Sequence[Layer] | None = None) -> list[Encoded]:
        """Frames per layer of each sound. Sounds of different length go in separate passes; nothing is padded that
        the network doesn't pad itself. Raises :class:`InputError` on sounds too short or too long for it."""
        import torch

        self.load()
        family = self.family
        check_inputs(self.card, audio)
        wanted = family.select(layers)
        out: list[Encoded | None] = [None] * len(audio)
        hop = family.hop_s(list(wanted))
        family.numbered = any(key != "last" for key in wanted.values())
        for group in equal_length_batches(audio, BATCH):
            n = audio[group[0]].n
            family.check_length(n)
            inputs = self._tensors(family.prepare(np.stack([audio[i].samples for i in group])))
            try:
                with torch.inference_mode():
                    states = family.states(self._model, inputs, n)
            except OtoscopeError:
                raise
            except Exception as e:  # the library's, or remote code's
                what = f"failed on {len(group)} sound(s) of {n} samples: {first_line(e)}"
                raise ModelError(what, where=self.checkpoint.name) from e
            arrays = {k: self._array(states, key) for k, key in wanted.items()}
            for row, i in enumerate(group):
                out[i] = Encoded({k: a[row] for k, a in arrays.items()}, hop)
        return [one for one in out if one is not None]

    def _array(self, states: Mapping[Layer, Any], key: Layer) -> Any:
        if key not in states:
            raise ModelError(f"gives no layer {key}, although its config promises one", where=self.checkpoint.name)
        return states[key].float().cpu().numpy()

    def _tensors(self, arrays: Mapping[str, Any]) -> dict[str, Any]:
        import torch

        device, dtype = devices.pick(self.device), devices.torch_dtype(self.checkpoint.dtype)
        out = {}
        for name, array in arrays.items():
            tensor = torch.from_numpy(np.ascontiguousarray(array)).to(device)
            out[name] = tensor.to(dtype) if tensor.is_floating_point() else tensor
        return out

    def fresh(self) -> PretrainedEncoder:
        """The same encoder, not loaded."""
        return PretrainedEncoder(
            self.checkpoint, card=self._known, trust_remote_code=self.trust_remote_code, device=self.device
        )


# --- the library's manners --------------------------------------------------------------------------------------


def _is_native(model_type: str) -> bool:
    from transformers import CONFIG_MAPPING

    return model_type in CONFIG_MAPPING


def _folder(source: str) -> Any:
    from pathlib import Path

    return Path(source).expanduser()


def first_line(e: Exception) -> str:
    """Somebody else's error in one line."""
    text = " ".join(str(e).split())
    return f"{type(e).__name__}: {text}"[:300]
