"""The three parsers, and the published one's faults that the other two do not have."""

from __future__ import annotations

import pytest

from otoscope.core.errors import UsageError
from otoscope.tasks.audiomarathon.parsers import class_of, lenient, official, parser, strict

FOUR = ("two dogs", "a cat", "rain", "a car and rain")
PAIR = ("Real", "Fake")


@pytest.mark.parametrize("reply", ["B", "b.", "(B)", " B) a cat", "a cat", "A CAT."])
def test_strict_takes_a_letter_or_its_option(reply: str) -> None:
    assert strict("sed", reply, FOUR) == 1


@pytest.mark.parametrize("reply", ["", "I cannot tell", "B or C", "B. rain", "The answer is B", "F"])
def test_strict_takes_nothing_else(reply: str) -> None:
    assert strict("sed", reply, FOUR) is None


@pytest.mark.parametrize(
    ("reply", "index"),
    [("The answer is B", 1), ("B. because it meows", 1), ("Option (C)", 2), ("I hear a car and rain.", 3), ("rain", 2)],
)
def test_lenient_reads_answers_that_are_set_off(reply: str, index: int) -> None:
    assert lenient("sed", reply, FOUR) == index


@pytest.mark.parametrize("reply", ["CANNOT", "a cat or two dogs", "answer A, no, answer B", "", "x" * 100_000])
def test_lenient_refuses_what_names_none_or_two(reply: str) -> None:
    assert lenient("scr", reply, FOUR) is None


def test_the_published_parser_takes_the_first_letter_of_a_refusal() -> None:
    assert official("scr", "I cannot tell", FOUR) == 2
    assert lenient("scr", "I cannot tell", FOUR) is None


def test_the_published_parser_calls_a_fake_segment_real() -> None:
    said = "It contains a fake segment"
    assert official("sd", said, PAIR) == 0
    assert lenient("sd", said, PAIR) == 1


def test_the_published_parser_drops_a_bare_angry() -> None:
    options = ("Angry, loud", "Sad, slow", "Happy, quick", "Fearful, trembling")
    assert official("er", "Angry", options) is None
    assert lenient("er", "Angry", options) == 0
    assert official("er", "fear", options) == 3


def test_classes_are_found_in_options() -> None:
    assert class_of("asc", "Metro Station - metro_station") == "metro_station"
    assert class_of("asc", "Metro - metro") == "metro"
    assert class_of("mc", "Hip-Hop - hiphop") == "hiphop"
    assert class_of("sgr", "Female") == "female"
    assert class_of("sar", "Senior (51-70)") == "Senior (51-70)"
    assert class_of("mc", "polka") is None


def test_an_unknown_parser_is_refused() -> None:
    with pytest.raises(UsageError, match="parser"):
        parser("clever")
