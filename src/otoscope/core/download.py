"""Fetch a file over HTTP so that it can be trusted: resumed after a break, checked, whole or not there.

Bytes go to ``NAME.part`` and are asked for from where it ends (``Range``). Only what has the size and checksum that
were told is renamed to its name. A part that turns out wrong is thrown away, and fetched once more from the start.
What may pass (no connection, 429, 5xx) is tried again after a pause; a refusal is an error at once.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otoscope.core.errors import InputError, StoreError, UsageError

try:
    import fcntl
except ImportError:  # no advisory locks here: nobody is kept from fetching the same file twice
    fcntl = None  # type: ignore[assignment]

CHUNK = 2**20
AGENT = "otoscope"
#: Longest wait that a server can ask for (s).
LONGEST_PAUSE_S = 120.0

#: Called with bytes that are there and bytes in all (None: the server doesn't say).
Show = Callable[[int, "int | None"], None]


@dataclass(frozen=True)
class Remote:
    """A file to fetch. ``size`` in bytes; ``checksum`` is ``md5:<hex>`` or ``sha256:<hex>``. None: not known."""

    url: str
    size: int | None = None
    checksum: str | None = None


@dataclass(frozen=True)
class Patience:
    """How often a request is tried, how long an answer may take (s), and how pauses are made."""

    tries: int = 6
    timeout_s: float = 60.0
    sleep: Callable[[float], None] = time.sleep


class _Wrong(Exception):
    """What was fetched is not what was told."""


class _Broken(Exception):
    """An answer that ended early, or none: it may be better the next time. ``pause``: the server's wish, in s."""

    def __init__(self, why: str, pause: float | None = None) -> None:
        super().__init__(why)
        self.pause = pause


def fetch(remote: Remote, path: Path, *, show: Show = lambda *_: None, patience: Patience | None = None) -> bool:
    """Bring ``remote`` to ``path``; False where it was there already.

    Raises :class:`InputError` where the server refuses, stays away, or gives something else, :class:`StoreError` where
    another process fetches the same file or the disk is full, and :class:`UsageError` on what is no http(s) address.
    """
    patience = patience or Patience()
    if path.exists():
        check(path, remote)
        return False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        with _held(part):
            for attempt in (0, 1):
                try:
                    _patiently(remote.url, patience, lambda: _append(remote, part, show, patience))
                    _verify(part, remote)
                    break
                except _Wrong as e:
                    os.truncate(part, 0)
                    if attempt:
                        told = "The server has another file than the record says; try later or another mirror."
                        raise InputError(f"{e}, twice", where=remote.url, fix=told) from e
            os.replace(part, path)
    except OSError as e:
        fix = "Free some space and run the same command again; what has come is kept." if e.errno == 28 else None
        raise StoreError(e.strerror or str(e), where=str(path), fix=fix) from e
    return True


def fetch_json(url: str, *, patience: Patience | None = None) -> Any:
    """The JSON at ``url``. Raises :class:`InputError` and :class:`UsageError` as :func:`fetch` does."""
    patience = patience or Patience()

    def read() -> bytes:
        with _answer(url, {"Accept": "application/json"}, patience) as response:
            data: bytes = response.read(64 * CHUNK)
            return data

    try:
        return json.loads(_patiently(url, patience, read))
    except ValueError as e:
        raise InputError(f"gave no JSON: {e}", where=url) from e


def check(path: Path, remote: Remote) -> None:
    """Raises :class:`InputError` where the file is not what ``remote`` says."""
    try:
        _verify(path, remote)
    except _Wrong as e:
        raise InputError(f"is not the published file: {e}", where=str(path), fix="Delete it and fetch it again.") from e


def checksum(path: Path, kind: str = "sha256") -> str:
    """``<kind>:<hex>`` of a file. Raises :class:`UsageError` on a kind that isn't known here."""
    if kind not in ("md5", "sha256", "sha512"):
        raise UsageError(f"there is no checksum {kind!r} here", fix="md5, sha256 or sha512.")
    with path.open("rb") as f:
        found = hashlib.file_digest(f, lambda: hashlib.new(kind, usedforsecurity=False))
    return f"{kind}:{found.hexdigest()}"


