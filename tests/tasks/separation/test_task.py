"""Items of the task: what is drawn, what is asked, what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

from otoscope.audio import io
from otoscope.audio.corpus import Clip, write_manifest
from otoscope.core.audio import Audio
from otoscope.core.errors import InputError, UsageError
from otoscope.core.identity import digest, file_digest, jsonable
from otoscope.core.nouns import Card, Separated, Stems
from otoscope.tasks.catalogue import resolve_condition, resolve_task
from otoscope.tasks.separation import sources
from otoscope.tasks.separation.metrics import METRICS, separation_rows
from otoscope.tasks.separation.mixtures import TIERS
from otoscope.tasks.separation.words import read_words

SEPARATOR = Card("s", "separator", "", rate=16000, channels=1)


@pytest.mark.parametrize("tier", TIERS)
def test_items_of_every_tier_from_the_package_alone(tier) -> None:
    task = resolve_task(f"separation:tier={tier},n_items=6,overlap=0.5,prompt=both,snr_db=3,seed=2")
    items = task.items()
    assert len({i.id for i in items}) == len({i.base_id for i in items}) == 6
    json.dumps(jsonable(task.identity()))
    for item in items:
        request = task.request(item, SEPARATOR)
        assert request.against_bare
        assert request.prompt.text == item.prompt
        (span,) = request.prompt.spans
        signals = item.inputs.render(16000)
        assert np.array_equal(signals["mixture"].samples, signals["target"].samples + signals["residual"].samples)
        on = np.flatnonzero(signals["target"].samples[0]) / 16000
        assert span.start_s - 1 / 16000 <= on[0]
        assert on[-1] <= span.end_s + 1 / 16000
        assert span.end_s - on[-1] < 0.2
        assert item.factors["tier"] == tier
        assert len(item.group.split("+")) == 2
    again = resolve_task(f"separation:tier={tier},n_items=3,overlap=0.5,prompt=both,snr_db=3,seed=2")
    assert [i.describe() for i in again.items()] == [i.describe() for i in items[:3]]  # more items only append
    assert digest(again.identity()) == digest(task.identity())
    assert {i.factors["target"] for i in items} <= {"woman", "man", "speech", "sound"}


def test_the_target_is_either_and_the_prompt_says_which() -> None:
    items = resolve_task("separation:n_items=30").items()
    said = {(i.factors["target"], i.prompt) for i in items}
    assert said == {("woman", "woman speaking"), ("man", "man speaking")}
    for item in items:
        (target, other) = (item.inputs.target.group, item.inputs.other.group)
        assert target.split(":")[1][0] == {"woman": "f", "man": "m"}[item.factors["target"]]
        assert target.split(":")[1][0] != other.split(":")[1][0]
    events = resolve_task("separation:tier=environmental,n_items=40").items()
    assert all(i.inputs.target.label != i.inputs.other.label for i in events)


def test_the_noisy_tier_is_the_clean_one_in_noise() -> None:
    clean, noisy = (resolve_task(f"separation:tier={t},n_items=4").items() for t in ("clean", "noisy"))
    for a, b in zip(clean, noisy, strict=True):
        assert (a.inputs.target, a.inputs.other, a.prompt) == (b.inputs.target, b.inputs.other, b.prompt)
        x, y = (i.inputs.render(16000) for i in (a, b))
        gain = np.linalg.norm(y["target"].samples) / np.linalg.norm(x["target"].samples)
        only = y["residual"].samples - gain * x["residual"].samples
        ratio = 20 * np.log10(np.linalg.norm(y["target"].samples) / np.linalg.norm(only))
        assert ratio == pytest.approx(5.0, abs=0.01)
        power = np.abs(np.fft.rfft(only[0])) ** 2
        assert power[: len(power) // 2].sum() == pytest.approx(power[len(power) // 2 :].sum(), rel=0.05)  # white


def test_pairs_of_the_panel_share_no_voice_and_are_asked_for_both_alike() -> None:
    items = resolve_task("separation:split=panel,n_items=32").items()
    assert len({i.group for i in items}) == 16
    assert len({voice for i in items for voice in i.group.split("+")}) == 32
    for sex, kind in (("f", "woman"), ("m", "man")):
        asked = [i for i in items if i.factors["target"] == kind]
        assert len({i.group for i in asked}) == len(asked) == 16  # 2 / 2^16: the least p of sign flips over them
        assert all(i.inputs.target.group.split(":")[1][:2] == f"p{sex}" for i in asked)
    fewer = resolve_task("separation:split=panel,n_items=5").items()
    assert [i.describe() for i in fewer] == [i.describe() for i in items[:5]]
    known = {voice for i in resolve_task("separation:n_items=60").items() for voice in i.group.split("+")}
    assert not known & {voice for i in items for voice in i.group.split("+")}
    sound = resolve_task("separation:tier=speech-sound,split=panel,n_items=4").items()
    assert any("speech-panel" in i.group for i in sound)


def test_a_span_prompt_has_no_words_and_a_text_prompt_no_spans() -> None:
    task = resolve_task("separation:overlap=0.25,prompt=span,n_items=1")
    assert task.request(task.items()[0], SEPARATOR).prompt.text == ""
    task = resolve_task("separation:n_items=1")
    assert task.request(task.items()[0], SEPARATOR).prompt.spans == ()


def test_who_is_asked() -> None:
    task = resolve_task("separation")
    assert task.accepts(SEPARATOR) is None
    for kind in ("encoder", "observer"):
        assert "needs a separator" in task.accepts(Card("e", kind, "", rate=16000, channels=1))
    fixed = Card("s", "separator", "", rate=16000, channels=1, fixed_duration_s=10.0)
    assert "duration_s=10" in task.accepts(fixed)
    for name in ("bmld", "bmld/threshold", "bmld/speech"):
        assert resolve_task(name).accepts(SEPARATOR)
    assert task.refuses("intact", SEPARATOR) is None
    for rung in ("vocoder", "mel-equalised+phase-only"):
        assert "triplets" in task.refuses(resolve_condition(rung).label, SEPARATOR)


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ("tier=cleen", "no tier"),
        ("prompt=voice", "no prompt"),
        ("prompt=span", "Set overlap below 1"),
        ("n_items=0", "n_items"),
        ("overlap=2", "overlap"),
        ("split=1", "no split 1"),
        ("sounds=x", "speech-sound"),
        ("n_item=3", "n_items"),
    ],
)
def test_wrong_parameters(params, says) -> None:
    with pytest.raises(UsageError, match=says):
        resolve_task(f"separation:{params}")


# --- one's own data ---------------------------------------------------------------------------------------------


def corpus(folder, *rows):
    clips = []
    for k, (name, labels, group) in enumerate(rows):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        x = 0.1 * np.random.default_rng(k).standard_normal((1, 8000))
        io.write(path, Audio(x.astype(np.float32), 8000))
        clips.append(Clip(path, name, 1.0, 8000, 1, file_digest(path), labels, group))
    write_manifest(folder / "manifest.jsonl", clips)
    return folder


def test_voices_of_ones_own_and_what_they_lack(tmp_path) -> None:
    rows = [
        (f"{g}{k}.wav", {"transcript": "x", "sex": s}, g) for g, s in (("a", "female"), ("b", "male")) for k in "12"
    ]
    task = resolve_task(f"separation:data={corpus(tmp_path / 'both', *rows)},n_items=2")
    item = task.items()[0]
    assert item.group == "a+b"
    assert item.factors["source"] == "recorded"
    assert len(item.inputs.target.clips) == 2  # 4 s are wanted: all of the two seconds are used, and repeated
    assert item.inputs.render(16000)["mixture"].n == 64000
    men = corpus(tmp_path / "men", ("c.wav", {"transcript": "x", "sex": "male"}, "c"))
    with pytest.raises(InputError, match="0 women and 1 men"):
        resolve_task(f"separation:data={men}").identity()
    with pytest.raises(InputError, match="holds no sound with a class"):
        resolve_task(f"separation:data={men},tier=environmental").items()


def test_a_changed_file_is_another_item(tmp_path) -> None:
    rows = [("dog/a.wav", {"sound": "dog"}, "a"), ("rain/b.wav", {"sound": "rain"}, "b")]
    for name in ("first", "second"):
        folder = corpus(tmp_path / name, *rows)
        (folder / "manifest.jsonl").unlink()
    io.write(tmp_path / "second" / "dog" / "a.wav", Audio(0.1 * np.ones((1, 8000), dtype=np.float32), 8000))
    one, two = (
        resolve_task(f"separation:tier=environmental,data={tmp_path / n},n_items=1").items()[0]
        for n in ("first", "second")
    )
    assert one.base_id == two.base_id
    assert one.id != two.id
    assert one.prompt in ("dog barking", "rain")


def test_one_class_is_not_enough(tmp_path) -> None:
    for k in range(2):
        path = tmp_path / "rain" / f"{k}.wav"
        path.parent.mkdir(exist_ok=True)
        io.write(path, Audio(0.1 * np.ones((1, 8000), dtype=np.float32), 8000))
    with pytest.raises(InputError, match="no second one"):
        resolve_task(f"separation:tier=environmental,data={tmp_path}").items()


def test_digits_against_sounds_of_another_folder(tmp_path) -> None:
    speech = corpus(tmp_path / "speech", ("d.wav", {"transcript": "one", "digit": 1}, "a"))
    noise = corpus(tmp_path / "noise", ("e.wav", {"sound": "Coffee_Machine"}, "e"))
    items = resolve_task(f"separation:tier=speech-sound,data={speech},sounds={noise},n_items=12").items()
    assert {i.prompt for i in items} == {"speech", "coffee machine"}


def test_words_can_be_replaced(tmp_path) -> None:
    mine = tmp_path / "words.toml"
    mine.write_text('[speech]\nfemale = "a lady"\nmale = "a gentleman"\nany = "talk"\n')
    task = resolve_task(f"separation:words={mine},n_items=8")
    assert {i.prompt for i in task.items()} == {"a lady", "a gentleman"}
    assert digest(task.identity()) != digest(resolve_task("separation").identity())
    mine.write_text('[speech]\nfemale = "a lady"\n')
    with pytest.raises(InputError, match="lacks 'male'"):
        read_words(str(mine))
    mine.write_text("[speech\n")
    with pytest.raises(InputError, match="cannot be read"):
        read_words(str(mine))


# --- rows -------------------------------------------------------------------------------------------------------


def rows_of(output, speech=True):
    return {r.metric: r for r in separation_rows(output, speech=speech)}


def stems(target, residual, latents=None):
    return Stems(Audio(target, 16000), Audio(residual, 16000), latents, 3)


def test_rows_of_a_silent_stem_and_of_an_equal_one() -> None:
    task = resolve_task("separation:n_items=1")
    signals = task.items()[0].inputs.render(16000)
    x = signals["mixture"].samples
    silent = stems(0 * x, x)
    rows = rows_of(Separated(silent, signals, silent))
    for metric in (
        "si_sdr_db",
        "si_sdri_db",
        "si_snr_db",
        "sdr_db",
        "sir_db",
        "sar_db",
        "stoi",
        "pesq",
        "fidelity_stoi",
    ):
        assert rows[metric].value is None
        assert rows[metric].status == "undefined"
        assert "silent" in rows[metric].note or "not installed" in rows[metric].note
    assert rows["evaluations"].value == 3.0
    assert rows["saved_flops"].value == 0.0
    assert "no latents" in rows["latent_cosine"].note
    assert set(rows) <= {m.name for m in METRICS}
    mixed = stems(x, 0 * x)
    rows = rows_of(Separated(mixed, signals, mixed))
    assert rows["si_sdri_db"].value == 0.0
    assert "itself" in rows["fidelity_si_sdr_db"].note
    assert "pesq" not in rows_of(Separated(mixed, signals, mixed), speech=False)


def test_rows_against_the_unmodified_output_and_of_what_was_done() -> None:
    signals = resolve_task("separation:n_items=1").items()[0].inputs.render(16000)
    x, t = signals["mixture"].samples, signals["target"].samples
    latents = np.ones((4, 2), dtype=np.float32)
    bare = stems(t, x - t, latents)
    turned = latents.copy()
    turned[:, 1] = -1.0
    done = {"saved_flops": 0.1, "frozen_layers": 3.0, "ratio": float("nan")}
    rows = rows_of(Separated(stems(x, 0 * x, turned), signals, bare, done))
    assert rows["latent_cosine"].value == pytest.approx(0.0)
    assert rows["fidelity_si_sdr_db"].value == pytest.approx(rows["si_sdr_db"].value)  # the bare output is the truth
    assert (rows["saved_flops"].value, rows["frozen_layers"].value) == (0.1, 3.0)
    assert rows["ratio"].status == "undefined"
    assert "saved_self_attention" not in rows  # not said, not claimed
    with pytest.raises(InputError, match="'stoi'"):
        rows_of(Separated(bare, signals, bare, {"stoi": 1.0}))


def test_data_without_the_presets_splits_are_halved_by_recording(tmp_path) -> None:
    for k in range(12):
        file = tmp_path / ("dog", "rain")[k % 2] / f"{k}.wav"
        file.parent.mkdir(exist_ok=True)
        soundfile.write(file, np.random.default_rng(k).uniform(-0.1, 0.1, 800), 8000)
    train, test, panel, every = (
        {c.path.name for c in sources.sounds(str(tmp_path), split).clips} for split in ("train", "test", "panel", None)
    )
    assert train
    assert test == panel
    assert train.isdisjoint(test)
    assert train | test == every == {f"{k}.wav" for k in range(12)}
