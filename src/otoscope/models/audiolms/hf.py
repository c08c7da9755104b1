"""Audio language models of ``transformers``, by hub id or local folder.

As with encoders, nothing is read before it is needed, no code of a checkpoint runs, and weights are safetensors or
PyTorch files read without unpickling objects. The family comes from the ``model_type`` in ``config.json``. Answers are
those of the library's own ``generate`` with ``do_sample=False`` and one beam; what else the checkpoint's generation
config asks for (a repetition penalty, say) stays in force.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from otoscope.core.audio import Audio
from otoscope.core.errors import InputError, ModelError, OtoscopeError, UsageError
from otoscope.core.nouns import Card, Prompt, Reply, TokenCounts
from otoscope.core.sites import Site, SiteMap
from otoscope.models import devices
from otoscope.models.audiolms.batch import Batch, Laid, lay_out
from otoscope.models.audiolms.family import MODEL_TYPES, AudioFamily, audio_family
from otoscope.models.audiolms.sharing import Entry, Memory, reusing
from otoscope.models.audiolms.text_files import processor_settings, template_of, text_digest, tokenizer_of
from otoscope.models.encoders.checkpoint import Checkpoint
from otoscope.models.encoders.hf import first_line
from otoscope.models.encoders.hf_files import Snapshot, locate
from otoscope.models.shown import ShownModel
from otoscope.models.sites import decoder
from otoscope.readouts.library import quiet

#: What the name of a checkpoint can be given.
PARAMS = ("path", "revision", "dtype", "init", "seed", "attention")
#: Implementations of the attention, as the library calls them.
ATTENTIONS = ("sdpa", "eager", "flash_attention_2", "flash_attention_3")


class PretrainedAudioLM(ShownModel):
    """A checkpoint as an ``AudioLM`` that is ``Sited``. One call of :meth:`generate` is one batch."""

    version: ClassVar[int] = 1

    def __init__(self, checkpoint: Checkpoint, *, card: Card | None = None, device: str = "cpu") -> None:
        attention = dict(checkpoint.options).get("attention", "sdpa")
        if attention not in ATTENTIONS:
            fix = f"One of: {', '.join(ATTENTIONS)}."
            raise UsageError(f"there is no attention={attention}", where=checkpoint.name, fix=fix)
        self.checkpoint, self.device, self.attention = checkpoint, device, str(attention)
        self._known, self._network = card, None
        self._snapshot: Snapshot | None = None
        self._family: AudioFamily | None = None
        self._memory: Memory | None = None

    # --- what is known without the network ---

    @property
    def card(self) -> Card:
        c, known = self.checkpoint, self._known
        extra: dict[str, Any] = dict(c.options)
        if c.random:
            extra |= {"init": "random", "seed": c.seed}
        if known is not None and self._family is None:
            return replace(known, name=c.name, revision=c.revision or known.revision, extra={**known.extra, **extra})
        family = self.family
        kind = self.files.config()["model_type"]
        limits = {"model_type": kind, "limit_s": family.limit_s, "one_clip": family.one_clip}
        limits["system_before_sound"] = family.system_before_sound
        said = f"{family.name} from {c.source}"
        base = known or Card(c.name, "audiolm", said, rate=family.rate, channels=1, layers=())
        notes = base.notes or family.notes
        base = replace(base, name=c.name, revision=c.revision, notes=notes, breaks=family.breaks)
        return replace(base, rate=family.rate, extra=limits | extra)

    def identity(self) -> Mapping[str, Any]:
        """JSON over the content of the files, the precision and the options; where the files lie doesn't enter."""
        c = self.checkpoint
        out = {
            "kind": "transformers audio LM",
            "version": self.version,
            "files": self.files.identity(weights=not c.random, code=False),
            "text": text_digest(self.files),
            "dtype": c.dtype,
            "attention": self.attention,
        }
        return {**out, "init": "random", "seed": c.seed} if c.random else out

    @property
    def files(self) -> Snapshot:
        if self._snapshot is None:
            c, licence = self.checkpoint, self._known.licence if self._known else ""
            self._snapshot = locate(c.source, c.revision, weights=not c.random, code=False, licence=licence)
        return self._snapshot

    @property
    def family(self) -> AudioFamily:
        """The family, with this checkpoint's config, extractor and tokenizer."""
        if self._family is None:
            with quiet():
                self._family = self._configure()
        return self._family

    def _configure(self) -> AudioFamily:
        files, name = self.files, self.checkpoint.name
        kind = str(files.config().get("model_type"))
        if kind not in MODEL_TYPES:
            raise ModelError(
                f"is of the type {kind!r}, which is no audio language model known here",
                where=name,
                fix=f"Known are {', '.join(sorted(MODEL_TYPES))}; Phi-4 (phi4mm) in the revision for transformers.",
            )
        found = audio_family(kind)
        try:
            config = found.part(files.library_config(code=False))
            extractor, tokenizer = files.extractor(code=False), tokenizer_of(files)
        except OtoscopeError:
            raise
        except Exception as e:
            raise ModelError(f"its config or tokenizer cannot be used: {first_line(e)}", where=name) from e
        if extractor is None:
            raise ModelError("has no feature extractor", where=name, fix="It needs a preprocessor_config.json.")
        return found(config, extractor, tokenizer, template_of(files, tokenizer), processor_settings(files), name)

    # --- the network ---

    @property
    def ready(self) -> bool:
        return self._network is not None

    def load(self) -> None:
        """Build the network, on its device, in evaluation mode. Raises :class:`ModelError`."""
        if self._network is not None:
            return
        device = devices.pick(self.device)
        devices.settle()
        with quiet(), devices.seeded(self.checkpoint.seed):
            network = self._build()
        self._network = network.eval().to(device)

    def _build(self) -> Any:
        import transformers

        c, family, dtype = self.checkpoint, self.family, devices.torch_dtype(self.checkpoint.dtype)
        cls = getattr(transformers, family.network_class)
        try:
            if c.random:
                return cls._from_config(family.config, attn_implementation=self.attention, dtype=dtype)
            network, report = cls.from_pretrained(
                str(self.files.folder),
                local_files_only=True,
                use_safetensors=self.files.safe,
                weights_only=True,
                dtype=dtype,
                attn_implementation=self.attention,
                output_loading_info=True,
            )
        except Exception as e:
            raise ModelError(f"cannot be loaded: {first_line(e)}", where=c.name) from e
        if lacking := sorted(report["missing_keys"]):
            raise ModelError(
                f"the checkpoint lacks {len(lacking)} of its network's weights, e.g. {lacking[0]}",
                where=c.name,
                fix="Such a network would be partly random. For a wholly random one use init=random.",
            )
        return network

    @property
    def network(self) -> Any:
        """The loaded network, as the library has it."""
        self.load()
        return self._network

    @property
    def sites(self) -> SiteMap:
        """The named places of the decoder in :attr:`network`."""
        network, family = self.network, self.family
        layers = int(network.config.get_text_config(decoder=True).num_hidden_layers)
        audio = None
        if family.handed_over is not None:
            doc = "what the encoder and its projector make of the clips, one row per token or more"
            audio = Site("audio", _path(network, family.handed_over, self.checkpoint.name), doc=doc)
        path = next(name for name, module in network.named_modules() if module is network.get_decoder())
        return decoder.site_map(network.config.model_type, path, layers, fused=family.fused, audio=audio)

    @property
    def cache_bytes_per_token(self) -> int:
        """Bytes of keys and values that one token of the bare model costs, over all layers."""
        config = self.network.config.get_text_config(decoder=True)
        heads = int(config.num_attention_heads)
        width = int(getattr(config, "head_dim", None) or config.hidden_size // heads)
        kept = int(getattr(config, "num_key_value_heads", None) or heads)
        size = devices.torch_dtype(self.checkpoint.dtype).itemsize
        return 2 * int(config.num_hidden_layers) * kept * width * size

    @property
    def audio_token_id(self) -> int:
        """The token that stands where sound goes in."""
        return self.family.audio_id

    # --- answers ---

    def prepare(self, prompts: Sequence[Prompt], max_new_tokens: int = 256, entry: Entry | None = None) -> Batch:
        """The network's inputs for ``prompts``, on the CPU. Raises :class:`InputError`, naming the prompt. ``entry``:
        what is known of the clips of the one prompt."""
        self.load()
        if not prompts:
            raise UsageError("there is no prompt", where=self.checkpoint.name)
        if isinstance(max_new_tokens, bool) or not isinstance(max_new_tokens, int) or max_new_tokens < 1:
            what = f"max_new_tokens={max_new_tokens} is not a whole number from 1"
            raise UsageError(what, where=self.checkpoint.name)
        for i, prompt in enumerate(prompts):
            where = f"{self.checkpoint.name}, prompt {i}"
            for k, clip in enumerate(prompt.audio):
                if (clip.rate, clip.channels) != (self.family.rate, 1):
                    raise InputError(
                        f"clip {k} is {clip}, the model takes one channel at {self.family.rate} Hz",
                        where=where,
                        fix="Resample it with otoscope.audio.resample, and choose or average its channels.",
                    )
            self.family.check(prompt, where)
        return lay_out(self.family, prompts, self._pad_id(), max_new_tokens, entry)

    def generate(self, prompts: Sequence[Prompt], max_new_tokens: int = 256) -> list[Reply]:
        """Greedy answers, all prompts in one batch padded on the left."""
        import torch
        from transformers import StoppingCriteriaList

        from otoscope.models.audiolms.phases import Phases, answering

        self.load()
        network, device = self._network, devices.pick(self.device)
        assert network is not None
        phases = Phases(device)
        phases.enter("features")
        entry = self._known_of(prompts)
        batch = self.prepare(prompts, max_new_tokens, entry)
        inputs = self._on_device(batch)
        encoder = [network.get_submodule(_path(network, part, self.checkpoint.name)) for part in self.family.encoder]
        try:
            with quiet(), torch.inference_mode(), reusing(encoder, entry), answering(phases, encoder) as criterion:
                ids = network.generate(
                    **inputs,
                    max_new_tokens=max_new_tokens,
                    do_sample=False,
                    num_beams=1,
                    stopping_criteria=StoppingCriteriaList([criterion]),
                )
        except (OtoscopeError, torch.OutOfMemoryError):
            raise
        except Exception as e:
            raise ModelError(f"failed on {len(prompts)} prompt(s): {first_line(e)}", where=self.checkpoint.name) from e
        if entry is not None and self._memory is not None:
            entry.settle(phases.seconds, phases.peak_bytes)
            self._memory.trim()
        answers = ids[:, batch.width :].tolist()
        measured = {"seconds": phases.seconds, "peak_bytes": phases.peak_bytes, "steps": phases.steps}
        return [self._reply(one, row, len(prompts), measured) for one, row in zip(batch.laid, answers, strict=True)]

    def warm_up(self, times: int = 1) -> None:
        """Answer a question about a second of silence with one token, so that what is done once (kernels, buffers) is
        done before anything is timed."""
        silence = Audio(np.zeros((1, self.family.rate), dtype=np.float32), self.family.rate)
        for _ in range(times):
            self.generate([Prompt("?", (silence,))], 1)

    def remember(self, max_bytes: int | None) -> None:
        """From now on give what prompts about the same clips share again (see :mod:`.sharing`), keeping up to
        ``max_bytes`` beside the latest; None: compute everything."""
        self._memory = None if max_bytes is None else Memory(max_bytes)

    def _known_of(self, prompts: Sequence[Prompt]) -> Entry | None:
        """Batches share nothing: padding changes what the encoder is given."""
        if self._memory is None or len(prompts) != 1 or not prompts[0].audio:
            return None
        return self._memory.entry(" ".join(clip.digest() for clip in prompts[0].audio))

    def _reply(self, laid: Laid, row: list[int], batch: int, measured: Mapping[str, Any]) -> Reply:
        ends = self._end_ids()
        stop = next((i for i, token in enumerate(row) if token in ends), None)
        answer = tuple(row if stop is None else row[:stop])
        counts = TokenCounts(laid.audio, len(laid.ids) - laid.audio, len(answer) + (stop is not None))
        text = self.family.tokenizer.decode(list(answer), skip_special_tokens=True)
        return Reply(text, answer, counts, laid.spans, stop is not None, batch=batch, **measured)

    def _on_device(self, batch: Batch) -> dict[str, Any]:
        device, dtype = devices.pick(self.device), devices.torch_dtype(self.checkpoint.dtype)
        return {
            name: tensor.to(device, dtype) if tensor.is_floating_point() else tensor.to(device)
            for name, tensor in batch.inputs.items()
        }

    def _end_ids(self) -> frozenset[int]:
        found = self.network.generation_config.eos_token_id
        return frozenset([found] if isinstance(found, int) else found or ())

    def _pad_id(self) -> int:
        """What stands left of shorter prompts. It is masked, so any token but that of sound will do."""
        known = (self.network.generation_config.pad_token_id, self.family.tokenizer.pad_token_id, *self._end_ids(), 0)
        return next(int(i) for i in known if i is not None and i != self.family.audio_id)

    def fresh(self) -> PretrainedAudioLM:
        """The same model, not loaded."""
        return PretrainedAudioLM(self.checkpoint, card=self._known, device=self.device)


def _path(network: Any, tail: str, where: str) -> str:
    """The path of the one module that ends in ``tail``: releases of the library differ in what stands before it."""
    found = [name for name, _ in network.named_modules() if name == tail or name.endswith(f".{tail}")]
    if len(found) != 1:
        raise ModelError(f"its network has {len(found)} modules called {tail}", where=where)
    return found[0]
