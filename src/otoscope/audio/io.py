"""Read and write sound files through libsndfile (WAV, FLAC, Ogg Vorbis, MP3).

A file either gives all the samples that were asked for or raises :class:`InputError` naming it: truncated and
damaged files are found from the decoder's own log and from the number of samples it delivers, and channels are
never mixed or dropped. Samples are float32 ``[channels, n]``, full scale +/-1.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile as sf

from otoscope.audio.resample import resample
from otoscope.core.audio import Audio
from otoscope.core.errors import InputError, UsageError

#: Remarks of libsndfile on Ogg streams that lost pages.
_OGG_DAMAGE = ("lacks an end-of-stream bit", "Corrupted bitstream", "reports a hole")
#: A chunk that announces more bytes than the file has. Sizes next to 2**32 mean "unknown" (written to a pipe).
_SHORT_CHUNK = re.compile(r"(?:data|RIFF|SSND|FORM)\s*:\s*(\d+) \(should be (\d+)\)")
_UNKNOWN_SIZE = 2**32 - 4096

_FLOAT_SUBTYPES = ("FLOAT", "DOUBLE")
_FORMATS = {".wav": "WAV", ".flac": "FLAC", ".ogg": "OGG", ".mp3": "MP3"}
_DEFAULT_SUBTYPE = {"WAV": "FLOAT", "FLAC": "PCM_24", "OGG": "VORBIS", "MP3": "MPEG_LAYER_III"}


@dataclass(frozen=True)
class AudioInfo:
    """What the header says. ``frames`` are samples per channel."""

    duration_s: float
    rate: int
    channels: int
    frames: int


def info(path: str | os.PathLike[str]) -> AudioInfo:
    """Length, rate and channels without decoding.

    Raises :class:`InputError` on a missing, empty, unreadable or truncated file and on one without samples. Damage in
    the middle of a compressed stream shows only in :func:`read`.
    """
    with _opened(Path(path)) as f:
        return AudioInfo(f.frames / f.samplerate, f.samplerate, f.channels, f.frames)


def read(
    path: str | os.PathLike[str],
    *,
    start_s: float | None = None,
    duration_s: float | None = None,
    rate: int | None = None,
    channels: int | None = None,
) -> Audio:
    """Decode a file, or ``duration_s`` seconds of it from ``start_s``.

    ``rate`` resamples (see :mod:`otoscope.audio.resample`); ``channels`` is what the caller can use: any other number
    is refused, never mixed. A part is cut at the nearest samples of the file's own rate and must lie inside the file.
    Raises :class:`InputError` naming the file; :class:`UsageError` on a negative start or an empty part.
    """
    path = Path(path)
    if start_s is not None and start_s < 0:
        raise UsageError(f"start_s must not be negative, got {start_s}", where=str(path))
    if duration_s is not None and duration_s <= 0:
        raise UsageError(f"duration_s must be positive, got {duration_s}", where=str(path))
    with _opened(path) as f:
        if channels is not None and f.channels != channels:
            raise InputError(
                f"has {f.channels} channel{'s' * (f.channels > 1)} where {channels} are needed",
                where=str(path),
                fix="Choose or mix the channels yourself; it is not done silently.",
            )
        start = round((start_s or 0.0) * f.samplerate)
        count = f.frames - start if duration_s is None else round(duration_s * f.samplerate)
        if count <= 0 or start + count > f.frames:
            raise InputError(
                f"lasts {f.frames / f.samplerate:.3f} s; the part from {start / f.samplerate:.3f} s "
                f"to {(start + max(count, 0)) / f.samplerate:.3f} s is not in it",
                where=str(path),
            )
        audio = _decoded(f, start, count, str(path))
    return audio if rate is None else resample(audio, rate)


def read_bytes(data: bytes, where: str) -> Audio:
    """Decode a whole sound file that is in memory (a member of an archive, say). ``where`` names it in errors, which
    are those of :func:`read`."""
    with _sound(data, where) as f:
        return _decoded(f, 0, f.frames, where)


def info_bytes(data: bytes, where: str) -> AudioInfo:
    """As :func:`info`, of a sound file in memory."""
    with _sound(data, where) as f:
        return AudioInfo(f.frames / f.samplerate, f.samplerate, f.channels, f.frames)


def _decoded(f: sf.SoundFile, start: int, count: int, where: str) -> Audio:
    try:
        f.seek(start)
        samples = f.read(count, dtype="float32", always_2d=True)
    except (sf.SoundFileError, RuntimeError) as e:
        raise InputError(f"cannot be decoded: {e}", where=where, fix=_REPLACE) from e
    if len(samples) != count:
        raise InputError(
            f"is damaged or truncated: {len(samples)} of {count} samples could be decoded", where=where, fix=_REPLACE
        )
    bad = int(np.size(samples) - np.isfinite(samples).sum())
    if bad:
        raise InputError(f"holds {bad} NaN or infinite samples", where=where, fix=_REPLACE)
    return Audio(samples.T, f.samplerate)


def write(path: str | os.PathLike[str], audio: Audio, subtype: str | None = None, quality: float | None = None) -> None:
    """Write ``audio``; the format follows the suffix (.wav .flac .ogg .mp3) and the file appears whole or not at all.

    ``subtype`` is libsndfile's word (``FLOAT``, ``PCM_16``, ``VORBIS``, ...); without it .wav holds float32.
    ``quality`` (0 worst to 1 best) is for the lossy formats, which lose differences between two ears. All but
    the float subtypes refuse samples beyond +/-1 with :class:`InputError`. Raises :class:`UsageError` on a suffix,
    subtype or rate that cannot be written.
    """
    path = Path(path)
    fmt = _FORMATS.get(path.suffix.lower())
    if fmt is None:
        raise UsageError(f"cannot write {path.suffix or 'a name without suffix'!r}", where=str(path), fix=_SUFFIXES)
    subtype = (subtype or _DEFAULT_SUBTYPE[fmt]).upper()
    if not sf.check_format(fmt, subtype):
        raise UsageError(
            f"{fmt} has no subtype {subtype!r}",
            where=str(path),
            fix=f"It has: {', '.join(sorted(sf.available_subtypes(fmt)))}.",
        )
    if fmt == "OGG" and audio.rate > _VORBIS_LIMIT_HZ:
        raise UsageError(f"Ogg Vorbis goes up to {_VORBIS_LIMIT_HZ} Hz, the sound has {audio.rate}", where=str(path))
    peak = float(np.abs(audio.samples).max())
    if subtype not in _FLOAT_SUBTYPES and peak > 1.0:
        raise InputError(
            f"would clip: the peak is {peak:.3f} of full scale",
            where=str(path),
            fix="Lower the level, or write a .wav with subtype FLOAT.",
        )
    if not path.parent.is_dir():
        raise InputError("the folder does not exist", where=str(path.parent))
    part = path.with_name(f".{path.stem}-{secrets.token_hex(6)}{path.suffix}.tmp")
    try:
        level = None if quality is None else 1.0 - quality
        sf.write(part, audio.samples.T, audio.rate, subtype=subtype, format=fmt, compression_level=level)
        os.replace(part, path)
    except (sf.SoundFileError, OSError) as e:
        raise InputError(f"cannot be written: {e}", where=str(path)) from e
    finally:
        part.unlink(missing_ok=True)


#: Beyond this the encoder does not refuse but crashes the process.
_VORBIS_LIMIT_HZ = 200_000
_REPLACE = "Replace the file."
_SUFFIXES_READ = "WAV, FLAC, Ogg Vorbis and MP3 can be read."
_SUFFIXES = "Use .wav, .flac, .ogg or .mp3."


@contextmanager
def _opened(path: Path) -> Iterator[sf.SoundFile]:
    """An open file whose header, length and decoder log are sound."""
    if path.is_dir():
        raise InputError("is a folder, not a sound file", where=str(path), fix="Name a file in it.")
    if not path.exists():
        raise InputError("no such file", where=str(path))
    if path.stat().st_size == 0:
        raise InputError("is an empty file (0 bytes)", where=str(path), fix=_REPLACE)
    with _sound(path, str(path)) as f:
        yield f


@contextmanager
def _sound(source: Path | bytes, where: str) -> Iterator[sf.SoundFile]:
    """As :func:`_opened`, of a file that is there or of its bytes."""
    if isinstance(source, bytes) and not source:
        raise InputError("is an empty file (0 bytes)", where=where, fix=_REPLACE)
    try:
        f = sf.SoundFile(source if isinstance(source, Path) else BytesIO(source))
    except (sf.SoundFileError, RuntimeError, OSError, TypeError) as e:
        reason = str(e).split(": ", 1)[-1]
        raise InputError(f"is not a readable sound file: {reason}", where=where, fix=_SUFFIXES_READ) from e
    with f:
        _refuse_damage(f, where)
        if f.frames <= 0:
            raise InputError("holds no samples", where=where, fix=_REPLACE)
        yield f


def _refuse_damage(f: sf.SoundFile, where: str) -> None:
    log = f.extra_info
    for said, real in _SHORT_CHUNK.findall(log):
        if int(real) < int(said) < _UNKNOWN_SIZE:
            raise InputError(f"is truncated: it announces {said} bytes and has {real}", where=where, fix=_REPLACE)
    if any(remark in log for remark in _OGG_DAMAGE):
        raise InputError("is damaged or truncated: its Ogg stream has lost pages", where=where, fix=_REPLACE)
