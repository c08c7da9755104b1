"""The embedding store: whole files, damage found, and what is in it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from otoscope.core.errors import StoreError, UsageError
from otoscope.results.embeddings import Damaged, EmbeddingStore, checked_folder, embeddings_folder

KEY = "ab" + "0" * 38
ARRAYS = {"vectors.0": np.arange(6, dtype=np.float32).reshape(2, 3), "vectors.1": np.ones((2, 3), np.float32)}
ABOUT = {"sounds": ["x", "y"], "layers": [0, "last"]}


def bank(folder: Path, **identity: object):
    return EmbeddingStore(folder).bank("net", {"weights": 1, **identity})


def test_what_was_written_is_read_and_only_what_is_wanted(tmp_path):
    bank(tmp_path).write(KEY, ARRAYS, ABOUT)
    arrays, about = bank(tmp_path).read(KEY)
    assert about == ABOUT
    assert all(np.array_equal(arrays[k], v) and arrays[k].dtype == v.dtype for k, v in ARRAYS.items())
    assert list(bank(tmp_path).read(KEY, lambda name: name == "vectors.1")[0]) == ["vectors.1"]


def test_another_model_another_key_and_an_empty_folder_hold_nothing(tmp_path):
    assert bank(tmp_path / "none").read(KEY) is None
    bank(tmp_path).write(KEY, ARRAYS, ABOUT)
    assert bank(tmp_path, weights=2).read(KEY) is None
    assert bank(tmp_path).read("ac" + "0" * 38) is None


def test_every_flipped_byte_is_noticed(tmp_path):
    kept = bank(tmp_path)
    kept.write(KEY, ARRAYS, ABOUT)
    path = kept.path(KEY)
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x11]) + whole[at + 1 :])
        try:
            found = kept.read(KEY)
        except Damaged:
            continue
        # Spaces that pad the header are the only bytes that say nothing.
        assert whole[at : at + 1] == b" "
        assert all(np.array_equal(found[0][k], v) for k, v in ARRAYS.items())


@pytest.mark.parametrize("cut", [0, 8, 100, -1])
def test_a_cut_file_is_damaged(tmp_path, cut):
    kept = bank(tmp_path)
    kept.write(KEY, ARRAYS, ABOUT)
    path = kept.path(KEY)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(Damaged):
        kept.read(KEY)


def test_a_file_under_another_name_is_damaged(tmp_path):
    kept = bank(tmp_path)
    kept.write(KEY, ARRAYS, ABOUT)
    other = "ab" + "1" * 38
    kept.path(KEY).rename(kept.path(other))
    with pytest.raises(Damaged, match="holds ab0"):
        kept.read(other)


def test_the_list_names_models_and_finds_damage_where_it_looks(tmp_path):
    kept = bank(tmp_path)
    kept.write(KEY, ARRAYS, ABOUT)
    (one,) = EmbeddingStore(tmp_path).holdings(verify=True)
    assert (one.name, one.n_files, one.n_sounds, one.damaged) == ("net", 1, 2, ())
    assert one.identity == {"weights": 1}
    path = kept.path(KEY)
    path.write_bytes(path.read_bytes()[:-1] + b"\x55")
    (one,) = EmbeddingStore(tmp_path).holdings(verify=True)
    assert len(one.damaged) == 1


def test_a_writer_that_is_killed_leaves_nothing_that_could_be_read(tmp_path):
    code = (
        "import numpy as np; from pathlib import Path; from otoscope.results.embeddings import EmbeddingStore\n"
        f"b = EmbeddingStore(Path({str(tmp_path)!r})).bank('net', {{'weights': 1}})\n"
        f"b.write({KEY!r}, {{'v': np.ones(3)}}, {{}})\n"
    )
    for moment in ("half-written", "before-rename"):
        env = {"OTOSCOPE_FAULT": f"store.artefact.{moment}:2", "PYTHONPATH": ":".join(sys.path)}
        done = subprocess.run([sys.executable, "-c", code], env=env, check=False)
        assert done.returncode == -9
        assert bank(tmp_path).read(KEY) is None
        (tmp_path / bank(tmp_path).folder.name / "about.json").unlink()


def test_where_it_lies_is_said_by_the_option_then_the_variable_then_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("OTOSCOPE_CACHE", str(tmp_path))
    monkeypatch.delenv("OTOSCOPE_EMBEDDINGS")
    assert embeddings_folder() == tmp_path / "embeddings"
    monkeypatch.setenv("OTOSCOPE_EMBEDDINGS", "elsewhere")
    assert embeddings_folder() == Path("elsewhere")
    assert embeddings_folder("here") == Path("here")
    assert embeddings_folder("off") is None
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is no folder"):
        checked_folder(str(tmp_path / "file"))


def test_a_store_that_cannot_be_written_says_how_to_do_without(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="--embeddings off"):
        bank(tmp_path / "file" / "below")


def test_about_is_for_people(tmp_path):
    told = json.loads((bank(tmp_path).folder / "about.json").read_text())
    assert told["name"] == "net"
