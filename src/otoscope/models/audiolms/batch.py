"""From prompts to one padded batch: text with a placeholder per clip, tokens, placeholders widened, padding left.

The spans of the clips come from the widening itself, so they are exact; the network refuses a batch in which the tokens
that stand for sound are not as many as its encoder gives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from otoscope.core.errors import InputError, ModelError
from otoscope.core.nouns import Prompt
from otoscope.models.audiolms.family import AudioFamily

Span = tuple[int, int]


@dataclass(frozen=True)
class Laid:
    """One prompt as tokens, and the half-open positions of its clips."""

    ids: tuple[int, ...]
    spans: tuple[Span, ...]

    @property
    def audio(self) -> int:
        return sum(stop - start for start, stop in self.spans)


@dataclass(frozen=True, eq=False)
class Batch:
    """Arguments of the network, on the CPU, and the prompts in them."""

    inputs: Mapping[str, Any]
    laid: tuple[Laid, ...]

    @property
    def width(self) -> int:
        """Positions of the longest prompt, to which the others are padded."""
        return max(len(one.ids) for one in self.laid)


def lay_out(
    family: AudioFamily, prompts: Sequence[Prompt], pad_id: int, max_new_tokens: int, entry: Any = None
) -> Batch:
    """Raises :class:`InputError`, naming the prompt, on what the family does not take or the decoder has no room for.
    Clips that become too few tokens are an :class:`InputError` as well. ``entry`` keeps the features of the clips."""
    import torch

    clips = [clip.samples[0] for prompt in prompts for clip in prompt.audio]
    heard = None
    if clips:
        heard = family.hear(clips) if entry is None else entry.hear(lambda: family.hear(clips))
    tokens = iter(heard.tokens if heard else ())
    laid = []
    for i, prompt in enumerate(prompts):
        wide = [next(tokens) for _ in prompt.audio]
        for clip, n in enumerate(wide):
            if n < family.fewest_tokens:
                what = f"prompt {i}, clip {clip}: too short, it becomes {n} token(s) and {family.name} needs"
                raise InputError(f"{what} {family.fewest_tokens}", where=family.where)
        one = widened(family, encoded(family, prompt), wide)
        room = family.context
        if room is not None and len(one.ids) + max_new_tokens > room:
            raise InputError(
                f"prompt {i} has {len(one.ids)} tokens ({one.audio} of sound), and with {max_new_tokens} new ones that "
                f"is more than the {room} positions of the decoder",
                where=family.where,
                fix="Shorten the clip or ask for fewer tokens; nothing is cut silently.",
            )
        laid.append(one)
    width = max(len(one.ids) for one in laid)
    ids = torch.tensor([[pad_id] * (width - len(one.ids)) + list(one.ids) for one in laid])
    mask = torch.tensor([[0] * (width - len(one.ids)) + [1] * len(one.ids) for one in laid])
    inputs = {"input_ids": ids, "attention_mask": mask, **(heard.inputs if heard else {})}
    return Batch(inputs, tuple(laid))


def encoded(family: AudioFamily, prompt: Prompt) -> list[int]:
    """Tokens of the whole text, one per clip."""
    found = family.tokenizer(family.render(prompt), add_special_tokens=family.tokenizer_begins)["input_ids"]
    return [int(i) for i in found]


def widened(family: AudioFamily, ids: Sequence[int], wide: Sequence[int]) -> Laid:
    """Each placeholder as many times as its clip has tokens. Raises :class:`ModelError` where they are not as many."""
    places = sum(i == family.audio_id for i in ids)
    if places != len(wide):
        raise ModelError(f"its chat template places {places} of {len(wide)} clips", where=family.where)
    out: list[int] = []
    spans: list[Span] = []
    for i in ids:
        if i == family.audio_id:
            spans.append((len(out), len(out) + wide[len(spans)]))
            out.extend([i] * wide[len(spans) - 1])
        else:
            out.append(i)
    return Laid(tuple(out), tuple(spans))
