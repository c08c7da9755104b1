"""What differs between families of audio language models in ``transformers``: how clips go in, and how many tokens they
become.

A family names the parts of a network; no modelling code is copied. The checkpoint's own feature extractor, tokenizer
and chat template are used, called as the family's processor calls them (which a test compares), because the processors
themselves cannot be made without image libraries that sound has no use for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from otoscope.core.audio import Audio
from otoscope.core.errors import InputError, ModelError
from otoscope.core.nouns import Prompt

Clip = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Heard:
    """What the extractor made of all clips of a batch: arguments of the network, and the tokens each clip becomes."""

    inputs: Mapping[str, Any]
    tokens: tuple[int, ...]


class AudioFamily:
    """Base of the families. ``config`` is the config of the network that is loaded; ``extractor``, ``tokenizer`` and
    ``template`` are the checkpoint's, ``described`` is what its processor's file says."""

    name: ClassVar[str] = ""
    #: The class of ``transformers`` that is loaded.
    network_class: ClassVar[str] = ""
    #: Modules that together are the audio encoder, projector included.
    encoder: ClassVar[tuple[str, ...]] = ()
    #: The module whose output is what the decoder is given for the clips, where there is one tensor of it.
    handed_over: ClassVar[str | None] = None
    #: One matrix gives queries, keys and values.
    fused: ClassVar[bool] = False
    one_clip: ClassVar[bool] = False
    #: A system message may stand before sound.
    system_before_sound: ClassVar[bool] = True
    #: Fewer samples are no frame.
    min_samples: ClassVar[int] = 400
    #: A clip that becomes fewer tokens is refused.
    fewest_tokens: ClassVar[int] = 1
    #: The tokenizer adds its own beginning of a text.
    tokenizer_begins: ClassVar[bool] = True
    notes: ClassVar[tuple[str, ...]] = ()
    #: Conformance checks that the library's network itself breaks, with the reason.
    breaks: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        config: Any,
        extractor: Any,
        tokenizer: Any,
        template: str | None,
        described: Mapping[str, Any],
        where: str,
    ) -> None:
        self.config, self.extractor, self.tokenizer, self.where = config, extractor, tokenizer, where
        self.described = described
        self.placeholder = str(tokenizer.convert_ids_to_tokens(self.audio_id))
        self.template = self._usable(template)

    @staticmethod
    def part(config: Any) -> Any:
        """The config of the network that is loaded, out of the checkpoint's."""
        return config

    @property
    def audio_id(self) -> int:
        """The token that stands where sound goes in."""
        return int(self.config.audio_token_id)

    @property
    def rate(self) -> int:
        return int(self.extractor.sampling_rate)

    @property
    def limit_s(self) -> float | None:
        """Seconds that a clip may last; None: as long as its tokens fit the decoder."""
        return None

    @property
    def context(self) -> int | None:
        """Positions that the decoder was made for."""
        found = getattr(self.config.get_text_config(decoder=True), "max_position_embeddings", None)
        return None if found is None else int(found)

    # --- text ---

    def content(self, prompt: Prompt) -> Any:
        """The user's message, as the chat template wants it."""
        return [{"type": "audio"}] * len(prompt.audio) + [{"type": "text", "text": prompt.text}]

    def built_in(self) -> str | None:
        """A template for checkpoints that have none that places a clip."""
        return None

    def render(self, prompt: Prompt) -> str:
        """The whole text that the model continues; :attr:`placeholder` once per clip."""
        return self._render(prompt, self.template)

    def _render(self, prompt: Prompt, template: str | None) -> str:
        turns: list[dict[str, Any]] = []
        if prompt.system is not None:
            turns.append({"role": "system", "content": prompt.system})
        turns.append({"role": "user", "content": self.content(prompt)})
        return str(
            self.tokenizer.apply_chat_template(
                turns, chat_template=template, tokenize=False, add_generation_prompt=True
            )
        )

    def _usable(self, template: str | None) -> str | None:
        """The checkpoint's template where it places a clip, else the built-in one."""
        probe = Prompt("?", (_PROBE,))
        why = "has no chat template"
        for candidate in (template, self.built_in()):
            if candidate is None:
                continue
            try:
                placed = self._render(probe, candidate).count(self.placeholder)
            except Exception as e:  # a template is a program
                why = f"has a chat template that fails: {type(e).__name__}: {e}"
                continue
            if placed == 1:
                return candidate
            why = f"has a chat template that gives {placed} {self.placeholder} for one clip"
        raise ModelError(why, where=self.where, fix="Put the chat_template.jinja that belongs to it into the folder.")

    # --- sound ---

    def hear(self, clips: Sequence[Clip]) -> Heard:
        """Clips at :attr:`rate`, one channel each, to the network's inputs."""
        raise NotImplementedError

    def extract(self, clips: Sequence[Clip], **how: Any) -> dict[str, Any]:
        """The checkpoint's own extractor; raises :class:`ModelError` where it breaks."""
        try:
            return dict(self.extractor(list(clips), sampling_rate=self.rate, return_tensors="pt", **how))
        except Exception as e:  # somebody else's code, on input that passed our checks
            raise ModelError(f"its feature extractor failed: {type(e).__name__}: {e}", where=self.where) from e

    def check(self, prompt: Prompt, where: str) -> None:
        """Raise :class:`InputError` on what the family cannot be asked."""
        for text in (prompt.text, prompt.system or ""):
            if self.placeholder in text:
                raise InputError(
                    f"the text holds {self.placeholder}, which stands for sound", where=where, fix="Leave it out."
                )
        if self.one_clip and len(prompt.audio) > 1:
            raise InputError(f"{len(prompt.audio)} clips, and {self.name} hears one per prompt", where=where)
        if prompt.audio and prompt.system is not None and not self.system_before_sound:
            what = f"{self.name} takes no system message together with sound"
            raise InputError(what, where=where, fix="Put it into the text.")
        for i, clip in enumerate(prompt.audio):
            if clip.n < self.min_samples:
                raise InputError(f"clip {i} has {clip.n} samples, fewer than {self.min_samples}", where=where)
            if self.limit_s is not None and clip.n > round(self.limit_s * self.rate):
                raise InputError(
                    f"clip {i} lasts {clip.duration_s:.2f} s, and {self.name} hears {self.limit_s:g} s",
                    where=where,
                    fix="Split it into several clips or prompts; nothing is cut silently.",
                )


def whisper_tokens(frames: int) -> int:
    """Tokens of ``frames`` spectral frames behind a convolution of stride 2 and a pooling of 2."""
    return ((frames - 1) // 2 + 1 - 2) // 2 + 1


#: A clip that a template is tried with.
_PROBE = Audio(np.zeros((1, 1), np.float32), 16_000)

#: Model types and the modules that know them.
_MODULES = {
    "qwen2_audio": ("qwen2_audio", "Qwen2Audio"),
    "qwen2_5_omni": ("qwen2_5_omni", "Qwen25Omni"),
    "qwen2_5_omni_thinker": ("qwen2_5_omni", "Qwen25Omni"),
    "voxtral": ("voxtral", "Voxtral"),
    "audioflamingo3": ("audioflamingo3", "AudioFlamingo3"),
    "phi4_multimodal": ("phi4_multimodal", "Phi4Multimodal"),
}
MODEL_TYPES = frozenset(_MODULES)


def audio_family(model_type: str) -> type[AudioFamily]:
    """The family of a config's ``model_type``; imports no network."""
    import importlib

    module, name = _MODULES[model_type]
    return getattr(importlib.import_module(f"otoscope.models.audiolms.{module}"), name)
