"""Exact resume, several processes, damaged checkpoints, skipped steps, and the whole run from the command line."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from otoscope.cli import main
from otoscope.core.errors import InputError, StoreError, UsageError
from otoscope.models.resolve import load
from otoscope.training.uniwhisper import checkpoints
from otoscope.training.uniwhisper.recipe import read_recipe
from otoscope.training.uniwhisper.session import train
from otoscope.training.uniwhisper.trainer import Told, Trainer

SRC = Path(__file__).parents[3] / "src"


def weights(folder: Path) -> dict[str, torch.Tensor]:
    found = checkpoints.newest(folder / "checkpoints", torch.device("cpu"))
    assert found is not None
    return {**found["trained"], **{f"mean.{n}": t for n, t in found["mean"].items()}}


def same(a: Path, b: Path) -> bool:
    one, other = weights(a), weights(b)
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


@pytest.mark.parametrize("workers", [0, 2])
def test_ten_steps_are_five_and_five_to_the_bit(recipe: Callable[..., Path], tmp_path: Path, workers: int) -> None:
    """With several sources, pools that are shuffled, and workers that run ahead."""
    chosen = read_recipe(recipe("small", ("full_share = 0.3", f"full_share = 0.3\nworkers = {workers}")))
    steps: list[Told] = []
    train(chosen, tmp_path / "whole", stop=None)
    Trainer(chosen, tmp_path / "parts").run(steps.append, stop=4)  # 4 is no multiple of anything
    done = train(chosen, tmp_path / "parts")
    assert [t.step for t in steps] == [1, 2, 3, 4]
    assert (done.step, done.skipped) == (10, 0)
    assert same(tmp_path / "whole", tmp_path / "parts")


_KILLED = """
import os, signal, sys
from pathlib import Path
from otoscope.training.uniwhisper.recipe import read_recipe
from otoscope.training.uniwhisper.trainer import Trainer
def kill(told):
    if told.step == 7:  # two steps after the checkpoint of step 5
        os.kill(os.getpid(), signal.SIGKILL)
Trainer(read_recipe(sys.argv[1]), Path(sys.argv[2])).run(kill)
"""


def test_a_killed_run_goes_on_with_the_very_next_batch(recipe: Callable[..., Path], tmp_path: Path) -> None:
    path = recipe()
    train(read_recipe(path), tmp_path / "whole")
    killed = tmp_path / "killed"
    env = {**os.environ, "PYTHONPATH": str(SRC), "OMP_NUM_THREADS": str(torch.get_num_threads())}
    ended = subprocess.run([sys.executable, "-c", _KILLED, str(path), str(killed)], env=env, capture_output=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    again = Trainer(read_recipe(path), killed)
    assert again.step == 5
    again.run()
    assert same(tmp_path / "whole", killed)


_TWO = """
import sys
from pathlib import Path
from otoscope.training.uniwhisper.recipe import read_recipe
from otoscope.training.uniwhisper.session import train
for path, folder, stop in zip(sys.argv[1::3], sys.argv[2::3], sys.argv[3::3]):
    train(read_recipe(path), Path(folder), stop=int(stop))
"""


def by_two(*runs: tuple[Path, Path, int]) -> None:
    """Recipes, folders and last steps, one after the other, in two processes."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    shared = os.environ | {
        "PYTHONPATH": str(SRC), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2", "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    arguments = [str(x) for run in runs for x in run]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _TWO, *arguments],
            env=shared | {"RANK": str(r), "LOCAL_RANK": str(r)}, stderr=subprocess.PIPE, text=True,
        )
        for r in range(2)
    ]  # fmt: skip
    for p in processes:
        _, err = p.communicate(timeout=240)
        assert p.returncode == 0, err[-3000:]


def furthest(one: Path, other: Path) -> float:
    a, b = weights(one), weights(other)
    assert a.keys() == b.keys()
    return max(float((a[n] - b[n].to(a[n])).abs().max()) for n in a if a[n].is_floating_point())


