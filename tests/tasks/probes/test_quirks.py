"""Every quirk of the published protocol is there in the faithful preset and gone in the clean one.

The encoder is a mean over samples per frame: its vectors can be computed by hand. Archives are miniatures.
"""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from otoscope.audio.sinc import sinc_resample
from otoscope.core.audio import Audio
from otoscope.core.errors import UsageError
from otoscope.core.nouns import Embedded
from otoscope.readouts import pooling
from otoscope.tasks.catalogue import resolve_task
from otoscope.tasks.probes.fit import Fitter, folds
from otoscope.tasks.probes.protocols import PROTOCOLS, protocol
from otoscope.tasks.probes.writer import write_tar

FAITHFUL, CLEAN = "xares-0.1.3", "clean"


def wav(samples, rate=16_000):
    held = io.BytesIO()
    soundfile.write(held, np.asarray(samples, np.float32), rate, format="WAV", subtype="FLOAT")
    return held.getvalue()


def tone(k, seconds, rate=16_000):
    t = np.arange(round(seconds * rate)) / rate
    return 0.3 * np.sin(2 * np.pi * (200 + 150 * k) * t)


@pytest.fixture(scope="module")
def esc50(tmp_path_factory):
    """Five folds of 12 clips, two classes; every second clip is four times as long."""
    root = tmp_path_factory.mktemp("xares")
    (root / "esc50").mkdir()
    for fold in range(1, 6):
        samples = [
            (f"{fold}-{fold}{k // 2:02d}-A-{k}", "wav", wav(tone(k % 2, 0.2 * (1 + 3 * (k % 2)))), {"label": k % 2})
            for k in range(12)
        ]
        write_tar(root / "esc50" / f"wds-audio-fold-{fold}-000000.tar", samples)
    return root


@pytest.fixture(scope="module")
def genres(tmp_path_factory):
    """A task of crops of 10 s: six clips of 35 s a part."""
    root = tmp_path_factory.mktemp("xares")
    (root / "freemusicarchive").mkdir()
    for n, part in enumerate(("train", "valid", "test")):
        samples = [
            (f"{part}_{k}", "wav", wav(tone(k, 35, 4000), 4000), {"genre": ("Rock", "Pop")[k % 2]}) for k in range(6)
        ]
        write_tar(root / "freemusicarchive" / f"fma_small_{part}_00000{n}.tar", samples)
    return root


def task(name, root, preset, **switches):
    more = "".join(f",{k}={v}" for k, v in switches.items())
    return resolve_task(f"xares/{name}:data={root},protocol={preset}{more}")


