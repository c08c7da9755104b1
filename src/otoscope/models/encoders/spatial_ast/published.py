"""The published checkpoints: where their files are, and every tensor accounted for as it goes into our network.

A file is read without unpickling anything but tensors and the training script's argument record, which is dropped. Each
tensor is used, ignored for a stated reason, or unknown; a network tensor that no file tensor fills is missing. Unknown,
missing and wrongly shaped tensors are errors. Files are looked for on this machine only: the licence is for the user to
accept, so nothing is downloaded unasked.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otoscope.core.errors import ModelError
from otoscope.models.encoders.spatial_ast.cards import CARDS
from otoscope.models.weights import files_digest

#: Buffers that loading leaves alone: they count training steps.
_UNREAD = "num_batches_tracked"


@dataclass(frozen=True)
class Report:
    """What became of each tensor: published name -> ours, published name -> reason, our names that nothing filled."""

    used: Mapping[str, str]
    ignored: Mapping[str, str]
    missing: tuple[str, ...]
    unknown: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"used     {k} -> {v}" for k, v in sorted(self.used.items())]
        lines += [f"ignored  {k}: {v}" for k, v in sorted(self.ignored.items())]
        lines += [f"missing  {k}" for k in self.missing]
        return "\n".join(lines + [f"unknown  {k}" for k in self.unknown])


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

    def read_into(self, network: Any, file: Path) -> Report:
        """Fill ``network``; raises :class:`ModelError` unless every tensor is accounted for."""
        state = read_tensors(file)
        renamed, report = account(state, network.state_dict(), *tensor_map(self.name), where=str(file))
        network.load_state_dict(renamed, strict=False)
        return report

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


def tensor_map(name: str) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
    """Used and ignored published names of ``name``: pairs of (regular expression, our name or reason)."""
    from otoscope.models.encoders.spatial_ast import dspast, spatial_ast

    module = spatial_ast if name == "spatial-ast" else dspast
    return module.TENSORS, module.IGNORED


def account(
    state: Mapping[str, Any],
    wanted: Mapping[str, Any],
    used: tuple[tuple[str, str], ...],
    ignored: tuple[tuple[str, str], ...],
    where: str,
) -> tuple[dict[str, Any], Report]:
    """``state`` under our names, and what became of each tensor. Raises :class:`ModelError` on unknown, missing or
    wrongly shaped tensors, and on values that are not finite."""
    import torch

    renamed: dict[str, Any] = {}
    names: dict[str, str] = {}
    reasons: dict[str, str] = {}
    unknown = []
    for name, value in state.items():
        if (ours := _match(name, used)) is not None:
            if ours not in wanted or ours in renamed:
                unknown.append(name)
                continue
            expected = tuple(wanted[ours].shape)
            if tuple(value.shape) != expected:
                raise ModelError(f"tensor {name} has shape {tuple(value.shape)}, expected {expected}", where=where)
            if not torch.isfinite(value).all():
                raise ModelError(f"tensor {name} holds NaN or infinite values", where=where)
            renamed[ours], names[name] = value, ours
        elif (reason := _match(name, ignored)) is not None:
            reasons[name] = reason
        else:
            unknown.append(name)
    missing = tuple(k for k in wanted if k not in renamed and not k.endswith(_UNREAD))
    report = Report(names, reasons, missing, tuple(sorted(unknown)))
    for what, found in (("lacks", missing), ("has unknown", report.unknown)):
        if found:
            raise ModelError(
                f"the checkpoint {what} {len(found)} tensor(s), e.g. {found[0]}",
                where=where,
                fix="It is not the published file of this model. For a wholly random network use init=random.",
            )
    return renamed, report


def read_tensors(file: Path) -> dict[str, Any]:
    """The state dict in ``file`` (safetensors, or a PyTorch file with it under ``model`` or alone)."""
    import torch

    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(str(file))
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as e:  # pickle, zip and safetensors each raise their own
        raise ModelError(f"cannot be read: {type(e).__name__}: {str(e).splitlines()[0]}", where=str(file)) from e
    state = content.get("model", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not state or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise ModelError("holds no tensors by name, at the top or under 'model'", where=str(file))
    return state


def _match(name: str, rules: tuple[tuple[str, str], ...]) -> str | None:
    for pattern, result in rules:
        if found := re.fullmatch(pattern, name):
            return found.expand(result) if "\\" in result else result
    return None
