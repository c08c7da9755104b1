"""wav2vec 2.0 and its relatives: our frames are the library's, bit for bit, and the checkpoint prepares the sound."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
import transformers

from otoscope.core.errors import InputError, ModelError, UsageError
from otoscope.models.resolve import resolve

FAMILIES = ["wav2vec2", "wav2vec2_stable", "wav2vec2_ctc", "hubert", "wavlm", "data2vec"]


def bare(folder, x: np.ndarray) -> tuple:
    """What the library alone gives for sounds ``[B, n]`` of one length."""
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    values = extractor(list(x), sampling_rate=16000, return_tensors="pt")["input_values"]
    with torch.no_grad():
        return model(values, output_hidden_states=True).hidden_states


@pytest.mark.parametrize("family", FAMILIES)
def test_every_layer_equals_the_bare_call_bit_for_bit(checkpoint, noise, family: str) -> None:
    folder = checkpoint(family)
    sounds = [noise(seed) for seed in range(3)]
    states = bare(folder, np.stack([s.samples[0] for s in sounds]))
    ours = resolve(f"{folder}:layer=all").encode(sounds)
    assert sorted(ours[0].frames) == [0, 1, 2]
    assert all(one.hop_s == 0.02 for one in ours)
    for row, one in enumerate(ours):
        for layer, frames in one.frames.items():
            assert frames.dtype == np.float32
            assert np.array_equal(frames[0], states[layer][row].numpy()), (family, layer, row)


def test_last_is_the_last_hidden_state(checkpoint, noise) -> None:
    one = resolve(str(checkpoint("hubert"))).encode([noise()], ["last", 2, -1])[0]
    assert np.array_equal(one.frames["last"], one.frames[2])


def test_numbered_layers_are_kept_only_where_they_are_wanted(checkpoint, noise, monkeypatch) -> None:
    view = resolve(str(checkpoint("hubert")))
    view.load()
    told, forward = [], type(view.network).forward
    monkeypatch.setattr(
        type(view.network),
        "forward",
        lambda self, *a, **k: told.append(k["output_hidden_states"]) or forward(self, *a, **k),
    )
    found = [view.encode([noise()], layers)[0].frames for layers in (["last"], ["all"], [1], ["last"])]
    assert told == [False, True, True, False]
    assert all(np.array_equal(found[0]["last"], f) for f in (found[1][2], found[3]["last"]))


def test_sounds_of_unequal_length_are_not_padded(checkpoint, noise) -> None:
    folder = checkpoint("wavlm")
    long, short = noise(1, 0.5), noise(2, 0.3)
    ours = resolve(str(folder)).encode([long, short, long])
    assert np.array_equal(ours[1].frames["last"][0], bare(folder, short.samples[:1])[-1][0].numpy())
    assert np.array_equal(ours[0].frames["last"], ours[2].frames["last"])


def test_the_feature_extractor_is_part_of_the_model(checkpoint, noise) -> None:
    folder = checkpoint("wav2vec2")
    quiet = noise()
    loud = type(quiet)(quiet.samples * 8.0, quiet.rate)
    on, off = resolve(f"{folder}:normalize=true"), resolve(f"{folder}:normalize=false")
    default = resolve(str(folder))
    assert np.array_equal(default.encode([quiet])[0].frames["last"], on.encode([quiet])[0].frames["last"])
    assert not np.allclose(on.encode([quiet])[0].frames["last"], off.encode([quiet])[0].frames["last"], atol=1e-3)
    a, b = on.encode([quiet, loud])
    np.testing.assert_allclose(a.frames["last"], b.frames["last"], atol=1e-4)  # level is normalised away
    assert on.identity() != off.identity()


def test_without_a_feature_extractor_the_default_normalises(checkpoint, noise, tmp_path) -> None:
    folder = shutil.copytree(checkpoint("wav2vec2"), tmp_path / "bare")
    (folder / "preprocessor_config.json").unlink()
    ours, whole = resolve(str(folder)), resolve(str(checkpoint("wav2vec2")))
    assert np.array_equal(ours.encode([noise()])[0].frames["last"], whole.encode([noise()])[0].frames["last"])
    assert ours.identity() != whole.identity()


def test_a_feature_extractor_inside_a_processor_config_is_found(checkpoint, noise, tmp_path) -> None:
    folder = shutil.copytree(checkpoint("wav2vec2_stable"), tmp_path / "processor")
    inner = (folder / "preprocessor_config.json").read_text()
    (folder / "preprocessor_config.json").unlink()
    (folder / "processor_config.json").write_text(f'{{"feature_extractor": {inner}}}')
    ours = resolve(str(folder)).encode([noise()])[0].frames["last"]
    whole = resolve(str(checkpoint("wav2vec2_stable"))).encode([noise()])[0].frames["last"]
    assert np.array_equal(ours, whole)  # do_normalize=False, which is not the default


def test_a_sound_shorter_than_one_frame_is_refused(checkpoint, noise) -> None:
    with pytest.raises(InputError, match="399 samples are fewer than one frame needs"):
        resolve(str(checkpoint("hubert"))).encode([noise(0, 399 / 16000)])
    assert resolve(str(checkpoint("hubert"))).encode([noise(0, 400 / 16000)])[0].frames["last"].shape[1] == 1


def test_weights_in_a_pytorch_file(checkpoint, noise, tmp_path) -> None:
    folder = shutil.copytree(checkpoint("wav2vec2"), tmp_path / "bin")
    model = transformers.AutoModel.from_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    ours = resolve(str(folder)).encode([noise()])[0].frames["last"]
    assert np.array_equal(ours, resolve(str(checkpoint("wav2vec2"))).encode([noise()])[0].frames["last"])


def test_a_pytorch_file_with_objects_is_not_unpickled(checkpoint, tmp_path) -> None:
    folder = shutil.copytree(checkpoint("wav2vec2"), tmp_path / "evil")
    (folder / "model.safetensors").unlink()
    torch.save({"module": torch.nn.ReLU()}, folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="cannot be loaded"):
        resolve(str(folder)).load()


def test_sharded_weights(checkpoint, noise, tmp_path) -> None:
    model = transformers.AutoModel.from_pretrained(checkpoint("hubert"))
    model.save_pretrained(tmp_path, max_shard_size="40KB")
    shutil.copy(checkpoint("hubert") / "preprocessor_config.json", tmp_path)
    shards = sorted(tmp_path.glob("model-*.safetensors"))
    assert len(shards) > 1
    ours = resolve(str(tmp_path)).encode([noise()])[0].frames["last"]
    assert np.array_equal(ours, resolve(str(checkpoint("hubert"))).encode([noise()])[0].frames["last"])
    shards[-1].unlink()
    with pytest.raises(ModelError, match=f"{shards[-1].name}: the file is missing"):
        resolve(str(tmp_path)).identity()


def test_a_checkpoint_without_some_of_its_weights_is_refused(checkpoint, tmp_path) -> None:
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(checkpoint("hubert"), tmp_path / "partial")
    state = load_file(folder / "model.safetensors")
    lost = next(k for k in sorted(state) if "layers.1" in k)
    save_file({k: v for k, v in state.items() if k != lost}, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="lacks 1 of its network's weights") as caught:
        resolve(str(folder)).load()
    assert lost in str(caught.value)


def test_options_of_another_family_are_refused(checkpoint) -> None:
    with pytest.raises(UsageError, match="has no parameter 'tokens'"):
        resolve(f"{checkpoint('hubert')}:tokens=cls")


def test_half_precision_is_another_identity(checkpoint, noise) -> None:
    folder = checkpoint("hubert")
    full, half = resolve(str(folder)), resolve(f"{folder}:dtype=bfloat16")
    a, b = full.encode([noise()])[0].frames["last"], half.encode([noise()])[0].frames["last"]
    assert b.dtype == np.float32
    assert not np.array_equal(a, b)
    np.testing.assert_allclose(a, b, atol=0.2)
    assert full.identity() != half.identity()