def test_two_processes_equal_one_with_the_same_global_batch(recipe: Callable[..., Path], tmp_path: Path) -> None:
    """One process that accumulates two batches a step, and two processes of one each, with their weights replicated or
    divided: the pools are cut for two, so that the batches are the same."""
    changes = (("full_share = 0.3", "full_share = 0.0"), ("steps = 10", "steps = 4"))
    one = recipe("one", *changes)
    single = ("accumulate = 2", "accumulate = 1")
    two = recipe("two", *changes, single)
    divided = recipe("divided", ("full_share = 0.3", 'full_share = 0.0\nsharding = "fsdp2"'), changes[1], single)
    by_two(
        (two, tmp_path / "two", 4), (divided, tmp_path / "divided", 4),
        (divided, tmp_path / "stopped", 2), (divided, tmp_path / "stopped", 4),
    )  # fmt: skip
    trainer = Trainer(read_recipe(one), tmp_path / "one")
    # The same pools, cut for two processes, taken by one.
    trainer.feed.world = 2
    batches = [trainer.feed._pool(trainer.feed_state)[0]]
    feed = trainer.feed

    def both(state: Any = None) -> Any:
        from otoscope.training.uniwhisper.feed import FeedState

        now = FeedState(0, 0, [0, 0])
        while True:
            found, drawn = feed._pool(now)
            now = FeedState(now.pool + 1, 0, drawn)
            for b in found:
                yield b, now.to_json()

    assert len(batches[0]) % 2 == 0
    feed.batches = both  # type: ignore[method-assign]
    trainer.run()
    assert furthest(tmp_path / "one", tmp_path / "two") < 2e-5
    assert furthest(tmp_path / "one", tmp_path / "divided") < 2e-5
    assert same(tmp_path / "divided", tmp_path / "stopped")
    for name in ("two", "divided"):
        assert load(str(tmp_path / name / "encoder")).card.fixed_duration_s == 2.0


def test_what_does_not_go_with_sharding_is_said(recipe: Callable[..., Path], tmp_path: Path) -> None:
    sharded = ("full_share = 0.3", 'full_share = 0.3\nsharding = "fsdp2"')
    with pytest.raises(UsageError, match="several processes"):
        Trainer(read_recipe(recipe("alone", sharded)), tmp_path / "alone")
    with pytest.raises(UsageError, match="l2_init does not go"):
        Trainer(read_recipe(recipe("l2", sharded, ("warmup = 2", "warmup = 2\nl2_init = 1.0"))), tmp_path / "l2")
    with pytest.raises(InputError, match="no sharding 'fsdp'"):
        read_recipe(recipe("old", ("full_share = 0.3", 'full_share = 0.3\nsharding = "fsdp"')))


def test_the_newest_damaged_checkpoint_is_passed_over(recipe: Callable[..., Path], tmp_path: Path) -> None:
    chosen = read_recipe(recipe())
    train(chosen, tmp_path / "run")
    newest = tmp_path / "run" / "checkpoints" / "step-00000010" / "state.pt"
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(data)
    with pytest.warns(UserWarning, match=r"step-00000010 is damaged .*the one before is tried"):
        again = Trainer(chosen, tmp_path / "run")
    assert again.step == 5
    (tmp_path / "run" / "checkpoints" / "step-00000005" / "about.json").unlink()
    with pytest.warns(UserWarning, match="damaged"), pytest.raises(StoreError, match="all 2 checkpoints are damaged"):
        Trainer(chosen, tmp_path / "run")


def test_another_recipe_does_not_go_on(recipe: Callable[..., Path], tmp_path: Path) -> None:
    train(read_recipe(recipe()), tmp_path / "run", stop=5)
    with pytest.raises(UsageError, match="begun with another recipe"):
        Trainer(read_recipe(recipe("other", ("rate = 1e-3", "rate = 2e-3"))), tmp_path / "run")


def test_a_gradient_that_is_not_finite_is_skipped_and_counted(recipe: Callable[..., Path], tmp_path: Path) -> None:
    trainer = Trainer(read_recipe(recipe()), tmp_path / "run")
    before = {n: p.detach().clone() for n, p in trainer.listener.named_parameters()}
    with torch.no_grad():
        trainer.listener.lm.model.norm.weight.fill_(float("nan"))
    told: list[Told] = []
    trainer.run(told.append, stop=2)
    assert [t.skipped for t in told] == [True, True]
    assert trainer.skipped == 2
    after = dict(trainer.listener.named_parameters())
    assert all(torch.equal(before[n], after[n]) for n in before if n.startswith(("encoder.", "adapter.")))


