import sys
import textwrap

import pytest

from otoscope.core.errors import UsageError
from otoscope.core.registry import Registry, load_from_file


@pytest.fixture
def registry():
    r = Registry("model", "otoscope.test_group")
    r.add("logmel-ipd", "json:dumps", "a summary")
    r.add("logmel-ild", "no_such_module_at_all:thing")
    return r


def test_nothing_is_imported_before_it_is_asked_for(registry):
    assert list(registry) == ["logmel-ild", "logmel-ipd"]
    assert registry.entry("logmel-ild").summary == ""
    with pytest.raises(ModuleNotFoundError):
        registry.get("logmel-ild")
    assert registry.get("logmel-ipd") is __import__("json").dumps


def test_a_wrong_name_lists_near_ones(registry):
    with pytest.raises(UsageError, match="logmel-ipd"):
        registry.get("logmel-ipdd")


def test_a_name_is_taken_once(registry):
    with pytest.raises(ValueError, match="already"):
        registry.add("logmel-ipd", "x:y")


def _install(folder, name, module, text):
    (folder / f"{module}.py").write_text(text)
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[otoscope.test_group]\n{name} = {module}:Thing\n")


def test_another_package_adds_names_by_entry_point(tmp_path, monkeypatch, registry):
    _install(tmp_path, "theirs", "oto_plug_one", "class Thing:\n    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "theirs" in registry
    assert "oto_plug_one" not in sys.modules
    assert registry.get("theirs").__name__ == "Thing"


def test_two_packages_with_one_name_is_an_error(tmp_path, monkeypatch, registry):
    _install(tmp_path, "theirs", "oto_plug_two", "class Thing:\n    pass\n")
    _install(tmp_path, "theirs", "oto_plug_three", "class Thing:\n    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UsageError, match="two packages"):
        list(registry)


def test_a_broken_plug_in_is_named(tmp_path, monkeypatch, registry):
    _install(tmp_path, "broken", "oto_plug_four", "raise RuntimeError('no')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UsageError, match=r"broken.*no"):
        registry.get("broken")


def test_objects_in_local_files(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(textwrap.dedent("class MyEncoder:\n    rate = 16000\n"))
    assert load_from_file(f"file:{path}#MyEncoder").rate == 16000
    with pytest.raises(UsageError, match="MyEncoder"):
        load_from_file(f"file:{path}#MyEncodr")
    with pytest.raises(UsageError, match="no such file"):
        load_from_file(f"file:{tmp_path / 'gone.py'}#X")
    with pytest.raises(UsageError, match="which object"):
        load_from_file(f"file:{path}")
    bad = tmp_path / "bad.py"
    bad.write_text("import nothing_like_this\n")
    with pytest.raises(UsageError, match="nothing_like_this"):
        load_from_file(f"file:{bad}#X")
