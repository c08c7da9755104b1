"""From the tensors of a published checkpoint to those of a network of ours, with nothing left unsaid.

A :class:`TensorMap` says in rules which published tensor fills which of ours, and which published tensors are not
needed, with the reason. Names and shapes of ours come from the network itself. Every tensor ends as used, ignored or
missing; one that is missing, unknown to the map, of another shape, there twice, or not finite is a :class:`ModelError`.
A map that could be compared with neither a public repository nor a checkpoint is marked ``verified=False``, and using
it warns. The design is ours.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from otoscope.core.errors import ModelError, UsageError
from otoscope.core.identity import file_digest
from otoscope.models.encoders.tensor_file import read_tensors, some

if TYPE_CHECKING:
    from torch import Tensor, nn

#: What a converted file says of itself in its safetensors metadata: the name of the map that made it.
MARK = "otoscope.tensor_map"
#: Training steps that a batch norm counts; nothing reads them, so no checkpoint has to fill them.
_COUNTERS = "num_batches_tracked"

Shapes = Mapping[str, Sequence[int]]


class UnverifiedMapWarning(UserWarning):
    """Weights came through a map that was never compared with the published code or a published checkpoint."""


@dataclass(frozen=True)
class TensorMap:
    """``rules``: (regular expression over whole names of ours, published name, which may refer to groups); the first
    that matches counts. ``ignored``: (regular expression over whole published names, reason). ``wrappers``: regular
    expressions of what saving puts around published names; taken out one after the other before anything is compared.
    ``classes``: what a PyTorch file may hold beside tensors and plain values; it is dropped."""

    name: str
    rules: tuple[tuple[str, str], ...]
    ignored: tuple[tuple[str, str], ...] = ()
    wrappers: tuple[str, ...] = ()
    classes: tuple[type, ...] = ()
    verified: bool = False

    def source(self, ours: str) -> str:
        """The published name, without wrappers, of what fills ``ours``."""
        for pattern, theirs in self.rules:
            if found := re.fullmatch(pattern, ours):
                return found.expand(theirs)
        raise ModelError(f"the map has no rule for the network's tensor {ours}", where=self.name)

    def bare(self, published: str) -> str:
        """A published name without wrappers."""
        for wrapper in self.wrappers:
            published = re.sub(wrapper, "", published)
        return published

    def reason(self, bare: str) -> str | None:
        """Why a published tensor isn't needed, or None."""
        return next((why for pattern, why in self.ignored if re.fullmatch(pattern, bare)), None)


@runtime_checkable
class Mapped(Protocol):
    """An encoder of ours whose published weights come through a map."""

    @property
    def tensor_map(self) -> TensorMap: ...

    def build(self) -> nn.Module:
        """The network, with whatever weights it starts from."""
        ...


@dataclass(frozen=True)
class Report:
    """What became of every tensor. ``used``: (published name, our name, shape); ``ignored``: (published name, reason).
    A report exists only where nothing is missing."""

    map: str
    verified: bool
    used: tuple[tuple[str, str, tuple[int, ...]], ...]
    ignored: tuple[tuple[str, str], ...] = ()

    def lines(self) -> list[str]:
        """One line per tensor, in the order of the published names."""
        rows = [(theirs, f"used     {theirs} -> {ours} {list(shape)}") for theirs, ours, shape in self.used]
        rows += [(theirs, f"ignored  {theirs}: {why}") for theirs, why in self.ignored]
        return [line for _, line in sorted(rows)]


def shapes_of(network: nn.Module) -> dict[str, tuple[int, ...]]:
    """Names and shapes of what a checkpoint has to fill."""
    return {k: tuple(v.shape) for k, v in network.state_dict().items() if not k.endswith(_COUNTERS)}


def blueprint(build: Callable[[], nn.Module]) -> dict[str, tuple[int, ...]]:
    """:func:`shapes_of` what ``build`` makes, without drawing or holding its weights."""
    import torch

    with torch.device("meta"):
        return shapes_of(build())


def apply(
    tensors: Mapping[str, Tensor], table: TensorMap, shapes: Shapes, where: str
) -> tuple[dict[str, Tensor], Report]:
    """Published tensors -> those of a network with ``shapes``, by our names, in float32; and the report. Raises and
    warns as :func:`match`."""
    report = match(tensors, table, shapes, where)
    state = {ours: tensors[name].detach().float().contiguous() for name, ours, _ in report.used}
    return state, report


