"""The text encoder of SAM Audio: T5's encoder, read by transformers from a local folder, when it is first needed.

The published model takes the last hidden state of ``t5-base`` (768 channels), at most 512 tokens, and their mask. Its
weights are never part of the checkpoint. What is longer is refused here, where the published code cuts it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from otoscope.core.errors import InputError, ModelError
from otoscope.models.encoders.hf_files import Snapshot, in_folder
from otoscope.models.encoders.tensor_file import some
from otoscope.models.weights import files_digest
from otoscope.readouts.library import quiet

_TOKENIZER = ("*.json", "*.model", "*.txt")


class T5Words(nn.Module):
    """``folder`` holds a T5 of width ``dim`` with its tokenizer; None: every text is a :class:`ModelError`. Float32,
    and on the device that the module is moved to."""

    def __init__(self, folder: str | None, dim: int, max_tokens: int, where: str) -> None:
        super().__init__()
        self.folder, self.dim, self.max_tokens, self.where = folder, dim, max_tokens, where
        self.register_buffer("place", torch.zeros(0), persistent=False)  # follows the device
        self._tokenizer: Any = None
        self._encoder: Any = None

    def encode(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Tokens ``[B, S, dim]`` and their mask ``[B, S]``. Raises :class:`InputError` on a text of more tokens than
        the encoder takes."""
        self._load()
        tokens = self._tokenizer(list(texts), padding="longest", return_tensors="pt").to(self.place.device)
        ids, mask = tokens["input_ids"], tokens["attention_mask"]
        if ids.shape[1] > self.max_tokens:
            raise InputError(
                f"the prompt has {ids.shape[1]} tokens, at most {self.max_tokens} are read",
                where=self.where,
                fix="Say it more briefly.",
            )
        with torch.no_grad():
            states = self._encoder.to(self.place.device)(input_ids=ids, attention_mask=mask).last_hidden_state
        return states, mask.bool()

    def _load(self) -> None:
        if self._encoder is not None:
            return
        files = t5_folder(self.folder, self.where)
        folder = str(files.folder)
        import transformers

        read: Any = transformers.T5EncoderModel.from_pretrained
        try:
            with quiet():
                tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
                encoder, info = read(
                    folder,
                    local_files_only=True,
                    use_safetensors=files.safe,
                    weights_only=True,
                    dtype=torch.float32,
                    output_loading_info=True,
                )
        except Exception as e:  # tokenizers, safetensors and the library each raise their own
            text = " ".join(str(e).split())[:200]
            raise ModelError(f"no T5 can be read: {type(e).__name__}: {text}", where=folder) from e
        if missing := sorted(info["missing_keys"]):  # the library would draw them
            raise ModelError(f"the weights lack {some(missing)}", where=folder, fix="Name a folder with a T5.")
        if encoder.config.d_model != self.dim:
            raise ModelError(
                f"the text encoder is {encoder.config.d_model} wide, the separator was trained with {self.dim}",
                where=folder,
                fix="Name the text encoder of the separator's config.json.",
            )
        self._tokenizer = tokenizer
        object.__setattr__(self, "_encoder", encoder.eval())  # no submodule: it is not the separator's own


def t5_folder(folder: str | None, where: str) -> Snapshot:
    """The files of the text encoder; raises :class:`ModelError` that says what to do where they are missing."""
    if folder is None:
        raise ModelError(
            "a prompt in words needs the text encoder, which the checkpoint does not bring",
            where=where,
            fix="Where there is a network: hf download google-t5/t5-base --local-dir FOLDER; then add "
            "text_path=FOLDER. Prompts of spans alone need none.",
        )
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise ModelError("no such folder", where=str(path), fix="text_path is a folder with a T5 and its tokenizer.")
    return in_folder(path, weights=True)


def t5_identity(folder: str | None, where: str) -> Mapping[str, Any] | None:
    """JSON over what is in the files: weights, config, tokenizer."""
    if folder is None:
        return None
    found = t5_folder(folder, where)
    names = {p.name for pattern in _TOKENIZER for p in found.folder.glob(pattern)}
    return {"files": files_digest(found.folder, sorted({*found.weights, *names}))}
