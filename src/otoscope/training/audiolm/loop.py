"""Training of the tiny audio language model: answers by cross-entropy, digits by CTC beside it, averaged weights.

The CTC loss on the projected audio tokens (one linear map to ten digits and a blank, dropped afterwards) is what makes
speech be learned at this size at all (training notes). A run that was stopped goes on with the same batches.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from otoscope.core.errors import UsageError
from otoscope.models.devices import seeded
from otoscope.tasks.audiomarathon.miniature.pool import RATE, Pool
from otoscope.training.audiolm.data import WINDOW_S, Heard, batch
from otoscope.training.audiolm.network import END, PLACEHOLDER, features, make_extractor, make_network, padded


@dataclass(frozen=True)
class Recipe:
    """``windows`` of 5 s per batch; ``ctc`` is the weight of that loss, ``averaging`` is of the weights; ``past`` is
    the share of the schedule of lengths that is over at the start, for runs that go on from trained weights; ``long``
    is the share of the batches after its first fifth that come from the long-audio builder."""

    steps: int = 20_000
    windows: int = 64
    width: int = 256
    tower_layers: int = 5
    text_layers: int = 5
    heads: int = 8
    rate: float = 1e-3
    warmup: int = 500
    decay: float = 0.02
    ctc: float = 0.5
    averaging: float = 0.999
    clip: float = 1.0
    seed: int = 0
    past: float = 0.0
    long: float = 0.0


@dataclass(eq=False)
class State:
    network: Any
    mean: Any
    ctc: nn.Linear
    optimiser: torch.optim.Optimizer
    step: int = 0


def start(
    recipe: Recipe,
    tokenizer: Any,
    device: torch.device,
    trained: Mapping[str, Tensor] | None = None,
    head: Mapping[str, Tensor] | None = None,
) -> State:
    """Fresh weights, or ``trained`` ones, which must be of the recipe's shape. ``head``: those of the CTC loss; a fresh
    one in front of a trained tower pushes it about for some hundred steps."""
    shape = (recipe.width, recipe.tower_layers, recipe.text_layers, recipe.heads)
    network = make_network(tokenizer, *shape, recipe.seed).to(device)
    if trained is not None:
        network.load_state_dict(trained)
    network.set_attn_implementation("eager")  # a step took 0.29 s of one core, and 0.49 s by the fused attention
    with seeded(recipe.seed + 1):
        ctc = nn.Linear(recipe.width, 11).to(device)
    if head is not None:
        ctc.load_state_dict(head)
    parameters = [*network.parameters(), *ctc.parameters()]
    wide = [p for p in parameters if p.requires_grad and p.ndim > 1]
    flat = [p for p in parameters if p.requires_grad and p.ndim <= 1]
    groups = [{"params": wide, "weight_decay": recipe.decay}, {"params": flat, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=recipe.rate, betas=(0.9, 0.98))
    return State(network, copy.deepcopy(network).eval(), ctc, optimiser)


def save(state: State, recipe: Recipe, file: Path) -> None:
    """Everything that going on needs; the file appears whole or not at all."""
    part = file.with_suffix(".part")
    found = {
        "recipe": asdict(recipe),
        "step": state.step,
        "network": state.network.state_dict(),
        "mean": state.mean.state_dict(),
        "ctc": state.ctc.state_dict(),
        "optimiser": state.optimiser.state_dict(),
    }
    torch.save(found, part)
    part.replace(file)


def resume(recipe: Recipe, tokenizer: Any, file: Path, device: torch.device) -> State:
    """Where a run stopped. Raises :class:`UsageError` where it had another recipe."""
    found = torch.load(file, weights_only=True, map_location=device)
    if Recipe(**found["recipe"]) != recipe:  # a run of an earlier version lacks what came later
        raise UsageError("was begun with another recipe", where=str(file), fix="Use its numbers, or another folder.")
    state = start(recipe, tokenizer, device)
    for name in ("network", "mean", "ctc", "optimiser"):
        getattr(state, name).load_state_dict(found[name])
    state.step = int(found["step"])
    return state


def read_head(file: Path) -> dict[str, Tensor]:
    """The weights of the CTC loss in what :func:`save` wrote."""
    found: dict[str, Tensor] = torch.load(file, weights_only=True, map_location="cpu")["ctc"]
    return found


class _Batches(Dataset[Any]):
    def __init__(self, pool: Pool, recipe: Recipe, tokenizer: Any, first: int) -> None:
        self.pool, self.recipe, self.tokenizer, self.first = pool, recipe, tokenizer, first

    def __len__(self) -> int:
        return self.recipe.steps - self.first

    def __getitem__(self, i: int) -> Laid:
        step = self.first + i
        done = self.recipe.past + (1 - self.recipe.past) * step / self.recipe.steps
        heard = batch(self.pool, self.recipe.seed, step, done, self.recipe.windows, self.recipe.long)
        return lay_out(heard, self.tokenizer)


def train(
    state: State,
    recipe: Recipe,
    pool: Pool,
    tokenizer: Any,
    device: torch.device,
    *,
    workers: int = 0,
    until: Callable[[], bool] = lambda: False,
    after: Callable[[State, dict[str, float]], None] = lambda state, losses: None,
) -> None:
    """Train to ``recipe.steps``, or until ``until()``. ``workers`` processes make the batches; none changes them."""
    extractor = make_extractor()
    batches = _Batches(pool, recipe, tokenizer, state.step)
    loader: Any = DataLoader(batches, batch_size=None, num_workers=workers)
    state.network.train()
    for laid in loader:
        for group in state.optimiser.param_groups:
            group["lr"] = recipe.rate * _schedule(recipe, state.step)
        losses = _step(state, recipe, laid, extractor, device)
        state.step += 1
        after(state, losses)
        if until():
            break


def _schedule(recipe: Recipe, step: int) -> float:
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    done = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return 0.02 + 0.98 * 0.5 * (1 + float(np.cos(np.pi * min(1.0, done))))


def _step(state: State, recipe: Recipe, laid: Laid, extractor: Any, device: torch.device) -> dict[str, float]:
    mel, mask = features(extractor, laid.samples, device), laid.mask.to(device)
    ids, labels, attention = (x.to(device) for x in (laid.ids, laid.labels, laid.attention))
    caught: list[Tensor] = []
    handle = _projector(state.network).register_forward_hook(lambda module, args, out: caught.append(out))
    try:
        with torch.autocast(device.type, dtype=torch.bfloat16):
            out = state.network(
                input_ids=ids, attention_mask=attention, input_features=mel, input_features_mask=mask, use_cache=False
            )
            logits = out.logits[:, :-1].float()
            answer = nn.functional.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)
            digits = _ctc_loss(state.ctc(caught[0]), laid, device) if recipe.ctc else torch.zeros((), device=device)
        loss = answer + recipe.ctc * digits
    finally:
        handle.remove()
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()
    norm = nn.utils.clip_grad_norm_(state.network.parameters(), recipe.clip)
    if torch.isfinite(norm):
        state.optimiser.step()
        _average(state, min(recipe.averaging, (1 + state.step) / (10 + state.step)))
    return {"answer": answer.item(), "ctc": digits.item(), "norm": norm.item()}


@torch.no_grad()
def _average(state: State, keep: float) -> None:
    pairs = list(zip(state.mean.parameters(), state.network.parameters(), strict=True))
    torch._foreach_lerp_([a for a, _ in pairs], [b for _, b in pairs], 1 - keep)


def _projector(network: Any) -> nn.Module:
    return next(m for name, m in network.named_modules() if name.endswith("multi_modal_projector"))


def _ctc_loss(scores: Tensor, laid: Laid, device: torch.device) -> Tensor:
    """CTC of the digits over the audio tokens of each item that holds digits alone; 0 where there is none."""
    flat = scores.float()
    if flat.ndim == 3:  # windows x tokens, padding inside
        flat = torch.cat([window[:n] for window, n in zip(flat, laid.tokens, strict=True)])
    rows, targets, lengths = [], [], []
    at = 0
    for n, spoken in zip(laid.per_item, laid.spoken, strict=True):
        if spoken and len(spoken) * 2 < n:
            rows.append(flat[at : at + n])
            targets.append(torch.tensor(spoken) + 1)
            lengths.append(n)
        at += n
    if not rows:
        return torch.zeros((), device=device)
    chances = nn.utils.rnn.pad_sequence(rows).log_softmax(-1)
    return nn.functional.ctc_loss(
        chances,
        torch.cat(targets).to(device),
        torch.tensor(lengths),
        torch.tensor([len(t) for t in targets]),
        zero_infinity=True,
    )


# --- from items to tensors --------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Laid:
    """``ids``, ``labels`` (-100 where nothing is learned), ``attention`` ``[B, S]``, padded on the right; ``samples``
    ``[W, n]`` of all windows in order with the ``mask`` of their frames and their ``tokens``; ``per_item`` sums of
    these, ``spoken`` digits by item."""

    ids: Tensor
    labels: Tensor
    attention: Tensor
    samples: Tensor
    mask: Tensor
    tokens: Sequence[int]
    per_item: Sequence[int]
    spoken: Sequence[Sequence[int]]


def lay_out(heard: Sequence[Heard], tokenizer: Any) -> Laid:
    """Conversations of several turns, the sound before the first question, as the chat template writes them."""
    sound, end = tokenizer.convert_tokens_to_ids(PLACEHOLDER), tokenizer.convert_tokens_to_ids(END)
    size = round(WINDOW_S * RATE)
    rows, windows, tokens, per_item = [], [], [], []
    for one in heard:
        own = [one.sound[i : i + size] for i in range(0, len(one.sound), size)]
        counts = [window_tokens(len(w)) for w in own]
        windows += own
        tokens += counts
        per_item.append(sum(counts))
        ids: list[int] = []
        learned: list[bool] = []
        for k, (question, answer) in enumerate(one.turns):
            asked = tokenizer(
                f"{'' if k == 0 else chr(10)}<|im_start|>user\n{PLACEHOLDER if k == 0 else ''}{question}"
                f"{END}\n<|im_start|>assistant\n",
                add_special_tokens=False,
            )["input_ids"]
            for i in asked:
                ids += [sound] * per_item[-1] if i == sound else [i]
            learned += [False] * (len(ids) - len(learned))
            said = [*tokenizer(answer, add_special_tokens=False)["input_ids"], end]
            ids += said
            learned += [True] * len(said)
        rows.append((ids, learned))
    width = max(len(ids) for ids, _ in rows)
    shape = (len(rows), width)
    all_ids = torch.full(shape, end)
    labels, attention = torch.full(shape, -100), torch.zeros(shape, dtype=torch.long)
    for i, (ids, learned) in enumerate(rows):
        row = torch.tensor(ids)
        all_ids[i, : len(ids)] = row
        attention[i, : len(ids)] = 1
        labels[i, : len(ids)] = torch.where(torch.tensor(learned), row, -100)
    return Laid(all_ids, labels, attention, *padded(windows), tokens, per_item, [one.spoken for one in heard])


def window_tokens(samples: int) -> int:
    """Audio tokens of a window of so many samples."""
    from otoscope.models.audiolms.family import whisper_tokens
    from otoscope.training.audiolm.network import HOP

    return whisper_tokens(-(-samples // HOP))


def log_lines(file: Path, every: int) -> Callable[[State, dict[str, float]], None]:
    """An ``after`` that appends the means of ``every`` steps to ``file``."""
    known: list[dict[str, float]] = []

    def after(state: State, losses: dict[str, float]) -> None:
        known.append(losses)
        if len(known) == every:
            line = {name: float(np.mean([x[name] for x in known])) for name in losses}
            with file.open("a", encoding="utf-8") as out:
                out.write(json.dumps({"step": state.step, **line}) + "\n")
            known.clear()

    return after


def texts(pool: Pool, n: int = 400) -> Iterator[str]:
    """What the tokenizer learns from: questions and answers of short items."""
    from otoscope.audio.binaural import child
    from otoscope.training.audiolm.data import SHARES, item

    for k in range(n):
        name = list(SHARES)[k % len(SHARES)]
        for question, answer in item(child(0, "tokenizer", k), pool, name, 3.0).turns:
            yield f"{question}\n{answer}"
