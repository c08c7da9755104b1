"""Networks that no family knows, and checkpoints that bring their own code."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
import transformers

from otoscope.core.errors import ModelError
from otoscope.models.resolve import resolve

EARS = """
import torch
from transformers import PretrainedConfig, PreTrainedModel


class EarsConfig(PretrainedConfig):
    model_type = "ears"

    def __init__(self, width=8, **more):
        self.width = width
        super().__init__(**more)


class EarsModel(PreTrainedModel):
    config_class = EarsConfig

    def __init__(self, config):
        super().__init__(config)
        self.conv = torch.nn.Conv1d(1, config.width, 400, 160)
        self.post_init()

    def _init_weights(self, module):
        pass

    def forward(self, input_values):
        b, c, n = input_values.shape
        h = self.conv(input_values.reshape(b * c, 1, n)).transpose(1, 2)
        return (h.reshape(b, c, *h.shape[1:]),)
"""


def test_hidden_states_of_an_unknown_family(checkpoint, noise) -> None:
    folder = checkpoint("wav2vec2_bert")
    sound = noise(9, 0.507)  # an odd number of spectra: the feature extractor completes a pair
    one = resolve(f"{folder}:layer=all").encode([sound])[0]
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    inputs = extractor([sound.samples[0]], sampling_rate=16000, return_tensors="pt")
    model = transformers.AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        out = model(**inputs, output_hidden_states=True)
    assert list(one.frames) == [0, 1, 2, "last"]
    real = int(inputs["attention_mask"].sum())
    for layer, frames in one.frames.items():
        state = out.last_hidden_state if layer == "last" else out.hidden_states[layer]
        assert np.array_equal(frames[0], state[0, :real].numpy())


def test_without_a_feature_extractor_an_adapter_is_asked_for(checkpoint, tmp_path) -> None:
    folder = shutil.copytree(checkpoint("wav2vec2_bert"), tmp_path / "bare")
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(ModelError, match=r"has no feature extractor.*file:my_model.py#MyModel"):
        resolve(str(folder))


def test_a_network_that_is_no_audio_encoder_is_refused_in_one_line(tmp_path, noise) -> None:
    config = transformers.ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=1, intermediate_size=16)
    transformers.ViTModel(config).save_pretrained(tmp_path)
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(tmp_path)
    with pytest.raises(ModelError) as caught:
        resolve(str(tmp_path)).encode([noise()])
    assert "\n" not in str(caught.value)


@pytest.fixture
def ears(tmp_path, change_json):
    """A two-channel checkpoint with its own modelling file."""
    from importlib.util import module_from_spec, spec_from_file_location

    (tmp_path / "modeling_ears.py").write_text(EARS)
    spec = spec_from_file_location("ears_for_test", tmp_path / "modeling_ears.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    torch.manual_seed(1)
    model = module.EarsModel(module.EarsConfig()).eval()
    model.save_pretrained(tmp_path)
    transformers.EncodecFeatureExtractor(feature_size=2, sampling_rate=16000).save_pretrained(tmp_path)
    auto = {"AutoConfig": "modeling_ears.EarsConfig", "AutoModel": "modeling_ears.EarsModel"}
    change_json(tmp_path / "config.json", auto_map=auto)
    return tmp_path, model


def test_remote_code_needs_trust(ears) -> None:
    with pytest.raises(ModelError, match=r"runs its own Python code.*--trust-remote-code"):
        resolve(str(ears[0]))


def test_trusted_code_runs_and_keeps_its_channel_axis(ears, noise) -> None:
    folder, bare = ears
    sound = noise(2)
    model = resolve(f"{folder}:channels=2", trust_remote_code=True)
    assert model.card.channels == 2
    frames = model.encode([sound])[0].frames["last"]
    with torch.no_grad():
        assert np.array_equal(frames, bare(torch.tensor(sound.samples[None]))[0][0].numpy())
    assert frames.shape[0] == 2


def test_the_code_is_part_of_the_identity(ears) -> None:
    folder, _ = ears
    before = resolve(f"{folder}:channels=2", trust_remote_code=True).identity()
    path = folder / "modeling_ears.py"
    path.write_text(path.read_text() + "\n# changed\n")
    assert resolve(f"{folder}:channels=2", trust_remote_code=True).identity() != before


def test_code_in_another_repository_is_refused(ears, change_json) -> None:
    auto = {
        "AutoConfig": "someone/else--modeling_ears.EarsConfig",
        "AutoModel": "someone/else--modeling_ears.EarsModel",
    }
    change_json(ears[0] / "config.json", auto_map=auto)
    with pytest.raises(ModelError, match="another repository"):
        resolve(f"{ears[0]}:channels=2", trust_remote_code=True)
