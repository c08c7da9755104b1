"""The registered interventions."""

from __future__ import annotations

from otoscope.core.errors import UsageError
from otoscope.core.naming import Spec, parse_spec
from otoscope.core.nouns import Intervention
from otoscope.core.registry import Registry

INTERVENTIONS = Registry("intervention", "otoscope.interventions")
_OURS = {
    "none": ("none:NoIntervention", "the model as it is"),
    "ablate": ("ablate:Ablate", "a site becomes zero, its mean, noise, or what another prompt gives"),
    "swap-prompt": ("prompts:SwapPrompt", "another prompt in the network"),
    "restore": ("prompts:Restore", "another prompt, with one site as under the item's own"),
    "split-prompt": ("prompts:SplitPrompt", "keys of one prompt, values of another"),
    "cross-uniform": ("prompts:CrossUniform", "cross-attention without routing"),
    "minus-text-free": ("prompts:MinusTextFree", "cross-attention less what it gives without text"),
    "gate": ("prompts:Gate", "the gate of the span anchors is set"),
    "freeze": ("freeze:Freeze", "chosen layers keep their self-attention maps from a flow time on"),
    "freeze-group": ("freeze:FreezeGroup", "the layers that settle early, or the others, keep their maps"),
    "lsac": ("lsac:Lsac", "stable layers keep their self-attention maps (arXiv 2606.10046)"),
    "placebo": ("placebo:Placebo", "lsac's plan on layers drawn at random"),
    "fewer-steps": ("fewer_steps:FewerSteps", "fewer solver steps, re-spaced or stopped early"),
    "output-reuse": ("output_reuse:OutputReuse", "attention outputs on every n-th step (PAB, FORA)"),
    "prune/random": ("prune.random:Random", "audio tokens drawn at random (the control)"),
    "prune/frame": ("prune.frame:Frame", "every n-th audio token (the strong control)"),
    "prune/fastv": ("prune.fastv:FastV", "the audio tokens that the last token attends to (FastV)"),
    "prune/fastv-norope": ("prune.fastv:FastVNoRope", "FastV without the rotary embedding's pull (ours)"),
    "prune/dart": ("prune.dart:Dart", "the audio tokens least alike to a few pivots (DART)"),
    "prune/sparsevlm+": ("prune.sparsevlm:SparseVLMPlus", "head-aware, not routed (SparseVLM, version 2)"),
    "prune/segment-topk": ("prune.segment_topk:SegmentTopK", "the most attended tokens of every segment"),
    "headrouter": ("prune.headrouter:HeadRouter", "heads weighed by what each input makes of them (arXiv 2604.23717)"),
    "evict/knorm": ("evict.knorm:KNorm", "keys of small norm stay"),
    "evict/random": ("evict.random:Random", "keys drawn at random (the control)"),
    "evict/streaming": ("evict.streaming:Streaming", "the first and the latest tokens (StreamingLLM)"),
    "evict/snapkv": ("evict.snapkv:SnapKV", "what the end of the prompt attends to (SnapKV)"),
    "evict/tova": ("evict.tova:Tova", "what the last token attends to (TOVA)"),
    "evict/h2o": ("evict.h2o:H2O", "what all have attended to, and the latest tokens (H2O)"),
    "evict/expected-attention": ("evict.expected_attention:ExpectedAttention", "what queries to come will attend to"),
    "head-atlas": ("heads.atlas:HeadAtlas", "watches what every head does with sound, and changes nothing"),
    "knock-heads": ("heads.knock:KnockHeads", "chosen heads hear nothing: the causal side of the atlas"),
    "block-reuse": ("block_reuse:BlockReuse", "middle blocks on every n-th step (DeepCache on a transformer)"),
}
for _name, (_target, _summary) in _OURS.items():
    INTERVENTIONS.add(_name, f"otoscope.interventions.{_target}", _summary)


def resolve_intervention(spec: Spec | str) -> Intervention:
    """``name:key=value`` -> a frozen intervention; ``a+b:key=value`` composes, in order. A wrong parameter is a
    :class:`UsageError`."""
    text = str(spec)
    if len(parts := split(text)) > 1:
        from otoscope.interventions.acting import compose

        return compose([resolve_intervention(part) for part in parts])
    spec = parse_spec(text)
    factory = INTERVENTIONS.get(spec.name)
    try:
        found: Intervention = factory(**spec.params)
    except TypeError as e:
        raise UsageError(f"intervention {spec}: {e}") from e
    return found


def split(text: str) -> list[str]:
    """The parts of ``a+b:key=1+2``: a plus sign separates where the name of an intervention follows it."""
    parts = [""]
    for piece in text.split("+"):
        name = piece.partition(":")[0]
        starts = name in INTERVENTIONS or name.startswith("file:")
        parts = [*parts, piece] if parts[-1] and starts else [*parts[:-1], f"{parts[-1]}+{piece}".lstrip("+")]
    return parts
