"""What models are asked: ours for all alike, the published structure, a file; and options that are turned."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from otoscope.core.errors import InputError, UsageError
from otoscope.core.nouns import Card
from otoscope.tasks.audiomarathon.kinds import KINDS
from otoscope.tasks.audiomarathon.miniature import read_pool, write
from otoscope.tasks.audiomarathon.prompts import wordings
from otoscope.tasks.catalogue import resolve_task

CARD = Card("m", "audiolm", "", rate=16_000, channels=1, layers=())


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("marathon")
    write(folder, read_pool(None, "test", seeds=2), n=8, scale=0.02, seed=1)
    return folder


def asked(task: str, data: Path, **params: str) -> list:
    known = resolve_task(f"audiomarathon/{task}:data={data}" + "".join(f",{k}={v}" for k, v in params.items()))
    return [(item, known.request(item, CARD)) for item in known.items()]


@pytest.mark.parametrize("task", KINDS)
def test_ours_shows_every_option_behind_a_capital_and_has_no_system_message(task, data) -> None:
    for item, request in asked(task, data):
        assert request.system is None
        for letter, option in zip("ABCDE", item.target.options, strict=False):
            assert f"{letter}. {option}" in request.text.splitlines()


@pytest.mark.parametrize(
    ("task", "option", "tokens"),
    [
        ("asr", None, 1100), ("scr", "A. ", 5), ("ser", "A. ", 5), ("sed", "A. ", 5), ("mc", "A. ", 5),
        ("asc", "A: ", 5), ("sd", None, 5), ("er", "A) ", 10), ("sar", "A) ", 5), ("sgr", None, 5),
    ],
)  # fmt: skip
def test_the_published_structure(task, option, tokens, data) -> None:
    """Section 1.4 of the fact sheet: a system line, sound before text, the style of options, the bound."""
    item, request = asked(task, data, protocol="official-qwen")[0]
    assert request.system
    assert request.max_new_tokens == tokens
    if option is None:  # a transcript, or two fixed letters
        assert task == "asr" or {"a", "b"} <= set(request.text.replace(",", " ").split())
    else:
        assert [x for x in request.text.splitlines() if x.startswith(option)] == [option + item.target.options[0]]
    if task != "asr":
        assert (item.target.question in request.text) == (task not in ("asc", "sd", "sgr"))


def test_options_are_turned_and_the_right_one_moves_along(data) -> None:
    plain = {i.base_id: i.target for i, _ in asked("mc", data, turn="none")}
    every = asked("mc", data, turn="all")
    assert len(every) == 4 * len(plain)
    for base, entry in plain.items():
        turns = [i for i, _ in every if i.base_id == base]
        assert {i.factors["turn"] for i in turns} == {0, 1, 2, 3}
        assert {i.target.gold for i in turns} == {0, 1, 2, 3}
        assert {i.target.options[i.target.gold] for i in turns} == {entry.options[entry.gold]}
    own = asked("mc", data)
    assert Counter(i.target.options[i.target.gold] for i, _ in own) == Counter(
        e.options[e.gold] for e in plain.values()
    )
    assert any(i.target.options != plain[i.base_id].options for i, _ in own)


def test_a_file_gives_the_words_exactly(data, tmp_path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        '[sgr]\ntext = "Male or female?\\n{options}"\noption = "({letter}) {text}"\nlower = true\n'
        'system = "You listen."\nmax_new_tokens = 3\n'
    )
    item, request = asked("sgr", data, prompts=str(file))[0]
    a, b = item.target.options
    assert request.text == f"Male or female?\n(a) {a}\n(b) {b}"
    assert (request.system, request.max_new_tokens) == ("You listen.", 3)
    assert wordings(str(file))["mc"] == wordings("sound")["mc"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[sgr", "is no TOML"),
        ("[song]\ntext='x'", "has no task 'song'"),
        ("[sgr]\ntexts='x'", "no field 'texts'"),
        ("[sgr]\nmax_new_tokens='5'", "wrong kind"),
        ("[sgr]\nmax_new_tokens=0", "wrong kind"),
    ],
)
def test_a_file_with_mistakes_is_refused(text, said, data, tmp_path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(InputError, match=said):
        asked("sgr", data, prompts=str(file))
    with pytest.raises(UsageError, match="no prompts"):
        asked("sgr", data, prompts=str(tmp_path / "nowhere.toml"))


def test_prompts_that_name_the_letters_are_not_turned(data) -> None:
    """The words of the publication say which letter is male: turned options would be read the wrong way round."""
    with pytest.raises(UsageError, match="name their letters themselves"):
        resolve_task(f"audiomarathon/sgr:data={data},prompts=official-qwen")
    assert asked("sgr", data, prompts="official-qwen", turn="none")
