"""The command line as a user meets it: in a process of its own, with wrong arguments, broken files and Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

TOY = Path(__file__).parents[1] / "resume" / "toy.py"


def otoscope(*args, cwd=None, **env):
    found = subprocess.run(
        [sys.executable, "-m", "otoscope", *map(str, args)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", **env},
        timeout=240,
    )
    assert "Traceback" not in found.stderr, found.stderr
    return found


@pytest.fixture(scope="module")
def toml(tmp_path_factory):
    path = tmp_path_factory.mktemp("experiment") / "toy.toml"
    path.write_text(
        f'title = "toy"\n[presets.a]\nmodels = ["file:{TOY}#ToyEncoder"]\n'
        f'[[presets.a.grid]]\ntasks = ["file:{TOY}#ToyTask:n=12", "file:{TOY}#ToyTask:n=12,readout=true"]\n'
    )
    return path


@pytest.fixture(scope="module")
def done(toml, tmp_path_factory):
    into = tmp_path_factory.mktemp("done") / "run"
    found = otoscope("run", toml, "--into", into)
    assert found.returncode == 0, found.stderr
    return into, found.stdout


def test_the_run_says_what_it_did_and_names_its_report(done):
    into, text = done
    assert "2 cells into" in text
    assert "[2/2]" in text
    assert "24 of 24 items done, 0 failed" in text
    assert text.strip().endswith(f"report: {into / 'report.html'}")
    assert (into / "report.html").stat().st_size > 5000


def test_the_score_list_is_the_stable_interface(done):
    found = otoscope("results", done[0], "--json")
    scores = json.loads(found.stdout, parse_constant=lambda c: pytest.fail(f"{c} in JSON"))
    assert {s["metric"] for s in scores} == {"distance", "floor", "rank"}
    want = {"task", "condition", "model", "intervention", "metric", "factors", "value", "ci_low", "ci_high", "n"}
    assert all(want | {"n_groups", "n_failed"} <= set(s) for s in scores)


def test_dry_run_counts_and_writes_nothing(toml, tmp_path):
    into = tmp_path / "none"
    found = otoscope("run", toml, "--into", into, "--dry-run", "--json")
    plan = json.loads(found.stdout)
    assert [c["n_items"] for c in plan["cells"]] == [12, 12]
    assert all(c["seconds_left"] > 0 and c["bytes_left"] > 0 for c in plan["cells"])
    assert not into.exists()


def test_dry_run_on_a_finished_directory_says_done(toml, done):
    plan = json.loads(otoscope("run", toml, "--into", done[0], "--dry-run", "--json").stdout)
    assert [(c["n_done"], c["note"]) for c in plan["cells"]] == [(12, "done")] * 2


def test_failed_items_are_exit_code_1_and_say_why(tmp_path):
    task = f"file:{TOY}#ToyTask:n=12,broken=3"
    path = tmp_path / "e.toml"
    path.write_text(f'[presets.a]\nmodels = ["file:{TOY}#ToyEncoder"]\n[[presets.a.grid]]\ntasks = ["{task}"]\n')
    found = otoscope("run", path, "--into", tmp_path / "run")
    assert found.returncode == 1
    assert "11 of 12" not in found.stdout  # the failed item has its row: it is done, and failed
    assert "12 of 12 items done, 1 failed" in found.stdout
    listed = otoscope("results", tmp_path / "run", "--failed")
    assert "is broken on purpose" in listed.stdout


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["rnu"], 2, "run"),
        (["run", "bmdl"], 2, "Did you mean bmld"),
        (["run", "bmld", "--preset", "smal"], 2, "small"),
        (["run", "bmld", "--model", "logmel-ipdd"], 2, "logmel-ipd"),
        (["run", "bmld", "--model", "logmel-ipd:layr=3"], 2, "layer"),
        (["run", "bmld", "--task", "bmld:n_sedes=3"], 2, "n_seeds"),
        (["run", "bmld", "--task", "bmld:frequencies=abc"], 2, "numbers"),
        (["run", "bmld", "--task", "bmld:frequencies=9000"], 3, "9000"),
        (["run", "bmld", "--task", "bmld:grid=smal"], 2, "small"),
        (["run", "bmld", "--condition", "phase-onyl"], 2, "phase-only"),
        (["run", "bmld", "--condition", "vocoder:carriers=none"], 2, "carriers"),
        (["run", "bmld", "--condition", "vocoder:depth=3"], 2, "depth"),
        (["run", "bmld", "--condition", "magnitude-only:needs=x"], 2, "needs"),
        (["run", "bmld", "--intervention", "headroute"], 2, "headrouter"),
        (["run", "bmld", "--shard", "3/2"], 2, "i/n"),
        (["run", "bmld", "--workers", "0"], 2, "workers"),
        (["run", "bmld", "--limit", "0"], 2, "limit"),
        (["run", "gone.toml"], 3, "gone.toml"),
        (["run", "bmld", "--task", "bmld/speech", "--data", "gone"], 3, "gone"),
        (["run", "bmld", "--model", "file:gone.py#X"], 2, "gone.py"),
        (["results", "gone"], 3, "gone"),
        (["show", "logmel-ipdd"], 2, "logmel-ipd"),
        (["ls", "modles"], 2, "models"),
        (["data", "ls", "gone"], 3, "gone"),
        (["merge", "gone", "--into", "x"], 3, "gone"),
    ],
)
def test_mistakes_end_in_one_line_and_their_code(args, code, says, tmp_path):
    found = otoscope(*args, cwd=tmp_path)
    assert found.returncode == code, found.stderr
    assert says in found.stderr
    assert list(tmp_path.iterdir()) == []


def test_missing_weights_are_one_line_and_the_rest_finishes(tmp_path):
    path = tmp_path / "e.toml"
    path.write_text(
        '[presets.a]\nmodels = ["hubert-large"]\nreferences = ["logmel-ipd"]\n'
        '[[presets.a.grid]]\ntasks = ["bmld:frequencies=500,snrs=-14,n_seeds=2"]\n'
    )
    found = otoscope("run", path, "--into", tmp_path / "run")
    assert found.returncode == 1
    line = [x for x in found.stderr.splitlines() if "hubert-large" in x]
    assert line
    assert "facebook/hubert-large" in line[0]
    scores = json.loads(otoscope("results", tmp_path / "run", "--json").stdout)
    assert any(s["model"] == "logmel-ipd" and s["metric"] == "delta_bmld_db" and s["value"] for s in scores)
    assert any(s["model"] == "hubert-large" and s["n_failed"] == 2 for s in scores)


def test_a_newer_directory_and_a_damaged_shard_are_named(done, tmp_path):
    import shutil

    newer = tmp_path / "newer"
    shutil.copytree(done[0], newer)
    record = json.loads((newer / "experiment.json").read_text())
    key = next(k for k in record if "schema" in k)
    record[key] = 999
    (newer / "experiment.json").write_text(json.dumps(record))
    found = otoscope("results", newer)
    assert found.returncode == 3
    assert "999" in found.stderr

    broken = tmp_path / "broken"
    shutil.copytree(done[0], broken)
    shard = sorted(broken.glob("items/*/*.parquet"))[0]
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 0xFF
    shard.write_bytes(bytes(data))
    found = otoscope("results", broken)
    assert found.returncode == 3
    assert shard.name in found.stderr
    assert "run the same command again" in found.stderr


def test_a_full_disk_is_one_line(toml, tmp_path):
    found = otoscope("run", toml, "--into", tmp_path / "r", OTOSCOPE_FAULT="store.shard.half-written:1:enospc")
    assert found.returncode == 3
    assert "the disk is full" in found.stderr


def test_ctrl_c_leaves_a_directory_that_resumes(toml, tmp_path):
    text = toml.read_text().replace("#ToyEncoder", "#ToyEncoder:slow=0.05")
    slow = tmp_path / "slow.toml"
    slow.write_text(text)
    into = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "otoscope", "run", str(slow), "--into", str(into), "--workers", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until = time.monotonic() + 60
    while not list(into.glob("items/*/*.parquet")) and time.monotonic() < until:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # what a terminal sends: to the whole group
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "run the same command again" in err
    assert "Traceback" not in err
    found = otoscope("run", slow, "--into", into)
    assert found.returncode == 0
    assert "24 of 24 items done" in found.stdout


def test_shards_merge_into_the_whole(toml, done, tmp_path):
    for i in (1, 2):
        found = otoscope("run", toml, "--into", tmp_path / f"p{i}", "--shard", f"{i}/2")
        assert found.returncode == 0, found.stderr
    assert otoscope("merge", tmp_path / "p1", tmp_path / "p2", "--into", tmp_path / "all").returncode == 0
    found = otoscope("run", toml, "--into", tmp_path / "all")
    assert found.returncode == 0, found.stderr
    merged, whole = (json.loads(otoscope("results", d, "--json").stdout) for d in (tmp_path / "all", done[0]))
    assert merged == whole


def test_every_verb_has_help_with_an_example():
    from otoscope.cli import VERBS

    for verb in VERBS:
        text = otoscope(verb, "--help").stdout
        if verb == "data":
            text += otoscope(verb, "export", "--help").stdout
        assert f"otoscope {verb}" in text
        assert "Example" in text


def test_convert_says_what_is_wrong(tmp_path):
    for name, code, said in (("gram-t", 3, "no such file"), ("hubert-large", 2, "transformers reads its checkpoint")):
        found = otoscope("convert", name, tmp_path / "none.pt", tmp_path / "out.safetensors")
        assert (found.returncode, found.stdout) == (code, "")
        assert said in found.stderr
    assert not list(tmp_path.iterdir())


def test_ls_and_show(tmp_path):
    listed = json.loads(otoscope("ls", "--json").stdout)
    assert {"bmld", "bmld/threshold", "bmld/speech"} <= {t["name"] for t in listed["tasks"]}
    assert "phase-only" in {c["name"] for c in listed["conditions"]}
    assert "magnitude" in otoscope("show", "logmel-ild").stdout
    assert "chen2026" in otoscope("show", "bmld").stdout
    assert "threshold_db" in otoscope("show", "bmld/threshold").stdout
    card = json.loads(otoscope("show", "hubert-large", "--json").stdout)
    assert card[0]["hub id"].startswith("facebook/")


def test_neither_import_nor_help_imports_torch():
    code = "import sys, otoscope, otoscope.cli; assert not {'torch', 'transformers', 'scipy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    code = (
        "import sys\nfrom otoscope.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_compare_pairs_items(tmp_path):
    path = tmp_path / "e.toml"
    path.write_text(
        '[presets.a]\nmodels = ["logmel-ipd"]\n[[presets.a.grid]]\n'
        'tasks = ["bmld:frequencies=500,snrs=-14,n_seeds=6"]\nconditions = ["intact", "magnitude-only"]\n'
    )
    assert otoscope("run", path, "--into", tmp_path / "run").returncode == 0
    args = (
        "compare",
        tmp_path / "run",
        "--between",
        "condition",
        "--baseline",
        "intact",
        "--metric",
        "delta_ungated_db",
    )
    (found,) = json.loads(otoscope(*args, "--json").stdout)
    assert found["n"] == 6
    assert found["difference"] < -8
    assert found["ci_high"] < 0
    assert "logmel-ipd" in otoscope(*args).stdout
    assert otoscope("compare", tmp_path / "run", "--baseline", "intactt", "--between", "condition").returncode == 2
