import pytest

from otoscope.core.errors import InputError, UsageError
from otoscope.core.naming import parse_spec
from otoscope.experiments.experiment import (
    Experiment,
    load_experiment,
    named_experiments,
    parse_experiment,
    with_twins,
)

SMALL = {
    "title": "t",
    "presets": {
        "a": {
            "models": ["m:init=random"],
            "references": ["r"],
            "twins": 2,
            "grid": [{"tasks": ["bmld"]}, {"tasks": ["bmld/speech"], "conditions": ["x", "y"], "references": []}],
        }
    },
}


def parse(data=SMALL, **kw):
    return parse_experiment(data, name="e", preset=kw.pop("preset", None), where="e.toml", **kw)


def test_the_grid_expands_model_by_model():
    cells = parse().cells()
    models = [str(c.model) for c in cells]
    assert models == sorted(models, key=models.index)
    assert sum(str(c.model) == "r" for c in cells) == 1
    assert sum(c.task.name == "bmld/speech" for c in cells) == 2 * 3  # two conditions, the subject and its two twins


def test_twins_have_other_seeds_than_a_subject_that_is_random_itself():
    assert [str(m) for m in with_twins(parse_spec("m"), 2)] == ["m", "m:init=random,seed=1", "m:init=random,seed=2"]
    twins = with_twins(parse_spec("m:init=random,seed=1"), 2)
    assert [m.params["seed"] for m in twins] == [1, 2, 3]


def test_overrides_replace_subjects_and_keep_references():
    exp = parse().override(models=["mine"], twins=0, seed=5, limit=3)
    cells = exp.cells()
    assert {str(c.model) for c in cells} == {"mine", "r"}
    assert {c.seed for c in cells} == {5}
    assert exp.limit == 3


def test_ones_own_models_get_twins_when_asked_for():
    assert {str(c.model) for c in parse().override(models=["mine"]).cells()} == {"mine", "r"}
    asked = parse().override(models=["mine"], twins=2).cells()
    assert len({str(c.model) for c in asked}) == 4
    sound = load_experiment("bmld", "sound").override(models=["mine"])
    assert len({str(c.model) for c in sound.cells() if c.model.name == "mine"}) == 11


def test_tasks_select_blocks_with_their_conditions():
    cells = parse().override(tasks=["bmld/speech"]).cells()
    assert {c.task.name for c in cells} == {"bmld/speech"}
    assert {str(c.condition) for c in cells} == {"x", "y"}
    cells = parse().override(tasks=["bmld:grid=chen2026"]).cells()
    assert {str(c.task) for c in cells} == {"bmld:grid=chen2026"}


def test_data_goes_to_the_tasks_that_read_data():
    exp = load_experiment("bmld").override(data="some/folder")
    tasks = {str(c.task) for c in exp.cells()}
    assert "bmld/speech:data=some/folder,rooms=dry office" in tasks
    assert not any(t.startswith("bmld:") and "data" in t for t in tasks)


def test_an_experiment_describes_itself_as_json():
    import json

    assert json.loads(json.dumps(parse().describe()))["twins"] == 2
    assert isinstance(parse(), Experiment)


@pytest.mark.parametrize("name", sorted(named_experiments()))
def test_every_preset_of_every_named_experiment_parses(name):
    import tomllib

    presets = tomllib.loads(named_experiments()[name].read_text())["presets"]
    for preset in presets:
        assert load_experiment(name, preset).cells() or preset in ("chen2026", "sound")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"presets": {}}, "presets"),
        ({"presets": {"a": {"grid": []}}}, "at least one"),
        ({"presets": {"a": {"grid": [{"tasks": []}]}}}, "no tasks"),
        ({"presets": {"a": {"grid": [{"tasks": "bmld"}]}}}, "list of names"),
        ({"presets": {"a": {"gird": [{"tasks": ["bmld"]}]}}}, "grid"),
        ({"presets": {"a": {"grid": [{"tasks": ["bmld"], "modles": []}]}}}, "models"),
        ({"tittle": "x", "presets": {"a": {}}}, "title"),
    ],
)
def test_bad_files_say_what_and_where(change, says):
    with pytest.raises(InputError, match=says) as e:
        parse(change)
    assert "e.toml" in str(e.value)


def test_wrong_names_are_usage_errors(tmp_path):
    with pytest.raises(UsageError, match="bmld"):
        load_experiment("bmdl")
    with pytest.raises(UsageError, match="chen2026"):
        load_experiment("bmld", "chen2062")
    with pytest.raises(InputError, match="cannot be read"):
        load_experiment(str(tmp_path / "gone.toml"))
    broken = tmp_path / "broken.toml"
    broken.write_text("title = ")
    with pytest.raises(InputError, match="TOML"):
        load_experiment(str(broken))