def embed(task, rate=16_000, hop=160):
    """Frames of the sound's mean square, and a constant; pooled as the runner does."""
    outputs = []
    for item in task.items():
        x = item.inputs.render(rate)["clip"].samples[0]
        frames = x[: len(x) // hop * hop].reshape(-1, hop)
        e = np.stack([(frames**2).mean(1), np.full(len(frames), 0.5), np.abs(frames).mean(1)], axis=1)
        outputs.append(Embedded({"last": {"clip": pooling.pool(e[None].astype(np.float32))}}))
    return outputs


def lengths(task):
    return {i.base_id: i.inputs.render(16_000)["clip"].n for i in task.items()}


def test_padding_of_a_batch_is_pooled_over_in_the_faithful_preset_alone(esc50):
    """Section 4.2: all items of a batch are stored with one length, so short clips drown in zeros."""
    padded, real = lengths(task("esc50", esc50, FAITHFUL)), lengths(task("esc50", esc50, CLEAN))
    assert set(padded.values()) == {12_800}
    assert set(real.values()) == {3200, 12_800}
    power = {}
    for preset in (FAITHFUL, CLEAN):
        t = task("esc50", esc50, preset)
        power[preset] = {i.base_id: o.vectors["last"]["clip"][0] for i, o in zip(t.items(), embed(t), strict=True)}
    short = [k for k, n in real.items() if n == 3200]
    for k in short:
        assert power[FAITHFUL][k] == pytest.approx(power[CLEAN][k] / 4, rel=1e-3)


def test_the_padding_depends_on_the_neighbours_and_the_clean_preset_does_not(esc50):
    """The same clip with other clips in its batch: another vector in one preset, the same in the other."""
    for preset, moves in ((FAITHFUL, True), (CLEAN, False)):
        whole = task("esc50", esc50, preset)
        item = next(i for i in whole.items() if i.base_id.endswith("-A-0"))
        assert (len(item.inputs.peers) == 12) is moves


def test_most_crops_are_lost_in_the_faithful_preset_alone(genres):
    """Section 4.2: 18 crops are stored a part; those of one clip in one batch share a key, and one can be read."""
    crops = {p: [i.base_id for i in task("freemusicarchive", genres, p).items()] for p in (FAITHFUL, CLEAN)}
    assert len(crops[CLEAN]) == 3 * 18
    # Batches of 16: the sixth clip is cut by the boundary, so one more of its crops survives.
    assert len(crops[FAITHFUL]) == 3 * (6 + 1)
    assert {c for c in crops[FAITHFUL] if c.startswith("test/test_5")} == {"test/test_5#0", "test/test_5#1"}
    assert len(task("freemusicarchive", genres, FAITHFUL, crops="first").items()) == 18


def test_a_clip_shorter_than_a_crop_is_padded_to_it_in_the_faithful_preset_alone(tmp_path):
    """Section 4.2: crops are of one length; a clip of 4 s becomes 10 s of which 6 are zeros."""
    (tmp_path / "freemusicarchive").mkdir()
    for n, part in enumerate(("train", "valid", "test")):
        samples = [
            (f"{part}_{k}", "wav", wav(tone(k, s, 4000), 4000), {"genre": "Rock"}) for k, s in enumerate((4, 10))
        ]
        write_tar(tmp_path / "freemusicarchive" / f"fma_small_{part}_00000{n}.tar", samples)
    for preset, seconds in ((FAITHFUL, {10}), (CLEAN, {4, 10})):
        items = task("freemusicarchive", tmp_path, preset).items()
        assert {i.inputs.render(4000)["clip"].n / 4000 for i in items} == seconds


def test_each_switch_of_how_sounds_are_read_can_be_turned_by_itself(esc50, genres):
    """Section 4.11: in either preset, whatever the others are."""
    for preset in (FAITHFUL, CLEAN):
        padded, real = (set(lengths(task("esc50", esc50, preset, pad_frames=p)).values()) for p in ("keep", "trim"))
        assert (padded, real) == ({12_800}, {3200, 12_800})
        counts = [len(task("freemusicarchive", genres, preset, crops=c).items()) for c in ("xares", "first", "all")]
        assert counts == [21, 18, 54]
        sounds = []
        for name in ("sinc", "soxr"):
            items = {i.base_id: i for i in task("esc50", esc50, preset, resampler=name, pad_frames="trim").items()}
            sounds.append(items["1/1-100-A-0"].inputs.render(11_025)["clip"].samples)
        assert sounds[0].shape == sounds[1].shape
        assert 0 < np.abs(sounds[0] - sounds[1]).max() < 0.3  # other filters, the same sound
    ids = {
        str(task("esc50", esc50, CLEAN, **{k: v}).identity())
        for k, v in (("pad_frames", "keep"), ("pad_frames", "trim"), ("resampler", "sinc"))
    }
    assert len(ids) == 3


def test_a_crop_is_the_stretch_it_says_and_the_tail_is_dropped(genres):
    t = task("freemusicarchive", genres, CLEAN)
    item = next(i for i in t.items() if i.base_id == "test/test_1#2")
    own = next(i for i in t.items() if i.base_id == "test/test_1#0").inputs.source.load()
    got = item.inputs.render(4000)["clip"].samples
    assert np.array_equal(got, own.samples[:, 80_000:120_000])


def test_the_held_out_fold_is_chosen_on_in_the_faithful_preset_alone(esc50):
    """Section 4.3: of folds, the epoch is chosen on the part that is then scored."""
    for preset, leaks in ((FAITHFUL, True), (CLEAN, False)):
        t = task("esc50", esc50, preset)
        fitter = Fitter(t.collection, t.how, t.items())
        x = np.random.default_rng(0).standard_normal((len(t.items()), 3)).astype(np.float32)
        for fold in fitter.folds:
            inside, held = fitter.parts(fitter.heads[0], fold, 0)
            train, valid = x[inside], x[held]
            shared = {tuple(v) for v in valid} & {tuple(v) for v in x[fold.test]}
            assert bool(shared) is leaks
            assert not {tuple(v) for v in train} & {tuple(v) for v in valid}


def test_choosing_on_the_test_part_flatters_noise(esc50):
    """Vectors without any content: chosen on the fold that is scored they are above chance, chosen inside not."""
    mean = {}
    for select in ("published", "inner"):
        t = task("esc50", esc50, CLEAN, select_on=select, probes="xares-mlp", seeds="0", min_steps=120)
        values = []
        for draw in range(8):
            x = np.random.default_rng(draw).standard_normal((len(t.items()), 16)).astype(np.float32)
            rows = Fitter(t.collection, t.how, t.items()).rows(x, "last")
            values += [r.value for found in rows.values() for r in found if r.metric == "score"]
        mean[select] = np.mean(values)
    assert mean["published"] > mean["inner"] + 0.04


def test_groups_on_both_sides_stay_in_the_faithful_preset_alone(tmp_path):
    (tmp_path / "cremad").mkdir()
    for part in ("train", "valid", "test"):
        samples = [(f"{1001 + k}_{part}", "wav", wav(tone(k % 2, 0.1)), {"label": "HS"[k % 2]}) for k in range(8)]
        samples += [(f"{2000 + k}_{part}x", "wav", wav(tone(k % 2, 0.1)), {"label": "HS"[k % 2]}) for k in range(
            10 if part == "train" else 0)]  # fmt: skip
        write_tar(tmp_path / "cremad" / f"wds-audio-{part}-000000.tar", samples)
    kept = {}
    for preset in (FAITHFUL, CLEAN):
        t = task("cremad", tmp_path, preset)
        (fold,) = folds(t.collection, t.how, t.items())
        groups = [{t.items()[i].group for i in rows} for rows in (fold.train, fold.test)]
        kept[preset] = (len(fold.train), fold.dropped, len(groups[0] & groups[1]))
    assert kept == {FAITHFUL: (18, 0, 8), CLEAN: (10, 8, 0)}


def test_knn_and_seeds_and_means_by_preset():
    assert PROTOCOLS[FAITHFUL].probe_names == ("xares-mlp", "knn-xares")
    assert "knn-cosine" in PROTOCOLS[CLEAN].probe_names
    assert PROTOCOLS[FAITHFUL].seed_axis == (42,)
    assert len(PROTOCOLS[CLEAN].seed_axis) >= 5
    assert (PROTOCOLS[FAITHFUL].resampler, PROTOCOLS["xares-2026.04"].resampler) == ("sinc", "soxr")


def test_the_mean_is_over_folds_in_the_faithful_preset_alone(tmp_path):
    """Folds of unequal size: the score is the mean of the folds' scores, not the share of right answers."""
    (tmp_path / "ravdess").mkdir()
    for fold, n in enumerate((4, 8, 12, 24)):
        samples = [
            (f"03-{k:02d}-{fold}{k % 9 + 1}", "wav", wav(tone(k % 2 if fold else (k + 1) % 2, 0.1)),
             {"emotion": ("calm", "sad")[k % 2]})
            for k in range(n)
        ]  # fmt: skip
        write_tar(tmp_path / "ravdess" / f"ravdess_fold_{fold}_0000000.tar", samples)
    for preset in (FAITHFUL, CLEAN):
        t = task("ravdess", tmp_path, preset, probes="knn-cosine", apart=False)
        items = t.items()
        x = np.array([[i.target.labels == ("calm",), i.target.labels == ("sad",), 1] for i in items], np.float32)
        wrong = np.array([i.target.part == "0" for i in items])
        x[wrong, :2] = 1 - x[wrong, :2]
        rows = Fitter(t.collection, t.how, items).rows(x, "last")
        score = np.mean([r.value for f in rows.values() for r in f if r.metric == "score"])
        correct = np.mean([r.value for f in rows.values() for r in f if r.metric == "correct"])
        assert correct == pytest.approx(44 / 48)
        assert score == pytest.approx(3 / 4 if preset == FAITHFUL else 44 / 48)


def test_the_resampler_of_v013_is_torchaudios(esc50):
    """Its formula by direct summation, at one sample; and a length that rounds up."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(500) * 0.1
    y = sinc_resample(Audio(x[None].astype(np.float32), 44_100), 16_000).samples[0]
    assert len(y) == -(-500 * 160 // 441)
    cut, at = 160 * 0.99, 70
    t = np.clip((np.arange(500) / 441 - at / 160) * cut, -6, 6)
    expected = (x * np.sinc(t) * np.cos(np.pi * t / 12) ** 2 * cut / 441).sum()
    assert y[at] == pytest.approx(expected, abs=1e-6)
    assert task("esc50", esc50, FAITHFUL).items()[0].inputs.resampler == "sinc"
    assert task("esc50", esc50, CLEAN).items()[0].inputs.resampler == "soxr"


def test_wrong_switches_name_right_ones():
    for wrong in ({"pad_frames": "some"}, {"probes": "mlpp"}, {"seeds": "a"}, {"probes": ""}, {"seeds": "1 1"}):
        with pytest.raises(UsageError):
            protocol("clean", **wrong)
    with pytest.raises(UsageError, match=r"xares-0\.1\.3"):
        protocol("xares")
