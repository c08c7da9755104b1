"""The documentation does what it says: its code runs, its links lead somewhere, its lists are the package's own."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]


def load(path: Path):
    spec = importlib.util.spec_from_file_location(f"documentation_{path.stem}", path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


runner = load(Path(__file__).with_name("runner.py"))
RUN = [p for p in PAGES if any(not b.skipped and b.kind in ("python", "bash", "console") for b in runner.blocks(p))]


@pytest.mark.parametrize("page", RUN, ids=lambda p: p.name)
def test_code_blocks(page, tmp_path):
    assert runner.Reader(tmp_path).follow(page) > 0


def test_the_pages_that_should_run_do():
    names = {p.name for p in RUN}
    assert {"README.md", "tutorial.md", "errors.md"} <= names
    assert {p.name for p in (DOCS / "how-to").glob("*.md")} <= names


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_to_files(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = [t.split("#")[0] for t in re.findall(r"\]\(([^)\s]+)\)", text)]
    missing = [t for t in targets if t and "://" not in t and not (page.parent / t).is_file()]
    assert not missing


def test_every_page_is_in_the_navigation():
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    listed = set(re.findall(r": (\S+\.md)$", text, flags=re.MULTILINE))
    assert listed == {p.relative_to(DOCS).as_posix() for p in DOCS.rglob("*.md")}


def test_the_drawing_shows_the_imports_that_there_are():
    """Which package imports which, and whether only inside functions; how often is left to the next drawing."""
    tool = load(ROOT / "tools" / "architecture_drawing.py")
    assert tool.real(), "no imports were found"
    assert tool.drawn() == tool.real(), "run: python tools/architecture_drawing.py"


def test_the_command_reference_is_current():
    """White space aside, for versions of click wrap differently."""
    made = load(ROOT / "tools" / "cli_reference.py")
    assert made.page().split() == made.PAGE.read_text(encoding="utf-8").split(), "run: python tools/cli_reference.py"


def words(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def test_names_lists_every_condition_and_every_parameter():
    from otoscope.models.encoders.channels import POLICIES
    from otoscope.models.encoders.view import VIEW_PARAMS
    from otoscope.models.resolve import CHECKPOINT_PARAMS
    from otoscope.readouts.pooling import MERGES, POOLS
    from otoscope.tasks.bmld.grids import GRIDS
    from otoscope.tasks.catalogue import CONDITIONS, TASKS

    text = words("reference/names.md")
    wanted = [*CONDITIONS, *TASKS, *POLICIES, *VIEW_PARAMS, *CHECKPOINT_PARAMS, *MERGES, *POOLS, *GRIDS]
    for name in TASKS:
        wanted += [f.name for f in dataclasses.fields(TASKS.get(name)) if f.name != "name"]
    assert [name for name in wanted if f"`{name}`" not in text] == []


def test_names_lists_every_intervention_and_every_parameter():
    from otoscope.interventions.catalogue import INTERVENTIONS

    text = words("reference/names.md").partition("## Interventions")[2].partition("## Experiments")[0]
    wanted = list(INTERVENTIONS)
    for name in INTERVENTIONS:
        fields = dataclasses.fields(INTERVENTIONS.get(name)) if name != "none" else ()
        wanted += [f.name for f in fields if f.name != "name" and not f.name.endswith("_")]
    assert [name for name in wanted if f"`{name}`" not in text] == []


def test_the_curves_of_the_tiny_separator_are_those_of_its_weights():
    tool = load(ROOT / "tools" / "separator_curves.py")
    for which in tool.KEPT.values():
        assert tool.table(which) in words("explanation/models/tiny-separator.md")


def test_the_figures_of_the_tiny_audio_language_model_are_those_of_its_weights():
    told = load(ROOT / "tools" / "audiolm_figures.py").table()
    assert told in words("explanation/models/tiny-audiolm.md")


def test_the_losses_of_the_small_proof_are_those_beside_its_weights():
    assert load(ROOT / "tools" / "uniwhisper_figures.py").losses() in words("explanation/uniwhisper.md")


def test_the_schema_page_lists_every_column_and_every_score():
    from otoscope.results.schema import CELL_STATUSES, CELLS, ROWS, STATUSES
    from otoscope.results.scoring import Score
    from otoscope.tasks.catalogue import TASKS, resolve_task

    text = words("reference/results-schema.md")
    wanted = [*ROWS.names, *CELLS.names, *STATUSES, *CELL_STATUSES, *Score.__dataclass_fields__]
    wanted += [
        m.metric
        for name in TASKS
        if not name.startswith(("probes/folder", "probes/hear", "xares/"))
        for m in resolve_task(name).measures()
    ]
    assert [name for name in wanted if f"`{name}`" not in text] == []


def table(text: str, header: str) -> dict[str, dict[str, str]]:
    """The Markdown table whose header starts with ``header``: row name -> column -> cell."""
    lines = text[text.index(f"| {header}") :].split("\n\n")[0].splitlines()
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in lines]
    return {row[0]: dict(zip(cells[0][1:], row[1:], strict=True)) for row in cells[2:]}


def test_the_published_numbers_are_the_packages_own():
    """The page repeats figures that the package holds as data."""
    text = words("explanation/bmld.md")
    data = ROOT / "src" / "otoscope" / "tasks" / "bmld" / "data" / "published_chen2026.json"
    series = {s["id"]: s for s in json.loads(data.read_text(encoding="utf-8"))["series"]}
    by_frequency = table(text, "series |")
    assert len(by_frequency) == 7
    for name, row in by_frequency.items():
        key = {"EC, as plotted": "EC", "human, as plotted": "Human"}.get(name, name)
        assert [float(v) for v in row.values()] == series[f"fig1a/{key}"]["values"]
    by_snr = table(text, "SNR |")
    assert len(by_snr) == 4
    for name, row in by_snr.items():
        published = dict(zip(series[f"fig1b/{name}"]["snrs_db"], series[f"fig1b/{name}"]["values"], strict=True))
        assert {int(k): None if v == "-" else float(v) for k, v in row.items()} == {
            int(k): published[int(k)] for k in row
        }


def test_the_readme_names_the_two_commands():
    """The continuous integration script reads the second one from here."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(re.findall(r"^<!-- test-command -->\n```bash\n[^\n]+\n```$", text, flags=re.MULTILINE)) == 1
    first = text[: text.index("## ")] + text[text.index("## ") :].split("## ")[0]
    assert first.count("```bash") == 2


def test_examples_are_what_the_pages_say(tmp_path):
    """The example files run as their first lines say."""
    commands = []
    for path in sorted((ROOT / "examples").iterdir()):
        if path.is_file():
            commands += re.findall(r"Try: (otoscope [^\n\"]+)", path.read_text(encoding="utf-8"))
    assert len(commands) == 3
    reader = runner.Reader(tmp_path)
    for command in commands:
        if "quick.toml" not in command:  # the tutorial runs it
            reader.run(["bash", "-c", command], command, ok=True)