def match(tensors: Mapping[str, Tensor], table: TensorMap, shapes: Shapes, where: str) -> Report:
    """What becomes of the published tensors in a network with ``shapes``; nothing is copied.

    Warns with :class:`UnverifiedMapWarning`; raises :class:`ModelError`, naming the tensors, where some are missing,
    unknown, there twice, of another shape or not finite.
    """
    import torch

    wanted = {table.source(ours): ours for ours in shapes}
    if len(wanted) != len(shapes):
        raise ModelError("the map takes one published tensor twice", where=table.name)
    found: dict[str, str] = {}
    ignored, unknown, twice = [], [], []
    for name in sorted(tensors):
        bare = table.bare(name)
        if bare in found:
            twice.append(f"{found[bare]} and {name}")
        elif bare in wanted:
            found[bare] = name
        elif (why := table.reason(bare)) is not None:
            ignored.append((name, why))
        else:
            unknown.append(name)
    used = [(found[bare], ours, tuple(shapes[ours])) for bare, ours in wanted.items() if bare in found]
    other = [f"{n} {list(tensors[n].shape)}, not {list(shape)}" for n, _, shape in used if tensors[n].shape != shape]
    for what, names in (
        ("lacks", [bare for bare in wanted if bare not in found]),
        ("has unknown", unknown),
        ("has twice", twice),
        ("has in another shape", other),
        ("has with NaN or infinite values", [n for n, _, _ in used if not torch.isfinite(tensors[n]).all()]),
    ):
        if names:
            raise ModelError(
                f"the checkpoint {what} {len(names)} tensor(s): {some(names)}",
                where=where,
                fix=f"Is it the published file of {table.name}? The model's documentation lists names and shapes.",
            )
    if not table.verified:
        warnings.warn(
            f"{where}: the tensor map {table.name} is unverified: it was compared with no published code or weights",
            UnverifiedMapWarning,
            stacklevel=2,
        )
    return Report(table.name, table.verified, tuple(sorted(used)), tuple(ignored))


def convert(
    checkpoint: Path | str, out: Path | str, table: TensorMap, shapes: Shapes, *, force: bool = False
) -> Report:
    """Write the tensors of ``checkpoint`` under our names to the safetensors file ``out``, whole or not at all.

    The file's metadata name the map and the sha256 of what it was made from. Raises as :func:`apply` and
    :func:`read_tensors`, :class:`UsageError` on an ``out`` of another ending or that exists (unless ``force``), and
    :class:`StoreError` where it cannot be written; nothing is written then.
    """
    from safetensors.torch import save

    from otoscope.results.files import write_durably

    source, target = Path(checkpoint).expanduser(), Path(out).expanduser()
    if target.suffix != ".safetensors":
        raise UsageError("the converted file is a .safetensors file", where=str(target), fix="Give it that ending.")
    if target.exists() and source.exists() and target.samefile(source):
        raise UsageError("would replace the checkpoint that it is made from", where=str(target), fix="Name another.")
    if target.exists() and not force:
        raise UsageError("exists", where=str(target), fix="Name another file, or replace it with --force.")
    tensors, metadata = read_tensors(source, table.classes)
    if MARK in metadata:
        raise ModelError(f"was converted already, for {metadata[MARK]}", where=str(source), fix="Use it as it is.")
    state, report = apply(tensors, table, shapes, str(source))
    state = {k: v.clone() for k, v in state.items()}  # safetensors refuses tensors that share memory
    metadata = {MARK: table.name, "source_sha256": file_digest(source)}
    write_durably(target, save(state, metadata), "artefact")
    return report


def load_state(network: nn.Module, path: Path, table: TensorMap) -> Report:
    """Fill ``network`` from a published checkpoint, or from a file that :func:`convert` wrote. Raises and warns as
    :func:`apply` and :func:`read_tensors`."""
    tensors, metadata = read_tensors(path, table.classes)
    if (made_for := metadata.get(MARK)) is not None:
        if made_for != table.name:
            raise ModelError(f"was converted for {made_for}, not for {table.name}", where=str(path))
        table = replace(table, rules=((".+", r"\g<0>"),), ignored=(), wrappers=())
    state, report = apply(tensors, table, shapes_of(network), str(path))
    network.load_state_dict(state, strict=False)  # what it may leave alone are counters, see shapes_of
    return report
