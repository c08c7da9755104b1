"""SAM Audio's checkpoint, as published: ``config.json`` beside ``checkpoint.pt``, or beside safetensors files.

Files are memory-mapped. The parts are built without weights, and each tensor is cast and copied to where it belongs
when its turn comes, so that what is held is the model in its own precision and never the checkpoint. Names are the
published ones (arXiv 2512.18099 and its code); the report says what became of every tensor.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from otoscope.core.errors import ModelError
from otoscope.models.devices import seeded
from otoscope.models.encoders.hf_files import CONFIG, read_json
from otoscope.models.encoders.tensor_file import read_tensors
from otoscope.models.encoders.tensor_map import Report, TensorMap, match, shapes_of
from otoscope.models.separators.dacvae import DacVae
from otoscope.models.separators.dit import FlowNetwork
from otoscope.models.separators.published import Sizes, sizes_of

if TYPE_CHECKING:
    import torch
    from torch import nn

WEIGHTS, CODEC = "checkpoint.pt", "audio_codec."
#: Names of ours are the published ones; the codec's stand behind its prefix.
SAM_AUDIO_MAP = TensorMap(
    "sam-audio",
    rules=((r".+", r"\g<0>"),),
    ignored=(
        (r"vision_encoder\..+", "sees video, which no prompt here has"),
        (r"text_encoder\..+", "is read from text_path"),
        (r"(text_ranker|visual_ranker)\..+", "judges candidates; not used"),
        (r"span_predictor\..+", "guesses spans; here they are given"),
        (r"(.+\.)?(freqs|inv_freq|freqs_cis)", "a table that follows from the sizes"),
    ),
    verified=True,
)


@dataclass(frozen=True)
class Files:
    """Where a checkpoint is. ``weights`` are the names of its weight files in ``folder``."""

    folder: Path
    weights: tuple[str, ...]

    def sizes(self) -> Sizes:
        return sizes_of(read_json(self.folder / CONFIG), str(self.folder / CONFIG))


def in_folder(folder: Path, *, weights: bool = True) -> Files:
    """The checkpoint in ``folder``: ``checkpoint.pt`` where there is one, else all its safetensors files. Raises
    :class:`ModelError` naming what is missing."""
    if not folder.is_dir():
        raise ModelError("no such folder", where=str(folder), fix=f"path is a folder with {CONFIG} and {WEIGHTS}.")
    if not (folder / CONFIG).is_file():
        raise ModelError(f"the folder has no {CONFIG}", where=str(folder), fix="The sizes are read from it.")
    found = [WEIGHTS] if (folder / WEIGHTS).is_file() else sorted(p.name for p in folder.glob("*.safetensors"))
    if weights and not found:
        raise ModelError(
            f"the folder has neither {WEIGHTS} nor a safetensors file",
            where=str(folder),
            fix="Copy it there, or use init=random for fresh weights.",
        )
    return Files(folder, tuple(found) if weights else ())


def load(files: Files, dtype: torch.dtype, device: torch.device) -> tuple[FlowNetwork, DacVae, Report]:
    """Network (in ``dtype``) and codec (float32) on ``device``, and what became of every tensor. Raises
    :class:`ModelError` as :func:`~otoscope.models.encoders.tensor_map.match`."""
    import torch

    sizes = files.sizes()
    tensors: dict[str, torch.Tensor] = {}
    for name in files.weights:
        more, _ = read_tensors(files.folder / name)
        if twice := sorted(set(more) & set(tensors)):
            raise ModelError(f"{twice[0]} is in two files", where=str(files.folder), fix="Keep one set of weights.")
        tensors.update(more)
    with torch.device("meta"):
        network, codec = FlowNetwork(sizes.network), DacVae(sizes.codec)
    shapes = {**shapes_of(network), **{CODEC + k: v for k, v in shapes_of(codec).items()}}
    report = match(tensors, SAM_AUDIO_MAP, shapes, str(files.folder))
    parts: tuple[tuple[nn.Module, str, torch.dtype], ...] = ((network, "", dtype), (codec, CODEC, torch.float32))
    names = {ours: theirs for theirs, ours, _ in report.used}
    for part, prefix, kind in parts:
        state = {
            k: tensors[names[prefix + k]].detach().to(device, kind, copy=True).contiguous() for k in shapes_of(part)
        }
        part.load_state_dict(state, assign=True)
    return network, codec, report


def draw(sizes: Sizes, seed: int) -> tuple[FlowNetwork, DacVae]:
    """Fresh weights under ``seed``, float32."""
    with seeded(seed):
        return FlowNetwork(sizes.network), DacVae(sizes.codec)
