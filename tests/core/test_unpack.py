"""Zips that mean harm, and those that don't."""

from __future__ import annotations

import stat
import zipfile

import pytest

from otoscope.core.errors import InputError
from otoscope.core.unpack import unpack_zip


def write(path, members, **about):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        for name, data in members:
            info = zipfile.ZipInfo("x")
            info.filename = info.orig_filename = name
            for key, value in about.items():
                setattr(info, key, value)
            z.writestr(info, data)
    return path


def test_chosen_members_land_flat(tmp_path):
    z = write(tmp_path / "z.zip", [("folder/", b""), ("folder/a.tar", b"a" * 5000), ("read.me", b"no")])
    found = unpack_zip(z, tmp_path / "out", lambda n: n.endswith(".tar"))
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["a.tar"]
    assert found[0].read_bytes() == b"a" * 5000
    assert unpack_zip(z, tmp_path / "out", lambda n: n.endswith(".tar")) == found
    found[0].write_bytes(b"b" * 5000)
    with pytest.raises(InputError, match=r"is not the folder/a\.tar"):
        unpack_zip(z, tmp_path / "out", lambda n: n.endswith(".tar"))


@pytest.mark.parametrize(
    "name", ["../a.tar", "/a.tar", "x/../../a.tar", "..\\a.tar", "C:a.tar", "x/./a.tar", "x//a.tar", "a\0.tar"]
)
def test_names_that_lead_elsewhere_are_refused_before_anything_is_written(tmp_path, name):
    z = write(tmp_path / "z.zip", [("good.tar", b"good"), (name, b"bad")])
    with pytest.raises(InputError, match="unsafe name"):
        unpack_zip(z, tmp_path / "out" / "in")
    assert [p.name for p in tmp_path.rglob("*")] == ["z.zip"]


def test_links_encrypted_members_and_twins_are_refused(tmp_path):
    link = write(tmp_path / "l.zip", [("a.tar", b"/etc/passwd")], external_attr=(stat.S_IFLNK | 0o777) << 16)
    with pytest.raises(InputError, match="no plain file"):
        unpack_zip(link, tmp_path / "out")
    twins = write(tmp_path / "t.zip", [("x/a.tar", b"1"), ("y/A.tar", b"2")])
    with pytest.raises(InputError, match=r"two files of the name 'a\.tar'"):
        unpack_zip(twins, tmp_path / "out")
    locked = write(tmp_path / "e.zip", [("a.tar", b"1")])
    data = bytearray(locked.read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1
    locked.write_bytes(data)
    with pytest.raises(InputError, match="encrypted"):
        unpack_zip(locked, tmp_path / "out")
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def test_a_damaged_zip_gives_no_file(tmp_path):
    z = write(tmp_path / "z.zip", [("a.tar", bytes(range(256)) * 40)])
    whole = z.read_bytes()
    z.write_bytes(whole[:60] + b"\xff" * 8 + whole[68:])
    with pytest.raises(InputError, match="damaged"):
        unpack_zip(z, tmp_path / "out")
    assert not (tmp_path / "out" / "a.tar").exists()
    z.write_bytes(b"no zip")
    with pytest.raises(InputError, match="damaged"):
        unpack_zip(z, tmp_path / "out")
