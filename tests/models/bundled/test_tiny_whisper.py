"""The encoders before and after UniWhisper's recipe: the contract, what they are made of, and other software."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from otoscope.audio.corpus import read_manifest
from otoscope.core.naming import parse_spec
from otoscope.models.bundled.tiny_whisper import WEIGHTS, about
from otoscope.models.conformance import check
from otoscope.models.resolve import random_twin, resolve

NAMES = ("tiny-whisper-base", "tiny-uniwhisper")
MANIFEST = Path(__file__).parents[3].parent / "shared" / "audio" / "manifest.jsonl"


@pytest.mark.parametrize("name", NAMES)
def test_the_contract_holds(name: str) -> None:
    assert [c.name for c in check(name) if c.status == "failed"] == []
    assert resolve(name).card.licence == "CC BY-SA 4.0"
    assert resolve(name).identity() != resolve(random_twin(parse_spec(name), 3)).identity()


def test_together_they_are_small_and_differ() -> None:
    files = [WEIGHTS / name / "model.safetensors" for name in NAMES]
    assert sum(f.stat().st_size for f in files) < 12_000_000
    assert files[0].read_bytes() != files[1].read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_what_it_was_trained_on_is_listed(name: str) -> None:
    facts = about(name)
    first, last = facts["curve"][0], facts["curve"][-1]
    assert facts["steps"] == last["step"]
    assert all(last["loss"][task] < 0.3 * first["loss"][task] for task in last["loss"])
    assert all(len(sha) == 64 for sha in facts["trained_on_sha256"])


@pytest.mark.parametrize("name", NAMES)
def test_other_software_reads_the_same_encoder(name: str) -> None:
    """Every tensor of the encoder comes from the file, and ``transformers`` alone gives the states that we give."""
    from transformers import WhisperFeatureExtractor
    from transformers.models.whisper.modeling_whisper import WhisperEncoder, WhisperModel

    from otoscope.core.audio import Audio

    model, told = WhisperModel.from_pretrained(WEIGHTS / name, dtype=torch.float32, output_loading_info=True)
    assert not [k for k in told["missing_keys"] if k.startswith("encoder.")]
    encoder: WhisperEncoder = model.get_encoder().eval()
    wave = torch.sin(torch.arange(16_000) * 0.2).numpy()
    mel = WhisperFeatureExtractor.from_pretrained(WEIGHTS / name)(wave, sampling_rate=16_000, return_tensors="pt")
    with torch.no_grad():
        theirs = encoder(mel.input_features).last_hidden_state[0, :50]
    ours = resolve(name).encode([Audio(wave[None].astype("float32"), 16_000)])[0]
    assert torch.allclose(torch.as_tensor(ours.frames[resolve(name).card.layers[-1]])[0], theirs, atol=1e-4)


@pytest.mark.skipif(not MANIFEST.is_file(), reason="the shared recordings are not beside the checkout")
def test_a_fold_of_the_sounds_was_held_out_and_the_base_heard_none() -> None:
    clips = {c.sha256: c for c in read_manifest(MANIFEST)}
    before, after = ([clips[sha] for sha in about(name)["trained_on_sha256"]] for name in NAMES)
    assert {c.corpus for c in before} == {"fsdd"}
    assert {c.corpus for c in after} == {"fsdd", "esc10"}
    assert {c.labels["fold"] for c in after if c.corpus == "esc10"} == {1, 2, 3}
