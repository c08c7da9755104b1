"""Files: what is here is used, what is missing is named in one line."""

from __future__ import annotations

import shutil
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest

from otoscope.core.errors import ModelError
from otoscope.models.encoders.hf_files import in_folder, locate
from otoscope.models.resolve import resolve

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    """An empty cache, and a hub that cannot be reached whether or not this machine has a network."""
    calls: list[str] = []

    def refuse(self, repo, **more):
        calls.append(repo)
        raise ConnectionError("Name or service not known\nsecond line")

    cache = tmp_path / "cache"
    cache.mkdir()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", refuse)
    return cache, calls


def put_in_cache(cache: Path, repo: str, source: Path, names: list[str], commit: str = COMMIT) -> Path:
    home = cache / ("models--" + repo.replace("/", "--"))
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text(commit)
    folder = home / "snapshots" / commit
    folder.mkdir(parents=True)
    for name in names:
        shutil.copy(source / name, folder / name)
    return folder


def test_a_missing_checkpoint_is_one_line_with_the_way_to_get_it(no_network) -> None:
    model = resolve("hubert-large:layer=12")
    assert model.card.licence == "Apache-2.0"  # the card needs no file
    with pytest.raises(ModelError) as caught:
        model.identity()
    text = str(caught.value)
    assert "\n" not in text
    for part in (
        "config.json and model.safetensors of facebook/hubert-large-ll60k",
        "licence: Apache-2.0",
        "hf download facebook/hubert-large-ll60k",
        "path=FOLDER",
    ):
        assert part in text
    with pytest.raises(ModelError):
        model.load()
    assert no_network[1] == ["facebook/hubert-large-ll60k"]  # asked once, not at every turn


def test_a_pinned_revision_is_in_the_advice(no_network) -> None:
    with pytest.raises(ModelError, match=f"--revision {COMMIT}"):
        resolve(f"mimi:revision={COMMIT}").identity()


def test_an_unknown_hub_id_is_one_line(no_network) -> None:
    with pytest.raises(
        ModelError, match=r"^config.json and model.safetensors of some/model are not on this machine"
    ) as caught:
        resolve("some/model")
    assert "\n" not in str(caught.value)


def test_the_cache_is_used_before_the_network(no_network, checkpoint, noise) -> None:
    cache, calls = no_network
    source = checkpoint("hubert")
    put_in_cache(cache, "some/hubert", source, ["config.json", "preprocessor_config.json", "model.safetensors"])
    cached, local = resolve("some/hubert"), resolve(str(source))
    assert np.array_equal(cached.embed([noise()])[0]["last"], local.embed([noise()])[0]["last"])
    assert cached.identity() == local.identity()  # the content counts, not where it lies
    assert calls == []
    pinned = resolve(f"some/hubert:revision={COMMIT}")
    assert pinned.identity() == local.identity()


def test_a_cache_with_the_config_only_serves_random_twins(no_network, checkpoint, noise) -> None:
    cache, calls = no_network
    put_in_cache(cache, "some/hubert", checkpoint("hubert"), ["config.json", "preprocessor_config.json"])
    assert resolve("some/hubert:init=random,seed=1").embed([noise()])[0]["last"].shape == (32,)
    assert calls == []
    with pytest.raises(ModelError, match=r"model.safetensors of some/hubert"):
        resolve("some/hubert")
    assert calls == ["some/hubert"]


def test_remote_code_from_the_hub_needs_a_pinned_revision(no_network, checkpoint, change_json) -> None:
    source = checkpoint("hubert")
    folder = put_in_cache(
        no_network[0], "some/code", source, ["config.json", "preprocessor_config.json", "model.safetensors"]
    )
    change_json(folder / "config.json", auto_map={"AutoModel": "modeling.Net"})
    with pytest.raises(ModelError, match="runs its own Python code"):
        resolve(f"some/code:revision={COMMIT}")
    with pytest.raises(ModelError, match="needs a pinned revision"):
        resolve("some/code", trust_remote_code=True)
    with pytest.raises(ModelError, match="needs a pinned revision"):
        resolve("some/code:revision=main", trust_remote_code=True)


def test_short_names_take_a_folder(no_network, checkpoint, noise) -> None:
    folder = checkpoint("hubert")
    model = resolve(f"hubert-large:path={folder}")
    assert model.card.name == "hubert-large"
    assert model.card.layers == (0, 1, 2, "last")  # of what is in the folder, not of the published model
    assert np.array_equal(model.embed([noise()])[0]["last"], resolve(str(folder)).embed([noise()])[0]["last"])


def test_incomplete_folders(checkpoint, tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"has no config.json"):
        locate(str(tmp_path / "empty"), None, weights=True, code=False)
    folder = shutil.copytree(checkpoint("hubert"), tmp_path / "weightless")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no model.safetensors or pytorch_model.bin.*init=random"):
        in_folder(folder, weights=True)
    (folder / "config.json").write_text("{ broken")
    with pytest.raises(ModelError, match=r"config.json: cannot be read"):
        resolve(f"{folder}:init=random")


def test_an_index_that_leaves_its_folder_is_refused(checkpoint, tmp_path) -> None:
    folder = shutil.copytree(checkpoint("hubert"), tmp_path / "escape")
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../../secret.safetensors"}}')
    with pytest.raises(ModelError, match="points outside the folder"):
        in_folder(folder, weights=True)


def test_broken_weights_are_a_model_error(checkpoint, tmp_path) -> None:
    folder = shutil.copytree(checkpoint("hubert"), tmp_path / "broken")
    (folder / "model.safetensors").write_bytes(b"not safetensors")
    with pytest.raises(ModelError, match="cannot be loaded") as caught:
        resolve(str(folder)).load()
    assert "\n" not in str(caught.value)


def test_identity_follows_the_content(checkpoint, tmp_path, change_json) -> None:
    folder = shutil.copytree(checkpoint("hubert"), tmp_path / "copy")
    original = resolve(str(checkpoint("hubert"))).identity()
    assert resolve(str(folder)).identity() == original
    change_json(folder / "config.json", transformers_version="5.99.0")
    assert resolve(str(folder)).identity() == original
    change_json(folder / "preprocessor_config.json", do_normalize=False)
    changed = resolve(str(folder)).identity()
    assert changed != original
    raw = bytearray((folder / "model.safetensors").read_bytes())
    raw[-1] ^= 1
    (folder / "model.safetensors").write_bytes(raw)
    assert resolve(str(folder)).identity() not in (original, changed)


def test_the_identity_needs_no_network_in_memory(checkpoint) -> None:
    model = resolve(str(checkpoint("hubert")))
    model.identity()
    assert model.encoder._model is None
