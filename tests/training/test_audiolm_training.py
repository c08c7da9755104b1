"""Training of the tiny audio language model: it goes on exactly, from a stop and from a finished run, and what it hears
has many noises under it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from otoscope.core.errors import InputError, UsageError
from otoscope.tasks.audiomarathon.miniature.pool import Pool, read_pool
from otoscope.training.audiolm.data import batch, item
from otoscope.training.audiolm.loop import Recipe, State, read_head, resume, save, start, texts, train
from otoscope.training.audiolm.network import make_extractor, make_tokenizer, read_folder, write_folder

CPU = torch.device("cpu")
RECIPE = Recipe(steps=4, windows=3, width=32, tower_layers=1, text_layers=1, heads=2, warmup=1)


@pytest.fixture(scope="module")
def pool() -> Pool:
    return read_pool(None, "train", seeds=1)


@pytest.fixture(scope="module")
def tokenizer(pool: Pool) -> Any:
    return make_tokenizer(list(texts(pool)))


def weights(state: State) -> dict[str, torch.Tensor]:
    return {**state.network.state_dict(), **{f"mean.{k}": v for k, v in state.mean.state_dict().items()}}


def test_a_stopped_run_goes_on_to_the_same_weights(pool: Pool, tokenizer: Any, tmp_path: Path) -> None:
    straight, losses = start(RECIPE, tokenizer, CPU), []
    before = {k: v.clone() for k, v in weights(straight).items()}
    train(straight, RECIPE, pool, tokenizer, CPU, after=lambda state, loss: losses.append(loss["answer"]))
    half = start(RECIPE, tokenizer, CPU)
    train(half, RECIPE, pool, tokenizer, CPU, until=lambda: half.step == 2)
    save(half, RECIPE, tmp_path / "state.pt")
    rest = resume(RECIPE, tokenizer, tmp_path / "state.pt", CPU)
    train(rest, RECIPE, pool, tokenizer, CPU)
    assert len(losses) == 4
    assert all(torch.equal(v, weights(rest)[k]) for k, v in weights(straight).items())
    assert not all(torch.equal(v, before[k]) for k, v in weights(straight).items())
    with pytest.raises(UsageError, match="another recipe"):
        resume(Recipe(steps=5), tokenizer, tmp_path / "state.pt", CPU)


def test_a_run_begins_from_a_finished_one(tokenizer: Any, tmp_path: Path) -> None:
    first = start(RECIPE, tokenizer, CPU)
    write_folder(tmp_path / "model", first.mean, tokenizer, make_extractor())
    trained, same = read_folder(tmp_path / "model")
    save(first, RECIPE, tmp_path / "state.pt")
    second = start(Recipe(**{**vars(RECIPE), "seed": 5}), same, CPU, trained, read_head(tmp_path / "state.pt"))
    assert torch.equal(second.ctc.weight, first.ctc.weight), "the digits' head goes along"
    assert same.get_vocab() == tokenizer.get_vocab()
    for name, value in first.mean.state_dict().items():
        assert torch.equal(second.network.state_dict()[name], value.half().float())


def test_long_sounds_come_at_once_where_the_schedule_is_past_the_short_ones(pool: Pool) -> None:
    longest = lambda done: max(len(h.sound) for step in range(8) for h in batch(pool, 0, step, done, 3))  # noqa: E731
    assert longest(0.0) < 5 * 16_000 < longest(0.3)


def test_items_stand_over_no_noise_the_usual_one_and_others(pool: Pool) -> None:
    floors = []
    for seed in range(40):
        sound = item(np.random.default_rng(seed), pool, "digit", 4.0).sound
        floor = float(np.median(np.abs(sound)))  # a digit is short: what is in the middle is the floor
        floors.append(20 * np.log10(max(floor / 0.6745, 1e-9)))
    assert sum(f < -150 for f in floors) > 5, "digital silence"
    assert sum(abs(f + 55) < 1.5 for f in floors) > 5, "the benchmark's own"
    assert sum(-100 < f < -57 or f > -53 for f in floors) > 2, "others"


def test_a_digit_that_is_longer_than_the_item_is_drawn_again(pool: Pool) -> None:
    made = [item(np.random.default_rng(seed), pool, "scr", 0.6) for seed in range(30)]
    assert all(len(m.spoken) == 1 for m in made)
    with pytest.raises(InputError, match=r"longer than 0.1 s"):
        item(np.random.default_rng(0), pool, "scr", 0.1)