def _verify(path: Path, remote: Remote) -> None:
    size = path.stat().st_size
    if remote.size is not None and size != remote.size:
        raise _Wrong(f"{size} bytes instead of {remote.size}")
    if remote.checksum is not None:
        found = checksum(path, remote.checksum.partition(":")[0])
        if found != remote.checksum.lower():
            raise _Wrong(f"{found} instead of {remote.checksum}")


def _append(remote: Remote, part: Path, show: Show, patience: Patience) -> None:
    """Bytes that ``part`` lacks. Raises :class:`_Broken` where some are still missing."""
    have = part.stat().st_size
    if remote.size is not None and have >= remote.size:
        return  # whole, or too long, which the check finds
    with _answer(remote.url, {"Range": f"bytes={have}-"} if have else {}, patience) as response:
        if response.status == 416:  # nothing after what is there
            return
        if have and not _continues(response, have):
            have = 0
        total = remote.size
        if total is None and (length := response.headers.get("Content-Length")):
            total = have + int(length)
        with part.open("r+b") as f:
            f.truncate(have)
            f.seek(have)
            while block := response.read(CHUNK):
                f.write(block)
                have += len(block)
                show(have, total)
                if remote.size is not None and have > remote.size:
                    raise _Wrong(f"more than {remote.size} bytes")
            f.flush()
            os.fsync(f.fileno())
    if total is not None and have < total:
        raise _Broken(f"the answer ended after {have} of {total} bytes")


def _continues(response: Any, have: int) -> bool:
    """Whether the answer goes on where the part ends; some servers send everything instead."""
    told = re.match(r"bytes (\d+)-", response.headers.get("Content-Range") or "")
    return response.status == 206 and told is not None and int(told[1]) == have


def _patiently(url: str, patience: Patience, do: Callable[[], Any]) -> Any:
    pause = 1.0
    for left in reversed(range(patience.tries)):
        try:
            return do()
        except _Broken as e:
            if not left:
                fix = "Run the same command again: it goes on where it stopped. Or name a mirror."
                raise InputError(f"{e} (after {patience.tries} tries)", where=url, fix=fix) from e
            patience.sleep(min(LONGEST_PAUSE_S, pause if e.pause is None else e.pause))
            pause *= 2
    raise UsageError("nothing is tried: tries must be at least 1")


@contextmanager
def _answer(url: str, headers: dict[str, str], patience: Patience) -> Iterator[Any]:
    if not url.startswith(("http://", "https://")):
        raise UsageError("is no http or https address", where=url)
    request = urllib.request.Request(url, headers={"User-Agent": AGENT, **headers})
    try:
        with urllib.request.urlopen(request, timeout=patience.timeout_s) as response:
            yield response
    except urllib.error.HTTPError as e:
        if e.code == 416:
            yield e
            return
        if e.code == 429 or e.code >= 500:
            wish = e.headers.get("Retry-After", "")
            raise _Broken(f"the server answered {e.code}", float(wish) if wish.isdecimal() else None) from e
        fix = "The server refuses this machine, or the file has moved: try later, or name a mirror."
        raise InputError(f"the server answered {e.code} {e.reason}", where=url, fix=fix) from e
    except urllib.error.URLError as e:
        raise _Broken(f"cannot be reached: {e.reason}") from e
    except (http.client.HTTPException, TimeoutError, ConnectionError, ssl.SSLError) as e:
        raise _Broken(f"the connection broke: {type(e).__name__}") from e


@contextmanager
def _held(part: Path) -> Iterator[None]:
    """The part, made where it is missing, held by one process at a time."""
    with part.open("ab") as f:
        if fcntl is not None:
            try:
                fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as e:
                raise StoreError("another process is fetching it", where=str(part)) from e
        try:
            yield
        finally:
            with suppress(OSError):
                if part.stat().st_size == 0:
                    part.unlink()
