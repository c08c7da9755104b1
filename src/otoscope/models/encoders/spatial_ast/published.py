"""Where the published checkpoints of Spatial-AST and DSpAST are.

Files are looked for on this machine only: the licence is for the user to accept, so nothing is downloaded unasked.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from otoscope.core.errors import ModelError
from otoscope.models.encoders.spatial_ast.cards import CARDS
from otoscope.models.weights import files_digest


@dataclass(frozen=True)
class Published:
    """A published checkpoint of ``name``; ``path`` is its file or a folder with it, None the hub's local cache."""

    name: str
    path: str | None = None
    revision: str | None = None
    stage: int | None = None

    @property
    def filename(self) -> str:
        """The file's path in its repository."""
        return f"DSpAST-stage{self.stage}" if self.name == "dspast" else "SpatialAST/finetuned.pth"

    def file(self) -> Path:
        """The file on this machine. Raises :class:`ModelError` that names file, source and licence."""
        if self.path is None:
            return self._cached()
        given = Path(self.path).expanduser()
        if given.is_file():
            return given
        stem = Path(self.filename)
        tried = [
            given / stem,
            given / stem.name,
            given / f"{stem.name}.pth",
            (given / stem.name).with_suffix(".safetensors"),
        ]
        for candidate in tried:
            if candidate.is_file():
                return candidate
        raise self._absent(f"{given} has no {stem.name}" if given.is_dir() else f"{given} does not exist")

    def digest(self) -> str:
        """sha256 of the file."""
        file = self.file()
        return files_digest(file.parent, [file.name])

    def _cached(self) -> Path:
        import huggingface_hub as hub

        kind = "dataset" if self.name == "spatial-ast" else "model"
        try:
            found = hub.hf_hub_download(
                str(CARDS[self.name].hub_id),
                self.filename,
                repo_type=kind,
                revision=self.revision,
                local_files_only=True,
            )
        except (OSError, ValueError) as e:  # the client's "not in the cache" is one or the other
            raise self._absent("it is not on this machine") from e
        return Path(found)

    def _absent(self, why: str) -> ModelError:
        card = CARDS[self.name]
        kind = " (a dataset repository)" if self.name == "spatial-ast" else ""
        return ModelError(
            f"needs {self.filename} of {card.hub_id}{kind} on the Hugging Face hub; {why}; licence: {card.licence}",
            where=self.name,
            fix="Download it and add path=FILE to the name, or use init=random.",
        )