def test_holding_to_the_start_holds(recipe: Callable[..., Path], tmp_path: Path) -> None:
    """The encoder moves less with a pull to its start, and its states on speech less with distillation."""
    moved = {}
    for name, more in (("free", "l2_init = 0.0"), ("pull", "l2_init = 5.0"), ("distil", "distil = 50.0")):
        trainer = Trainer(read_recipe(recipe(name, ("warmup = 2", f"warmup = 2\n{more}"))), tmp_path / name)
        start = [p.detach().clone() for p in trainer.listener.encoder.parameters()]
        told: list[Told] = []
        trainer.run(told.append)
        now = list(trainer.listener.encoder.parameters())
        moved[name] = sum(float(((a - b) ** 2).sum().detach()) for a, b in zip(now, start, strict=True))
        if name != "free":
            held = [x for t in told if (x := t.extra.get({"pull": "l2_init", "distil": "distil"}[name])) is not None]
            assert held[0] == pytest.approx(0.0, abs=1e-7)  # nothing has moved yet
            assert held[-1] > held[0]
    assert moved["pull"] < 0.7 * moved["free"]
    assert moved["distil"] < moved["free"]


def test_the_adapter_alone_at_first(recipe: Callable[..., Path], tmp_path: Path) -> None:
    chosen = read_recipe(recipe("warm", ("warmup = 2", "warmup = 2\nadapter_steps = 3\ndecay = 0.0")))
    trainer = Trainer(chosen, tmp_path / "run")
    start = {n: p.detach().clone() for n, p in trainer.listener.named_parameters()}
    trainer.run(stop=3)
    now = dict(trainer.listener.named_parameters())
    assert all(torch.equal(start[n], now[n]) for n in start if n.startswith("encoder."))
    assert not torch.equal(start["adapter.first.weight"], now["adapter.first.weight"])
    trainer.run(stop=4)
    assert not torch.equal(start["encoder.conv1.weight"], now["encoder.conv1.weight"])


def test_a_trained_decoder_is_trained_and_comes_back(recipe: Callable[..., Path], tmp_path: Path) -> None:
    chosen = read_recipe(recipe("open", ('source = "lm"', 'source = "lm"\nkind = "trainable"')))
    trainer = Trainer(chosen, tmp_path / "run")
    trainer.run(stop=5)
    again = Trainer(chosen, tmp_path / "run")
    ours, theirs = trainer.listener.lm.state_dict(), again.listener.lm.state_dict()
    assert all(torch.equal(ours[n], theirs[n]) for n in ours)


def test_from_the_command_line_to_a_model_of_every_command(
    recipe: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, folder = recipe(), tmp_path / "run"

    def ended(*args: str) -> int:
        with pytest.raises(SystemExit) as e:
            main(["train", str(path), *args])
        assert isinstance(e.value.code, int)
        return e.value.code

    assert ended("--plan") == 0
    assert "nothing was loaded" in capsys.readouterr().out
    assert ended("--into", str(folder), "--stop", "5") == 0
    out = capsys.readouterr().out
    assert "[5/10] loss asr " in out
    assert "stopped at step 5 of 10" in out
    assert ended("--into", str(folder)) == 0
    assert f"encoder: {folder / 'encoder'}" in capsys.readouterr().out
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["step"] for line in lines] == [5, 10]
    assert sum(lines[1]["shares"].values()) == pytest.approx(1.0)
    assert set(lines[1]["held_out"]) == {"sound"}
    model = load(str(folder / "encoder"))
    assert model.card.fixed_duration_s == 2.0


def test_a_recipe_says_what_is_wrong_with_it(recipe: Callable[..., Path]) -> None:
    for old, new, said in (
        ("steps = 10", "stepps = 10", "unknown key 'stepps'.*steps"),
        ('group = "speech"\n[[', 'group = "speech"\nepochs = 1\nx = 2\n[[', "unknown key 'x'"),
        ("speech = 0.5", "speech = 1.5", "add up to 1.5"),
        ("rate = 1e-3", 'rate = "fast"', "rate='fast' is no number"),
        ('source = "whisper"', "", "either source or fresh"),
        ('name = "events"', 'name = "digits"', "two sources are called 'digits'"),
    ):
        with pytest.raises(InputError, match=said):
            read_recipe(recipe("wrong", (old, new)))
    with pytest.raises(UsageError, match=r"too long: asr-\d lasts"):
        Trainer(read_recipe(recipe("long", ("longest_s = 2.0", "longest_s = 0.5"))), Path("nowhere"))
