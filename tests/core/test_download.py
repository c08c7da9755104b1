"""Fetching from a server that breaks off, refuses, lies or forgets ranges."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from http_server import serving

from otoscope.core.download import Patience, Remote, checksum, fetch, fetch_json
from otoscope.core.errors import InputError, StoreError, UsageError

DATA = np.random.default_rng(0).bytes(300_000)
MD5 = f"md5:{hashlib.md5(DATA, usedforsecurity=False).hexdigest()}"


@pytest.fixture
def server():
    with serving({"/a.tar": DATA, "/about": b'{"x": [1]}', "/words": b"<html>"}) as served:
        yield served


@pytest.fixture
def pauses():
    return []


@pytest.fixture
def patience(pauses):
    return Patience(tries=4, timeout_s=5, sleep=pauses.append)


def remote(server, **more):
    return Remote(f"{server.address}/a.tar", **{"size": len(DATA), "checksum": MD5, **more})


def test_a_file_is_fetched_once_and_verified(server, tmp_path, patience):
    path = tmp_path / "deep" / "a.tar"
    seen = []
    assert fetch(remote(server), path, show=lambda *x: seen.append(x), patience=patience)
    assert path.read_bytes() == DATA
    assert seen[-1] == (len(DATA), len(DATA))
    assert not fetch(remote(server), path, patience=patience)
    assert len(server.asked) == 1
    assert [p.name for p in path.parent.iterdir()] == ["a.tar"]


def test_without_size_and_checksum_the_answers_length_counts(server, tmp_path, patience):
    server.cuts, server.cut_after = 1, 1000
    assert fetch(Remote(f"{server.address}/a.tar"), tmp_path / "a", patience=patience)
    assert (tmp_path / "a").read_bytes() == DATA


def test_what_breaks_off_goes_on_where_it_stopped(server, tmp_path, patience, pauses):
    server.cuts, server.cut_after = 2, 100_000
    fetch(remote(server), tmp_path / "a.tar", patience=patience)
    assert [start for _, start in server.asked] == [0, 100_000, 200_000]
    assert (tmp_path / "a.tar").read_bytes() == DATA
    assert pauses == [1.0, 2.0]


def test_a_server_without_ranges_sends_all_again(server, tmp_path, patience):
    server.cuts, server.cut_after, server.ranges = 1, 100_000, False
    fetch(remote(server), tmp_path / "a.tar", patience=patience)
    assert (tmp_path / "a.tar").read_bytes() == DATA


def test_a_part_of_another_file_is_thrown_away(server, tmp_path, patience):
    (tmp_path / "a.tar.part").write_bytes(b"x" * 1000)
    fetch(remote(server), tmp_path / "a.tar", patience=patience)
    assert (tmp_path / "a.tar").read_bytes() == DATA
    assert [start for _, start in server.asked] == [1000, 0]
    (tmp_path / "b.tar.part").write_bytes(b"x" * (len(DATA) + 1))
    fetch(remote(server), tmp_path / "b.tar", patience=patience)
    assert (tmp_path / "b.tar").read_bytes() == DATA


def test_a_whole_part_is_not_asked_for_again(server, tmp_path, patience):
    (tmp_path / "a.tar.part").write_bytes(DATA)
    fetch(remote(server), tmp_path / "a.tar", patience=patience)
    assert server.asked == []
    (tmp_path / "b.part").write_bytes(DATA)
    fetch(remote(server, size=None), tmp_path / "b", patience=patience)  # the server answers 416
    assert [start for _, start in server.asked] == [len(DATA)]


@pytest.mark.parametrize("lie", [{"checksum": "md5:" + "0" * 32}, {"size": len(DATA) - 1}])
def test_another_file_than_was_told_never_gets_its_name(server, tmp_path, patience, lie):
    with pytest.raises(InputError, match="twice"):
        fetch(remote(server, **lie), tmp_path / "a.tar", patience=patience)
    assert list(tmp_path.iterdir()) == []
    assert len(server.asked) == 2


def test_a_changed_file_that_is_there_is_told_and_kept(server, tmp_path, patience):
    (tmp_path / "a.tar").write_bytes(DATA[:-1] + b"!")
    with pytest.raises(InputError, match="is not the published file"):
        fetch(remote(server), tmp_path / "a.tar", patience=patience)
    assert server.asked == []


def test_a_busy_server_is_asked_again_after_the_time_it_names(server, tmp_path, patience, pauses):
    server.answers = [429, 503]
    assert fetch(remote(server), tmp_path / "a.tar", patience=patience)
    assert pauses == [7.0, 7.0]
    server.answers = [500] * 4
    with pytest.raises(InputError, match=r"answered 500 \(after 4 tries\)"):
        fetch(remote(server), tmp_path / "b.tar", patience=patience)


def test_a_refusal_is_final_and_says_what_to_do(server, tmp_path, patience, pauses):
    server.answers = [403]
    with pytest.raises(InputError, match=r"403.*name a mirror"):
        fetch(remote(server), tmp_path / "a.tar", patience=patience)
    assert (len(server.asked), pauses) == (1, [])


def test_nobody_there_and_no_address(tmp_path, patience, pauses):
    with serving({}) as gone:
        pass
    with pytest.raises(InputError, match="cannot be reached"):
        fetch(Remote(f"{gone.address}/a"), tmp_path / "a", patience=patience)
    assert len(pauses) == 3
    for url in ("file:///etc/passwd", "ftp://x/y", "a.tar"):
        with pytest.raises(UsageError, match="no http"):
            fetch(Remote(url), tmp_path / "a", patience=patience)
    assert list(tmp_path.iterdir()) == []


def test_json(server, patience):
    assert fetch_json(f"{server.address}/about", patience=patience) == {"x": [1]}
    with pytest.raises(InputError, match="no JSON"):
        fetch_json(f"{server.address}/words", patience=patience)


def test_two_at_once_and_a_kill(server, tmp_path, patience):
    """A process that is killed in the middle leaves a part, which the next one goes on with; while it lives, another
    one is refused."""
    server.files["/a.tar"] = big = DATA * 30
    server.cuts, server.cut_after = 1, len(big) // 2
    path = tmp_path / "a.tar"
    code = (
        "import time; from pathlib import Path; from otoscope.core.download import *\n"
        f"fetch(Remote({server.address + '/a.tar'!r}, {len(big)}), Path({str(path)!r}), "
        "patience=Patience(sleep=lambda s: time.sleep(60)))"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    child = subprocess.Popen([sys.executable, "-c", code], env=env)
    part = tmp_path / "a.tar.part"
    deadline = time.monotonic() + 20
    while (not part.exists() or part.stat().st_size < len(big) // 2) and time.monotonic() < deadline:
        time.sleep(0.02)
    told = Remote(f"{server.address}/a.tar", len(big))
    with pytest.raises(StoreError, match="another process"):
        fetch(told, path, patience=patience)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert fetch(told, path, patience=patience)
    assert path.read_bytes() == big
    assert server.asked[-1][1] == len(big) // 2


def test_checksums(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert checksum(tmp_path / "a", "md5") == "md5:900150983cd24fb0d6963f7d28e17f72"
    with pytest.raises(UsageError, match="no checksum 'crc'"):
        checksum(tmp_path / "a", "crc")
