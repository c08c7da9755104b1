"""From the tensors of a published checkpoint to those of a module of ours, with nothing left unsaid.

A :class:`TensorMap` lists which published tensor fills which of ours, and which published tensors are not needed, with
the reason. Every tensor ends as used, ignored or missing; one that is missing, of another shape, or not known to the
map is a :class:`ModelError`. A map that could be compared with neither a public repository nor a checkpoint is marked
``verified=False``, and using it warns. The design is ours.
"""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otoscope.core.errors import ModelError
from otoscope.core.identity import file_digest

if TYPE_CHECKING:
    from torch import Tensor

#: What a converted file says of itself in its safetensors metadata: the name of the map that made it.
MARK = "otoscope.tensor_map"


class UnverifiedMapWarning(UserWarning):
    """Weights came through a map that was never compared with the published code or a published checkpoint."""


@dataclass(frozen=True)
class Source:
    """The published ``name`` (without prefix) and ``shape`` of one tensor."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class TensorMap:
    """``tensors``: our name -> its :class:`Source`. ``ignored``: (regular expression over whole published names,
    reason). ``prefixes``: what published files put before every name; the one under which most is found counts."""

    name: str
    tensors: Mapping[str, Source]
    ignored: tuple[tuple[str, str], ...] = ()
    prefixes: tuple[str, ...] = ("",)
    verified: bool = False

    def prefix_of(self, names: Mapping[str, Any]) -> str:
        """The prefix under which ``names`` holds most of the tensors; of equals the first."""
        found = [sum(p + s.name in names for s in self.tensors.values()) for p in self.prefixes]
        return self.prefixes[found.index(max(found))]

    def reason(self, name: str) -> str | None:
        """Why a published tensor isn't needed, or None."""
        return next((why for pattern, why in self.ignored if re.fullmatch(pattern, name)), None)


