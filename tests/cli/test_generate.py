"""``otoscope generate``: an answer about one's own file, without and with an intervention."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile as sf


def generate(*args):
    command = [sys.executable, "-m", "otoscope", "generate", *map(str, args)]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    found = subprocess.run(command, capture_output=True, text=True, env=env, timeout=240)
    assert "Traceback" not in found.stderr, found.stderr
    return found


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Stereo at another rate than the model's."""
    path = tmp_path_factory.mktemp("sound") / "mine.wav"
    x = 0.1 * np.random.default_rng(0).standard_normal((2 * 22_050, 2))
    sf.write(path, x.astype(np.float32), 22_050)
    return path


def test_the_bare_answer_and_one_under_pruning(written, sound) -> None:
    asked = ("--ask", "what do you hear?", "--max-new-tokens", 4, "--intervention", "prune/frame:keep=0.5")
    found = generate(written("qwen2_5_omni"), sound, *asked, "--json")
    assert found.returncode == 0, found.stderr
    bare, pruned = json.loads(found.stdout)
    assert (bare["intervention"], pruned["intervention"]) == ("none", "prune/frame:keep=0.5")
    assert bare["tokens"]["audio"] == pruned["tokens"]["audio"] == pruned["did"]["audio_tokens"]
    assert pruned["did"]["kept_audio_tokens"] == -(-bare["tokens"]["audio"] // 2)
    assert pruned["did"]["cache_bytes"] > 0
    assert {"features", "encoder", "prefill", "decode"} <= set(bare["seconds"])
    printed = generate(written("qwen2_5_omni"), sound, *asked)
    assert printed.returncode == 0
    assert "kept audio tokens" in printed.stdout
    assert "time to first token" in printed.stdout


@pytest.mark.parametrize(
    ("change", "code", "word"),
    [
        ({"model": "logmel-ipd"}, 2, "answers no questions"),
        ({"audio": "absent.wav"}, 3, "absent.wav"),
        ({"more": ("--intervention", "prune/fram")}, 2, "prune/frame"),
        ({"more": ("--intervention", "prune/frame:keep=2")}, 2, "keep=2"),
    ],
)
def test_mistakes(written, sound, change, code, word) -> None:
    model, audio = change.get("model", written("qwen2_5_omni")), change.get("audio", sound)
    found = generate(model, audio, "--ask", "what?", "--max-new-tokens", 1, *change.get("more", ()))
    assert found.returncode == code, found.stderr
    assert word in found.stderr


def test_a_pruner_and_an_evictor_at_once(written, sound) -> None:
    both = "prune/frame:keep=0.5+evict/knorm:keep=0.4"
    asked = ("--ask", "what?", "--max-new-tokens", 4, "--intervention", both)
    found = generate(written("qwen2_5_omni"), sound, *asked, "--json")
    assert found.returncode == 0, found.stderr
    bare, under = json.loads(found.stdout)
    did = under["did"]
    assert under["intervention"] == both
    assert did["kept_audio_tokens"] == -(-bare["tokens"]["audio"] // 2)
    assert did["cache_bytes_after"] < 0.5 * did["cache_bytes_before"]
    assert did["cache_bytes"] < bare["did"]["cache_bytes"]
    twice = generate(written("qwen2_5_omni"), sound, *asked[:-1], "evict/knorm+evict/tova")
    assert twice.returncode == 2
    assert "cannot both evict" in twice.stderr
