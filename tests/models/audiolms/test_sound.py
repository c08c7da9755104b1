"""What goes in: long clips are heard whole or refused, and so is whatever does not fit."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch

from otoscope.core.audio import Audio
from otoscope.core.errors import InputError, ModelError, UsageError
from otoscope.core.nouns import Prompt
from otoscope.models.resolve import load

#: Tokens of 45 s, or None where they are refused.
FORTY_FIVE = {"qwen2_audio": None, "qwen2_5_omni": 1125, "voxtral": 750, "audioflamingo3": 1125, "phi4_multimodal": 563}


def other_end(sound: Audio, seconds: float) -> Audio:
    """Another last stretch."""
    x, n = sound.samples.copy(), round(seconds * sound.rate)
    x[:, -n:] = 0.2 * np.sin(np.arange(n, dtype=np.float32))
    return Audio(x, sound.rate)


def test_forty_five_seconds(family, model, clip) -> None:
    """Heard whole (the end of the clip changes what its tokens say), or refused."""
    lm, sound = model(family), clip(1, 45.0)
    if FORTY_FIVE[family] is None:
        with pytest.raises(
            InputError, match=r"prompt 0: clip 0 lasts 45.00 s, and Qwen2-Audio hears 30 s.*nothing is cut"
        ):
            lm.generate([Prompt("what?", (sound,))], 1)
        assert lm.card.extra["limit_s"] == 30.0
        return
    assert lm.card.extra["limit_s"] is None or lm.card.extra["limit_s"] > 45
    seen = []
    layer = lm.network.get_decoder().layers[0]
    handle = layer.register_forward_pre_hook(lambda m, args: seen.append(args[0][0].clone()))
    try:
        first, second = (lm.generate([Prompt("what?", (x,))], 1)[0] for x in (sound, other_end(sound, 0.5)))
    finally:
        handle.remove()
    assert first.tokens.audio == second.tokens.audio == FORTY_FIVE[family]
    start, stop = first.spans[0]
    changed = (seen[0] - seen[1])[start:stop].abs().amax(-1)
    at = 45 if family != "voxtral" else 60  # Voxtral's tokens go on to the end of the window
    half = changed[round((44.5 / at) * len(changed)) : round((45 / at) * len(changed))]
    assert half.min() > 1e-3


def test_thirty_seconds_are_the_limit_of_qwen2_audio(model, clip) -> None:
    lm = model("qwen2_audio")
    assert lm.generate([Prompt("?", (clip(0, 30.0),))], 1)[0].tokens.audio == 750
    one_more = Audio(np.zeros((1, 480_001), np.float32), 16_000)
    with pytest.raises(InputError, match=r"lasts 30\.00 s"):
        lm.generate([Prompt("?", (one_more,))], 1)


def test_omni_hears_more_than_its_extractors_window(model, clip) -> None:
    """Frames within the window are those of the short clip; what comes after is there as well."""
    lm = model("qwen2_5_omni")
    long, whole = clip(3, 310.0), lm.family.extractor.n_samples
    heard = lm.family.hear([long.samples[0], long.samples[0, :16_000]])
    assert heard.tokens == (7750, 25)
    assert heard.inputs["feature_attention_mask"].sum(-1).tolist() == [31_000, 100]
    within = lm.family.hear([long.samples[0, :whole]])
    features = heard.inputs["input_features"][0]
    # The extractor's floor depends on the loudest frame, which is in the first 300 s here.
    same = (features[:, :29_990] - within.inputs["input_features"][0, :, :29_990]).abs().max()
    assert same < 1e-5
    assert features[:, 30_000:31_000].std() > 0.1


def test_flamingo_stops_at_ten_minutes(model, written, tmp_path, clip) -> None:
    lm = model("audioflamingo3")
    assert lm.card.extra["limit_s"] == 600.0
    with pytest.raises(InputError, match=r"lasts 600.50 s, and Audio Flamingo 3 hears 600 s"):
        lm.generate([Prompt("?", (Audio(np.zeros((1, 9_608_000), np.float32), 16_000),))], 1)
    folder = shutil.copytree(written("audioflamingo3"), tmp_path / "shorter")
    path = folder / "processor_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "max_audio_len": 60}))
    with pytest.raises(InputError, match="hears 60 s"):
        load(str(folder)).generate([Prompt("?", (clip(0, 61.0),))], 1)


def test_windows_of_flamingo_at_the_seam(model, written, clip) -> None:
    """One sample more than a window is another window, with no token."""
    family = model("audioflamingo3").family
    x = clip(0, 30.1).samples[0]
    for n, tokens, windows in ((480_000, 750, 1), (480_001, 750, 2), (480_800, 751, 2)):
        heard = family.hear([x[:n]])
        assert (heard.tokens, len(heard.inputs["input_features"])) == ((tokens,), windows)


def test_what_the_decoder_has_no_room_for(model, clip) -> None:
    """8192 positions; 330 s are 8250 tokens of Qwen2.5-Omni."""
    with pytest.raises(
        InputError, match=r"prompt 0 has 83\d\d tokens \(8250 of sound\).*8192 positions.*nothing is cut"
    ):
        model("qwen2_5_omni").generate([Prompt("?", (clip(0, 330.0),))], 1)
    short = Prompt("?", (clip(0, 1.0),))
    n = model("qwen2_audio").prepare([short]).width
    model("qwen2_audio").prepare([short], 8192 - n)
    with pytest.raises(InputError, match="positions of the decoder"):
        model("qwen2_audio").prepare([short], 8192 - n + 1)


def test_wrong_sound(family, model, clip) -> None:
    lm, good = model(family), Prompt("?", (clip(0, 1.0),))
    for bad, match in (
        (clip(0, 1.0, rate=44_100), r"prompt 1: clip 0 is Audio.*44100 Hz.*takes one channel at 16000 Hz"),
        (clip(0, 1.0, channels=2), r"prompt 1: clip 0 is Audio\(2 ch"),
        (clip(0, 0.02), r"prompt 1: clip 0 has 320 samples, fewer than 400"),
    ):
        with pytest.raises(InputError, match=match):
            lm.generate([good, Prompt("?", (bad,))], 1)


def test_the_shortest_clips(family, model, clip) -> None:
    """From 25 ms on a clip becomes tokens, or is refused for becoming too few."""
    enough = 1100 if family == "qwen2_audio" else 400
    x = clip(0, 1.0).samples
    for n in (400, 480, 640, 960, 1100):
        prompt = Prompt("?", (Audio(x[:, :n], 16_000),))
        if n < enough:
            with pytest.raises(InputError, match=r"too short, it becomes [01] token"):
                model(family).generate([prompt], 1)
        else:
            assert model(family).generate([prompt], 1)[0].tokens.audio >= 1


def test_wrong_prompts(family, model, clip) -> None:
    lm, sound = model(family), clip(0, 1.0)
    for text, system in ((lm.family.placeholder, None), ("?", f"you hear {lm.family.placeholder}")):
        with pytest.raises(InputError, match="which stands for sound"):
            lm.generate([Prompt(text, (sound,), system)], 1)
    with pytest.raises(UsageError, match="there is no prompt"):
        lm.generate([], 1)
    for n in (0, -1, True, 1.5):
        with pytest.raises(UsageError, match="max_new_tokens"):
            lm.generate([Prompt("?", (sound,))], n)


def test_one_clip_in_flamingo(model, clip) -> None:
    with pytest.raises(InputError, match="2 clips, and Audio Flamingo 3 hears one per prompt"):
        model("audioflamingo3").generate([Prompt("?", (clip(0, 1.0), clip(1, 1.0)))], 1)


def test_no_system_message_before_sound_in_voxtral(model, clip) -> None:
    with pytest.raises(InputError, match=r"no system message together with sound.*Put it into the text"):
        model("voxtral").generate([Prompt("?", (clip(0, 1.0),), "be brief")], 1)
    assert model("voxtral").card.extra["system_before_sound"] is False


def test_what_breaks_inside_is_a_model_error(model, clip, monkeypatch) -> None:
    lm = model("qwen2_audio")
    whole = lm.family.hear([clip(0, 1.0).samples[0]])
    fewer = {**whole.inputs, "feature_attention_mask": torch.zeros_like(whole.inputs["feature_attention_mask"])}
    monkeypatch.setattr(lm.family, "hear", lambda clips: type(whole)(fewer, whole.tokens))
    with pytest.raises(ModelError, match=r"failed on 1 prompt\(s\).*do not match"):
        lm.generate([Prompt("?", (clip(0, 1.0),))], 1)
