"""Files that are not as they were written are found and named; artefacts are named by their content."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from otoscope.core.errors import InputError, StoreError
from otoscope.results import tables
from otoscope.results.schema import ROWS
from otoscope.results.store import Results


def test_a_truncated_shard_is_named_with_what_to_do(toy, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    file = toy.one_shard(tmp_path / "run")
    results = Results.open(tmp_path / "run")
    key = results.cell("aa").extent.shards[0]
    data = file.read_bytes()
    for n in (0, 3, 100, len(data) // 2, len(data) - 9, len(data) - 1):
        file.write_bytes(data[:n])
        for read in (results.rows, results.verify, lambda: results.shard_state("aa", key)):
            with pytest.raises(StoreError, match="Delete the file and run the same command again") as e:
                read()
            assert str(file) in str(e.value)
            assert e.value.exit_code == 3
    file.unlink()
    results.write_shard("aa", key, toy.table(toy.records(toy.ids)))
    results.verify()


def test_no_flipped_bit_changes_a_value_unnoticed(toy, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """Pages, page headers and footer alike: the same rows or an error. (All bits of such a file were tried once.)"""
    file = toy.one_shard(tmp_path / "run")
    data = file.read_bytes()
    truth, _ = tables.read(file, "rows", "fix")
    rng = np.random.default_rng(7)
    caught = 0
    for position, bit in zip(rng.permutation(len(data))[:250], rng.integers(0, 8, 250), strict=True):
        damaged = bytearray(data)
        damaged[position] ^= 1 << int(bit)
        file.write_bytes(damaged)
        try:
            table, _ = tables.read(file, "rows", "fix")
        except StoreError:
            caught += 1
        else:
            assert table.equals(truth), f"byte {position}, bit {bit}"
            assert table.schema.equals(truth.schema)
    assert caught > 125


def test_a_flipped_bit_is_found_in_the_selected_columns_too(toy, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    file = toy.one_shard(tmp_path / "run")
    table, _ = tables.read(file, "rows", "fix")
    forged = table.set_column(table.schema.get_field_index("value"), ROWS.field("value"), pa.array(np.zeros(14)))
    footer = pq.read_metadata(file).metadata  # what says that the old values are right
    pq.write_table(forged.replace_schema_metadata({k: v for k, v in footer.items() if k.startswith(b"otoscope")}), file)
    results = Results.open(tmp_path / "run")
    assert results.rows(columns=["item"]).num_rows == 14
    with pytest.raises(StoreError, match="column 'value' does not match"):
        results.rows(columns=["item", "value"])


def test_everything_wrong_is_listed(toy, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    results = toy.work(tmp_path / "run")
    items = tmp_path / "run" / "items"
    first, second, third = sorted((items / "aa").iterdir())
    first.write_bytes(first.read_bytes()[:50])
    second.unlink()
    third.rename(items / "bb" / third.name.replace("a1", "a5"))
    (items / "bb" / "notes.txt").write_text("?")
    (items / "stranger").mkdir()
    digest = results.put_artefact(b"sound")
    (tmp_path / "run" / "artefacts" / digest).write_bytes(b"noise")
    text = "\n".join(results.damaged())
    assert len(results.damaged()) == 7
    for part in (
        first.name,
        "lacks shard r0-00001",
        "lacks shard r0-00002",
        "of cell aa",
        "notes.txt",
        "stranger",
        digest,
    ):
        assert part in text
    with pytest.raises(StoreError, match="7 damaged"):
        results.verify()


def test_artefacts_are_named_by_content_and_verified(tmp_path: Path) -> None:
    results = Results.open(tmp_path / "run", create=True)
    arrays = {"b": np.arange(6.0).reshape(2, 3).T, "a": np.float32(2.5), "none": np.zeros((0, 4), np.int16)}
    digest = results.put_artefact(arrays)
    assert results.put_artefact(dict(reversed(arrays.items()))) == digest
    back = results.get_arrays(digest)
    for name, array in arrays.items():
        assert np.array_equal(back[name], array)
        assert back[name].dtype == array.dtype
        assert back[name].shape == np.shape(array)
    raw = results.put_artefact(b"bytes")
    assert results.get_artefact(raw) == b"bytes"
    with pytest.raises(StoreError, match="not named arrays"):
        results.get_arrays(raw)
    path = tmp_path / "run" / "artefacts" / digest
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(StoreError, match="does not match its name") as e:
        results.get_arrays(digest)
    assert str(path) in str(e.value)
    assert results.put_artefact(arrays) == digest, "putting again repairs"
    results.get_arrays(digest)
    with pytest.raises(StoreError, match="no such artefact"):
        results.get_artefact("0" * 64)
    with pytest.raises(StoreError, match="no such artefact"):
        results.get_artefact("../experiment.json")
    with pytest.raises(InputError, match="cannot be stored"):
        results.put_artefact({"text": np.array(["a"])})
