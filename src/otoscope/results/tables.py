"""Tables as self-checking Parquet files.

Pages carry checksums, but page headers and the footer do not: flipping every bit of a small file in turn shows a few
flips that change values and go unnoticed. So the footer also holds a digest of each column's values, and a digest of
itself. What is read is what was written, or an error. Any Parquet reader can read the files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from otoscope.core.errors import StoreError
from otoscope.results.files import store_errors
from otoscope.results.migrate import upgrade
from otoscope.results.schema import SCHEMA_VERSION, SCHEMAS

_META, _META_DIGEST = b"otoscope", b"otoscope.digest"


def encode(table: pa.Table, meta: Mapping[str, Any], *, schema_version: int = SCHEMA_VERSION) -> bytes:
    """``table`` as the bytes of a Parquet file; ``meta`` (JSON) is kept in the footer."""
    columns = {name: fingerprint(table.column(name)) for name in table.schema.names}
    text = json.dumps(
        {**meta, "schema": schema_version, "n_rows": table.num_rows, "columns": columns}, sort_keys=True
    ).encode()
    stamped = table.replace_schema_metadata({_META: text, _META_DIGEST: _sha(text)})
    sink = pa.BufferOutputStream()
    # No statistics: they would only be one more thing that a flipped bit can falsify.
    pq.write_table(stamped, sink, compression="zstd", write_page_checksum=True, write_statistics=False)
    return sink.getvalue().to_pybytes()


def read_meta(path: Path, fix: str) -> dict[str, Any]:
    """The footer's metadata alone. Raises :class:`StoreError` where it is damaged; ``fix`` says what to do then."""
    with store_errors(path), path.open("rb") as f:
        try:
            return _meta(pq.read_metadata(f).metadata)
        except (pa.ArrowException, OSError, ValueError) as e:
            raise damaged(path, e, fix) from e


def read(path: Path, kind: str, fix: str, columns: Sequence[str] | None = None) -> tuple[pa.Table, dict[str, Any]]:
    """``(table, metadata)``, verified, in today's schema. ``kind`` is ``"rows"`` or ``"cells"``; ``columns`` selects.

    Raises :class:`StoreError` on a damaged file (with ``fix``) and on a file of a newer schema.
    """
    with store_errors(path), path.open("rb") as f:
        try:
            file = pq.ParquetFile(f, page_checksum_verification=True, pre_buffer=False)
            meta = _meta(file.metadata.metadata)
            version = int(meta["schema"])
            refuse_newer(version, path)
            wanted = list(columns) if columns is not None and version == SCHEMA_VERSION else None
            table = file.read(columns=wanted, use_threads=False)  # small files: threads cost more than they give
            _verify(table, meta)
            table = upgrade(table.replace_schema_metadata(None), kind, version)
            names = SCHEMAS[kind].names if columns is None else list(columns)
            table = table.select(names)
            if not table.schema.equals(pa.schema([SCHEMAS[kind].field(n) for n in names])):
                raise ValueError("its columns have other types than the schema")
        except (pa.ArrowException, OSError, ValueError, KeyError) as e:
            raise damaged(path, e, fix) from e
    return table, meta


def _meta(footer: Mapping[bytes, bytes] | None) -> dict[str, Any]:
    text = (footer or {}).get(_META, b"")
    if not text or _sha(text) != (footer or {}).get(_META_DIGEST):
        raise ValueError("the footer does not match its digest")
    meta: dict[str, Any] = json.loads(text)
    return meta


def _verify(table: pa.Table, meta: Mapping[str, Any]) -> None:
    if table.num_rows != meta["n_rows"]:
        raise ValueError(f"{table.num_rows} rows where {meta['n_rows']} were written")
    for name in table.schema.names:
        if fingerprint(table.column(name)) != meta["columns"].get(name):
            raise ValueError(f"column {name!r} does not match its digest")


def fingerprint(column: pa.ChunkedArray) -> str:
    """Digest of a column's logical values: independent of chunks, dictionaries and what lies under nulls."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    h = hashlib.sha256(f"{column.type}:{len(column)}:{column.null_count}".encode())
    if column.null_count:
        h.update(_bytes(pc.is_null(column).cast(pa.uint8())))
        column = column.drop_null()
    if pa.types.is_string(column.type):
        h.update(_bytes(pc.binary_length(column)))
        for chunk in column.chunks:
            h.update(_text(chunk))
    else:
        h.update(_bytes(column))
    return h.hexdigest()[:16]


def _bytes(column: pa.ChunkedArray) -> bytes:
    values = column.to_numpy()
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).tobytes()


def _text(chunk: pa.StringArray) -> bytes:
    """All characters of an array without nulls, end to end."""
    _, offsets, data = chunk.buffers()
    if not len(chunk) or data is None:
        return b""
    ends = np.frombuffer(offsets, dtype=np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
    return data[int(ends[0]) : int(ends[-1])].to_pybytes()


def _sha(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()


def refuse_newer(version: int, path: Path) -> None:
    """Raise :class:`StoreError` if ``version`` is one that this code does not know."""
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"was written with schema version {version}; this otoscope reads up to version {SCHEMA_VERSION}",
            where=str(path),
            fix="Upgrade otoscope.",
        )


def damaged(path: Path, error: Exception | str, fix: str) -> StoreError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return StoreError(f"is damaged ({reason.rstrip('.')})", where=str(path), fix=fix)