@dataclass(frozen=True)
class Report:
    """What became of every tensor. ``used``: (published name, our name, shape); ``ignored``: (published name, reason).
    A report exists only where nothing is missing."""

    map: str
    verified: bool
    prefix: str
    used: tuple[tuple[str, str, tuple[int, ...]], ...]
    ignored: tuple[tuple[str, str], ...] = field(default=())

    def lines(self) -> list[str]:
        """One line per tensor, in the order of the published names."""
        rows = [(theirs, f"used     {theirs} -> {ours} {list(shape)}") for theirs, ours, shape in self.used]
        rows += [(theirs, f"ignored  {theirs}: {why}") for theirs, why in self.ignored]
        return [line for _, line in sorted(rows)]


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a ``.safetensors``, ``.pt``, ``.pth``, ``.bin`` or ``.ckpt`` file, and its metadata. PyTorch files
    are read without unpickling objects; of a training checkpoint the ``state_dict`` (or ``model``) is taken.

    Raises :class:`ModelError` on a file that is missing, damaged, of another kind, or holds no tensors.
    """
    if not path.is_file():
        raise ModelError("no such file", where=str(path), fix="Name the checkpoint's weight file.")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    if path.suffix in (".pt", ".pth", ".bin", ".ckpt"):
        return _read_torch(path), {}
    raise ModelError(
        f"a {path.suffix or 'nameless'} file is not read", where=str(path), fix="Use .safetensors, .pt, .pth or .ckpt."
    )


def apply(tensors: Mapping[str, Tensor], table: TensorMap, where: str) -> tuple[dict[str, Tensor], Report]:
    """Published tensors -> ours by our names, in float32, and the report.

    Warns with :class:`UnverifiedMapWarning`; raises :class:`ModelError`, naming the tensors, where some are missing,
    have another shape, or are not known to the map.
    """
    prefix = table.prefix_of(tensors)
    wanted = {prefix + source.name: (ours, source.shape) for ours, source in table.tensors.items()}
    if len(wanted) != len(table.tensors):
        raise ModelError("the map takes one published tensor twice", where=table.name)
    missing = [name for name in wanted if name not in tensors]
    if missing:
        raise ModelError(
            f"the checkpoint lacks {_some(missing)} for {table.name}",
            where=where,
            fix="It may be of another variant or model: see the expected tensors in its documentation.",
        )
    bad = [f"{n} {list(tensors[n].shape)}, not {list(s)}" for n, (_, s) in wanted.items() if tensors[n].shape != s]
    if bad:
        raise ModelError(f"tensors have another shape: {_some(bad)}", where=where, fix="Is it another variant?")
    ignored, unknown = [], []
    for name in sorted(set(tensors) - set(wanted)):
        why = table.reason(name)
        if why is None:
            unknown.append(name)
        else:
            ignored.append((name, why))
    if unknown:
        raise ModelError(
            f"the map {table.name} doesn't know {_some(unknown)}",
            where=where,
            fix="A tensor that nobody accounts for may matter: the checkpoint is of another make.",
        )
    if not table.verified:
        warnings.warn(
            f"{where}: the tensor map {table.name} is unverified: it was compared with no published code or weights",
            UnverifiedMapWarning,
            stacklevel=2,
        )
    state = {ours: tensors[name].detach().float().contiguous() for name, (ours, _) in wanted.items()}
    used = tuple((name, ours, shape) for name, (ours, shape) in sorted(wanted.items()))
    return state, Report(table.name, table.verified, prefix, used, tuple(ignored))


def convert(checkpoint_path: Path | str, out: Path | str, table: TensorMap) -> Report:
    """Write the tensors of ``checkpoint_path`` under our names to the safetensors file ``out``.

    The file's metadata name the map and the sha256 of what it was made from. Raises as :func:`apply` and
    :func:`read_checkpoint`; nothing is written then.
    """
    from safetensors.torch import save_file

    source, target = Path(checkpoint_path).expanduser(), Path(out).expanduser()
    if target.suffix != ".safetensors":
        raise ModelError("the converted file is a .safetensors file", where=str(target), fix="Give it that ending.")
    tensors, _ = read_checkpoint(source)
    state, report = apply(tensors, table, str(source))
    state = {k: v.clone() for k, v in state.items()}  # safetensors refuses tensors that share memory
    save_file(state, str(target), {MARK: table.name, "source_sha256": file_digest(source)})
    return report


def load_state(path: Path, table: TensorMap) -> dict[str, Tensor]:
    """Our state dict from a published checkpoint, or from a file that :func:`convert` wrote."""
    tensors, metadata = read_checkpoint(path)
    if MARK not in metadata:
        return apply(tensors, table, str(path))[0]
    if metadata[MARK] != table.name:
        raise ModelError(f"was converted for {metadata[MARK]}, not for {table.name}", where=str(path))
    own = {name: Source(name, source.shape) for name, source in table.tensors.items()}
    return apply(tensors, TensorMap(table.name, own, verified=table.verified), str(path))[0]


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (SafetensorError, OSError) as e:
        raise ModelError(f"cannot be read: {e}", where=str(path), fix="Download it again.") from e


def _read_torch(path: Path) -> dict[str, Tensor]:
    import torch

    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as e:
        raise ModelError(
            "holds Python objects besides tensors, which are not unpickled",
            where=str(path),
            fix="Save its state_dict alone, on a machine where you trust the file.",
        ) from e
    except (OSError, RuntimeError, EOFError, ValueError) as e:
        raise ModelError(f"cannot be read: {' '.join(str(e).split())[:200]}", where=str(path)) from e
    for key in ("state_dict", "model"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
            break
    strangers = [k for k, v in found.items() if not isinstance(v, torch.Tensor)] if isinstance(found, dict) else ["it"]
    if strangers or not found:
        raise ModelError(f"is no state dict: {_some(list(map(str, strangers))) or 'it is empty'}", where=str(path))
    return dict(found)
