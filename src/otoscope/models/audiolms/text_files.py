"""The text side of a checkpoint's folder: tokenizer, chat template, what its processor's file says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from otoscope.core.errors import ModelError
from otoscope.models.encoders.hf_files import Snapshot, read_json
from otoscope.models.weights import files_digest

#: Files that can change a prompt or how it is answered, besides config, extractor and weights.
_TEXT = (
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
    "merges.txt",
    "processor_config.json",
    "special_tokens_map.json",
    "tekken.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
)
_VOCABULARIES = ("tekken.json", "tokenizer.json", "vocab.json", "tokenizer.model")


def text_digest(files: Snapshot) -> str:
    """sha256 over the files that are there."""
    return files_digest(files.folder, [name for name in _TEXT if (files.folder / name).is_file()])


def tokenizer_of(files: Snapshot) -> Any:
    """The library's tokenizer. Raises :class:`ModelError` where the folder has none."""
    import transformers

    folder = files.folder
    if not any((folder / name).is_file() for name in _VOCABULARIES):
        raise ModelError("has no tokenizer", where=str(folder), fix=f"It needs one of {', '.join(_VOCABULARIES)}.")
    if (folder / "tekken.json").is_file():
        # Mistral's own class, which AutoTokenizer prefers where it is installed, does not read special tokens in text.
        return transformers.TokenizersBackend.from_pretrained(str(folder), local_files_only=True)
    return transformers.AutoTokenizer.from_pretrained(str(folder), local_files_only=True)


def template_of(files: Snapshot, tokenizer: Any) -> str | None:
    """The chat template: the processor's where the folder has one, else the tokenizer's."""
    folder = files.folder
    if (path := folder / "chat_template.jinja").is_file():
        return path.read_text(encoding="utf-8")
    for name in ("chat_template.json", "processor_config.json"):
        if (folder / name).is_file() and isinstance(found := read_json(folder / name).get("chat_template"), str):
            return found
    found = getattr(tokenizer, "chat_template", None)
    return found if isinstance(found, str) else None


def processor_settings(files: Snapshot) -> Mapping[str, Any]:
    """What ``processor_config.json`` says; empty where there is none."""
    path = Path(files.folder / "processor_config.json")
    return read_json(path) if path.is_file() else {}
