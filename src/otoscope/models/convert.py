"""A published checkpoint of a registered model, as a safetensors file under our names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from otoscope.core.errors import UsageError
from otoscope.core.naming import parse_spec
from otoscope.models.catalogue import MODELS
from otoscope.models.encoders import tensor_map
from otoscope.models.encoders.tensor_map import Mapped, Report
from otoscope.models.resolve import resolve
from otoscope.models.separators.cards import SAM_AUDIO

#: Parameters of a name that say where its weights come from; here an argument does.
_WEIGHTS = ("path", "revision", "init", "seed")


def convert(name: str, checkpoint: Path | str, out: Path | str, *, force: bool = False) -> Report:
    """Write the published ``checkpoint`` of the model ``name`` to the safetensors file ``out``, which then loads as
    ``NAME:path=OUT``; says what became of every tensor.

    Parameters of the name choose the variant (``gram-t:variant=time``, ``dspast:stage=1``). Raises :class:`UsageError`
    for a model that has no map, and as :func:`~otoscope.models.encoders.tensor_map.convert`.
    """
    spec = parse_spec(name)
    if given := [k for k in _WEIGHTS if k in spec.params]:
        raise UsageError(
            f"{given[0]} has no place in the name here", where=name, fix="The weights are those of CHECKPOINT."
        )
    encoder = getattr(resolve(spec), "encoder", None)
    if not isinstance(encoder, Mapped):
        raise UsageError(f"needs no conversion: {_why(spec.name, encoder)}", where=name, fix=_MAPPED)
    shapes = tensor_map.blueprint(encoder.build)
    return tensor_map.convert(checkpoint, out, encoder.tensor_map, shapes, force=force)


_MAPPED = "Converted are checkpoints of gram-t, spatial-ast, dspast and wavjepa-nat."


def _why(name: str, encoder: Any) -> str:
    from otoscope.models.encoders.hf import PretrainedEncoder

    if isinstance(encoder, PretrainedEncoder):
        return "transformers reads its checkpoint as it is (NAME:path=FOLDER)"
    if name in SAM_AUDIO:
        return "its published checkpoint is read as it is (NAME:path=FOLDER)"
    if name in MODELS:
        return "it has no published weights"
    return "it brings its weights itself"
