"""One shard: sharing, failures that stay alone, the repeat pass, kept outputs."""

from dataclasses import replace

import numpy as np
import pytest

from otoscope.core.audio import Audio
from otoscope.core.errors import ModelError
from otoscope.core.items import Item
from otoscope.core.nouns import Card, Encode, Row
from otoscope.experiments.execute import Bench, failed_rows, run_shard, unpack
from otoscope.interventions.none import NoIntervention
from otoscope.models.resolve import resolve
from otoscope.readouts import pooling
from otoscope.results.schema import row_table
from otoscope.tasks.conditions import Intact


class Tones:
    names = ("a", "b")

    def __init__(self, k, bad=False):
        self.k, self.bad = k, bad

    def render(self, rate):
        if self.bad:
            return {"a": Audio(np.full((1, 8), np.nan), rate)}  # raises: NaN samples
        return {"a": Audio(np.full((1, 8), 0.5), rate), "b": Audio(np.full((1, 8), 0.01 * (self.k + 1)), rate)}

    def describe(self):
        return self.k


class Model:
    card = Card(name="m", capability="encoder", summary="", rate=8000, channels=1)

    def __init__(self, break_on=None, nan_on=None):
        self.batches, self.break_on, self.nan_on = [], break_on, nan_on

    def embed(self, audio):
        self.batches.append(len(audio))
        out = []
        for a in audio:
            level = float(a.samples[0, 0])
            if self.break_on is not None and abs(level - self.break_on) < 1e-6:
                raise ModelError("broke on this one", where="m")
            out.append({"last": np.array([level, 1.0], dtype=np.float32)})
        return out


class Task:
    keeps_outputs = False

    def request(self, item, card):
        return Encode(("a", "b"), repeat="a")

    def score(self, item, output):
        v = output.vectors["last"]
        return [Row("difference", float(v["b"][0] - v["a"][0])), Row("again", float(output.again["last"][0]))]


def items(n, bad=()):
    return [Item(f"i{k}", f"i{k}", f"g{k}", Tones(k, k in bad), {"k": k}) for k in range(n)]


def bench(model, task=None, batch=4):
    return Bench(task or Task(), Intact(), model, NoIntervention(), batch)


def test_equal_sounds_are_embedded_once_and_the_repeat_is_alone():
    model = Model()
    out = run_shard(bench(model), items(20))
    assert sum(model.batches) == 20 + 1 + 1  # twenty b, one a, one repeat of a
    assert model.batches.count(1) >= 1
    assert {r["metric"] for r in out.rows} == {"difference", "again"}
    assert len(out.rows) == 40


def test_batches_do_not_depend_on_what_was_done_before():
    one, two = Model(), Model()
    run_shard(bench(one), items(20))
    run_shard(bench(two), items(20))
    assert one.batches == two.batches


def test_what_breaks_breaks_alone():
    out = run_shard(bench(Model(break_on=0.03)), items(6, bad={4}))
    failed = [r for r in out.rows if r["status"] == "failed"]
    assert [r["item"] for r in failed] == ["i2", "i4"]
    assert "broke on this one" in failed[0]["note"]
    assert "NaN" in failed[1]["note"]
    assert out.n_failed == 2
    assert len({r["item"] for r in out.rows if r["status"] == "ok"}) == 4
    row_table("cell", 0, 0, out.rows)  # the store takes them


def test_a_model_that_gives_the_wrong_number_of_embeddings_fails_every_item():
    model = Model()
    model.embed = lambda audio: []
    out = run_shard(bench(model), items(3))
    assert out.n_failed == 3
    assert "0 embeddings for 1 sounds" in out.rows[0]["note"]


def test_a_missing_input_is_named():
    task = Task()
    task.request = lambda item, card: Encode(("a", "zz"))
    out = run_shard(bench(Model(), task), items(1))
    assert "zz" in out.rows[0]["note"]
    assert "i0" in out.rows[0]["note"]


def test_interrupts_are_not_failures():
    model = Model()

    def stop(audio):
        raise KeyboardInterrupt

    model.embed = stop
    with pytest.raises(KeyboardInterrupt):
        run_shard(bench(model), items(1))


def test_kept_outputs_come_back():
    task = Task()
    task.keeps_outputs = True
    chosen = items(5, bad={3})
    out = run_shard(bench(Model(), task), chosen)
    back = unpack(chosen, out.kept)
    assert [b is None for b in back] == [False, False, False, True, False]
    assert back[4].vectors["last"]["b"][0] == pytest.approx(0.05)
    assert len(out.kept["layer:last"]) == 5  # four b and one shared a


class Noises(Tones):
    names = ("a",)

    def render(self, rate):
        n = rate // 4 * (1 + self.k % 2)
        return {"a": Audio(0.1 * np.random.default_rng(self.k).standard_normal((1, n)).astype(np.float32), rate)}


@pytest.mark.parametrize("name", ["tiny-wav2vec2:layer=all", "tiny-stereo:channels=native"])
def test_frames_that_were_asked_for_come_back_as_the_model_gives_them(name):
    model = resolve(name)
    channels = model.card.channels
    chosen = [replace(i, inputs=Noises(k)) for k, i in enumerate(items(3))]
    if channels == 2:
        stereo = lambda a: Audio(np.repeat(a.samples, 2, axis=0) * np.array([[1], [0.5]], np.float32), a.rate)  # noqa: E731
        for item in chosen:
            made = item.inputs.render
            item.inputs.render = lambda rate, made=made: {"a": stereo(made(rate)["a"])}
    task = Task()
    task.keeps_outputs = True
    task.request = lambda item, card: Encode(("a",), frames=True)
    task.score = lambda item, output: []
    back = unpack(chosen, run_shard(bench(model, task), chosen).kept)
    for item, got in zip(chosen, back, strict=True):
        (wanted,) = model.encode([item.inputs.render(model.card.rate)["a"]])
        assert got.hop_s == wanted.hop_s
        for layer, frames in wanted.frames.items():
            own = got.frames[str(layer)]["a"]
            np.testing.assert_allclose(own, pooling.merge_frames(frames, model.merge), atol=1e-4)
            np.testing.assert_allclose(own.mean(axis=0), got.vectors[str(layer)]["a"], atol=1e-5)
    assert back[0].frames[str(layer)]["a"].shape[0] < back[1].frames[str(layer)]["a"].shape[0]


def test_failed_rows_for_a_model_that_cannot_be_loaded():
    rows = failed_rows(items(2), ModelError("weights are missing", where="m", fix="Get them"))
    assert [r["item"] for r in rows] == ["i0", "i1"]
    assert rows[0]["note"] == "m: weights are missing. Get them"
    row_table("cell", 0, 0, rows)
