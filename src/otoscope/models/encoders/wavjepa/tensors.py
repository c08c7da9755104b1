"""Which tensor of a published WavJEPA-Nat checkpoint goes where.

The rules are data: a pattern of the published name and either the name here or the reason why it is not needed. Names
were read in the public code of the authors and the code was run beside ours (see the explanation of the model).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from otoscope.core.errors import ModelError

#: What wrappers put before or into a name: the hub's class, Lightning, ``torch.compile``.
_WRAPPERS = (re.compile(r"^(?:module\.|model\.)+"), re.compile(r"_orig_mod\."))
_TRAINING = "only training needs it"

#: (pattern of the published name, name here)
USED: tuple[tuple[str, str], ...] = (
    (r"extract_audio\.cnns\.(\d+)\.(\d+)\.0\.weight", r"ears.\1.convs.\2.weight"),
    (r"extract_audio\.cnns\.(\d+)\.0\.2\.(weight|bias)", r"ears.\1.norm.\2"),
    (r"feature_norms\.(weight|bias)", r"front_norm.\1"),
    (r"post_extraction_mapper\.(weight|bias)", r"project.\1"),
    (r"pos_encoding_encoder", r"positions"),
    (r"encoder\.layers\.(\d+)\.(.+)", r"blocks.\1.\2"),
    (r"encoder\.norm\.(weight|bias)", r"final_norm.\1"),
)
#: (pattern of the published name, why it is ignored)
IGNORED: tuple[tuple[str, str], ...] = (
    (r"teacher_encoder\..+", f"{_TRAINING}: the moving average that makes the targets"),
    (r"decoder\..+", f"{_TRAINING}: the predictor"),
    (r"(decoder_to_encoder|encoder_to_decoder)_mapper\..+", f"{_TRAINING}: to and from the predictor"),
    (r"pos_encoding_decoder", f"{_TRAINING}: positions of the predictor"),
    (r"mask_token", f"{_TRAINING}: stands for what the predictor must guess"),
)


@dataclass(frozen=True)
class Report:
    """What became of every tensor: ``used`` published name -> name here, ``ignored`` published name -> reason."""

    used: Mapping[str, str]
    ignored: Mapping[str, str]

    def lines(self) -> list[str]:
        """One line per tensor, sorted by the published name."""
        said = {
            **{k: f"used as {v}" for k, v in self.used.items()},
            **{k: f"ignored: {v}" for k, v in self.ignored.items()},
        }
        return [f"{name}: {said[name]}" for name in sorted(said)]


def convert(
    published: Mapping[str, Any], wanted: Mapping[str, Sequence[int]], where: str
) -> tuple[dict[str, Any], Report]:
    """The tensors that a network with shapes ``wanted`` needs, under its names, and a report on all of ``published``.

    Raises :class:`ModelError` naming tensors that no rule knows, that have another shape, come twice, or are missing.
    """
    out: dict[str, Any] = {}
    used: dict[str, str] = {}
    ignored: dict[str, str] = {}
    for name in sorted(published):
        bare = name
        for wrapper in _WRAPPERS:
            bare = wrapper.sub("", bare)
        if (reason := _first(IGNORED, bare)) is not None:
            ignored[name] = reason
            continue
        target = _first(USED, bare)
        if target is None or target not in wanted:
            raise ModelError(f"tensor {name} has no place in the network", where=where, fix=_OTHER)
        if target in out:
            raise ModelError(f"tensor {name} comes twice, as {target}", where=where, fix=_OTHER)
        shape, expected = tuple(published[name].shape), tuple(wanted[target])
        if shape != expected:
            raise ModelError(f"tensor {name} has shape {shape}, expected {expected}", where=where, fix=_OTHER)
        out[target], used[name] = published[name], target
    missing = sorted(set(wanted) - set(out))
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ModelError(f"the checkpoint lacks {missing[0]}{more}", where=where, fix=_OTHER)
    return out, Report(used, ignored)


_OTHER = "Is it the base model of WavJEPA-Nat?"


def _first(rules: Sequence[tuple[str, str]], name: str) -> str | None:
    for pattern, text in rules:
        if match := re.fullmatch(pattern, name):
            return match.expand(text)
    return None
