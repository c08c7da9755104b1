"""``otoscope data fetch``, from a server that answers as Zenodo does, to a score."""

from __future__ import annotations

import hashlib
import json
import zipfile

import pytest
from click.testing import CliRunner
from http_server import serving

from otoscope.cli import cli
from otoscope.core.download import Patience
from otoscope.core.errors import InputError, UsageError
from otoscope.tasks.catalogue import resolve_task
from otoscope.tasks.probes.catalog import xares_tasks
from otoscope.tasks.probes.fetch import ZENODO, fetch_task
from otoscope.tasks.probes.miniature import write_miniature

PATIENCE = Patience(tries=3, timeout_s=5, sleep=lambda s: None)


def zenodo(folders, extra=()):
    """Paths and contents of records as the API gives them; links are to zenodo.org, as there."""
    pages = {}
    for folder in folders:
        record = xares_tasks()[folder.name].zenodo
        files = [(p.name, p.read_bytes()) for p in sorted(folder.glob("*.tar"))] + list(extra)
        about = []
        for name, data in files:
            path = f"/api/records/{record}/files/{name}/content"
            pages[path] = data
            told = {"key": name, "size": len(data), "checksum": f"md5:{hashlib.md5(data).hexdigest()}"}
            about.append({**told, "links": {"self": f"{ZENODO}{path}"}})
        pages[f"/api/records/{record}"] = json.dumps({"id": int(record), "files": about}).encode()
    return pages


def miniature(name, root, **more):
    return write_miniature(xares_tasks()[name], root, **{"n": 10, "n_classes": 2, "seconds": (0.2,), **more})


@pytest.fixture
def esc50(tmp_path):
    folder = miniature("esc50", tmp_path / "made")
    with serving(zenodo([folder], [("README.md", b"hello")])) as server:
        yield folder, server


def get(name, root, server, **more):
    return fetch_task(xares_tasks()[name], root, source=server.address, patience=PATIENCE, **more)


def test_every_public_task_has_a_record():
    assert all(t.record_url == f"https://zenodo.org/api/records/{t.zenodo}" for t in xares_tasks().values())
    assert all(t.zenodo.isdecimal() and len(t.zenodo) == 8 for t in xares_tasks().values())
    assert len({t.zenodo for t in xares_tasks().values()}) == 21  # LibriSpeech serves two


def test_what_is_fetched_is_what_was_published_and_needs_no_network_again(esc50, tmp_path):
    made, server = esc50
    found = get("esc50", tmp_path / "root", server)
    assert found.skipped == ("README.md",)
    assert sorted(found.new) == sorted(p.name for p in made.iterdir())
    for p in made.iterdir():
        assert (found.folder / p.name).read_bytes() == p.read_bytes()
    asked = len(server.asked)
    again = fetch_task(xares_tasks()["esc50"], tmp_path / "root", patience=PATIENCE)  # zenodo.org itself: not asked
    assert (again.archives, again.new, len(server.asked)) == (found.archives, (), asked)
    one = found.folder / found.archives[0].name
    one.write_bytes(one.read_bytes()[:-1] + b"!")
    with pytest.raises(InputError, match="is not the published file"):
        fetch_task(xares_tasks()["esc50"], tmp_path / "root", patience=PATIENCE)


def test_an_interrupted_task_goes_on(esc50, tmp_path):
    _, server = esc50
    server.hook = lambda path: server.answers.extend([403] if path.count("fold-3") and len(server.asked) < 9 else [])
    with pytest.raises(InputError, match="403"):
        get("esc50", tmp_path, server)
    had = {p.name for p in (tmp_path / "esc50").iterdir()}
    assert had
    assert not any(n.endswith(".json") for n in had)
    server.hook = lambda path: None
    found = get("esc50", tmp_path, server)
    assert not had & set(found.new)
    assert {a.name for a in found.archives} == had | set(found.new)


def test_a_record_that_lacks_an_archive_or_lies_is_refused(tmp_path):
    folder = miniature("esc50", tmp_path / "made")
    pages = zenodo([folder])
    api = "/api/records/14614287"
    whole = json.loads(pages[api])
    fold5 = [f for f in whole["files"] if "fold-5" not in f["key"]]
    evil = [{**whole["files"][0], "key": "../../evil.tar"}]
    lie = [{**whole["files"][0], "checksum": "md5:" + "0" * 32}]
    for files, message in ((fold5, r"no archive wds-audio-fold-5-\*.tar"), (evil, "unsafe name"), (lie, "twice")):
        with serving({**pages, api: json.dumps({"files": files}).encode()}) as server:
            with pytest.raises(InputError, match=message):
                get("esc50", tmp_path / message[:6], server)
            assert not (tmp_path / message[:6] / "esc50" / "fetched.json").exists()
    with serving({api: b'{"message": "gone"}'}) as server, pytest.raises(InputError, match="is no Zenodo record"):
        get("esc50", tmp_path / "root", server)


def test_tasks_of_one_record_share_their_files(tmp_path):
    made = miniature("librispeech", tmp_path / "made")
    with serving(zenodo([made])) as server:
        first = get("librispeech", tmp_path, server)
        n = len(server.asked)
        second = get("librispeechmalefemale", tmp_path, server)
        assert len(server.asked) == n + 1  # the record, no file
    assert second.new == ()
    assert [a.sha256 for a in first.archives] == [a.sha256 for a in second.archives]


@pytest.mark.parametrize("served", [True, False])
def test_a_zip_of_the_record_by_hand_or_in_it(tmp_path, served):
    made = miniature("esc50", tmp_path / "made")
    path = tmp_path / "14614287.zip"
    with zipfile.ZipFile(path, "w") as z:
        for p in sorted(made.iterdir()):
            z.write(p, f"esc50/{p.name}")
    if served:
        pages = zenodo([tmp_path / "none" / "esc50"], [("esc50.zip", path.read_bytes())])
        with serving(pages) as server:
            found = get("esc50", tmp_path / "root", server)
        assert (found.folder / "esc50.zip").is_file()
    else:
        found = fetch_task(xares_tasks()["esc50"], tmp_path / "root", source=str(path))
    assert {a.name for a in found.archives} == {p.name for p in made.iterdir()}
    assert {a.published for a in found.archives} == {None}
    with pytest.raises(UsageError, match="no such file"):
        fetch_task(xares_tasks()["esc50"], tmp_path, source=str(tmp_path / "none.zip"))


def test_the_command_line_fetches_what_a_run_reads(esc50, tmp_path, monkeypatch):
    _, server = esc50
    monkeypatch.setenv("OTOSCOPE_CACHE", str(tmp_path / "cache"))
    arguments = ["data", "fetch", "xares/esc50", "--from", server.address]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    assert "xares/esc50: 10 archives" in done.output
    assert "left: README.md" in done.output
    assert len(resolve_task("xares/esc50").collection.entries) == 50
    (told,) = json.loads(CliRunner().invoke(cli, [*arguments, "--json"]).output)
    assert (told["task"], told["new"]) == ("xares/esc50", [])
    plan = CliRunner().invoke(cli, ["data", "fetch", "xares/*", "--dry-run", "--json"])
    assert len(json.loads(plan.output)) == 22
    wrong = CliRunner().invoke(cli, ["data", "fetch", "xares/esc5"])
    assert "xares/esc50" in str(wrong.exception or wrong.output)
