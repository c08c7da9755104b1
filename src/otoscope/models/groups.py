"""Names that stand for several models: ``all-nine`` wherever an experiment takes a model.

A member may come more than once, under the options that its card says must be compared. Parameters of the group go to
every member and win over the member's own.
"""

from __future__ import annotations

from dataclasses import dataclass

from otoscope.core.errors import UsageError
from otoscope.core.naming import Spec, parse_spec


@dataclass(frozen=True)
class Group:
    """``members`` in the order in which they run."""

    name: str
    summary: str
    members: tuple[str, ...]


#: The nine encoders of arXiv 2606.14820. Two of them run under every option that its trap asks for (ours).
ALL_NINE = Group(
    "all-nine",
    "the nine encoders of arXiv 2606.14820; EnCodec with and without its gain, WavJEPA-Nat with ears joined three ways",
    (
        "wavjepa-nat:merge=mean",
        "wavjepa-nat:merge=concat",
        "wavjepa-nat:merge=difference",
        "gram-t",
        "spatial-ast",
        "dspast",
        "encodec-48khz:normalize=true",
        "encodec-48khz:normalize=false",
        "dac",
        "hubert-large",
        "wavlm-large",
        "wav2vec2-large",
    ),
)
GROUPS = {group.name: group for group in (ALL_NINE,)}


def expand(spec: Spec) -> tuple[Spec, ...]:
    """The members of a group, or ``spec`` itself. Raises :class:`UsageError` on a parameter that makes no sense for
    several models at once."""
    group = GROUPS.get(spec.name)
    if group is None:
        return (spec,)
    for key in ("path", "revision"):
        if key in spec.params:
            raise UsageError(
                f"{key} names the files of one model, and {spec.name} stands for {len(group.members)}",
                fix=f"Give it to a member, for example {group.members[0]},{key}=...",
            )
    found = (parse_spec(member).with_params(**spec.params) for member in group.members)
    return tuple(dict.fromkeys(found))
