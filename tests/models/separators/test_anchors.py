"""Spans to frames, against a count by hand."""

from __future__ import annotations

import pytest

from otoscope.core.errors import InputError
from otoscope.core.nouns import Span
from otoscope.models.separators.anchors import anchors_of


def test_a_span_holds_the_frames_between_the_ceilings() -> None:
    # 25 frames per second: 0.05 s is frame 1.25, so the first frame is 2; 0.2 s is frame 5, which is not held.
    assert anchors_of([Span(0.05, 0.2)], 8, 25.0).tolist() == [0, 0, 1, 1, 1, 0, 0, 0]
    assert anchors_of([Span(0.0, 0.32)], 8, 25.0).tolist() == [1] * 8


def test_later_spans_overwrite_earlier_ones() -> None:
    both = [Span(0.0, 0.2), Span(0.12, 0.28, "-")]
    assert anchors_of(both, 8, 25.0).tolist() == [1, 1, 1, 2, 2, 2, 2, 0]
    assert anchors_of(both[::-1], 8, 25.0).tolist() == [1, 1, 1, 1, 1, 2, 2, 0]


def test_a_time_on_a_frame_is_that_frame() -> None:
    for frame in range(1, 500):
        assert anchors_of([Span(frame * 0.04, 20.0)], 500, 25.0).tolist().index(1) == frame


@pytest.mark.parametrize("span", [Span(0.2, 0.2), Span(0.2, 0.1), Span(-0.1, 0.2), Span(0.1, 0.5), Span(0.13, 0.15)])
def test_spans_that_cannot_be(span: Span) -> None:
    with pytest.raises(InputError):
        anchors_of([span], 8, 25.0)


def test_an_unknown_sign() -> None:
    with pytest.raises(InputError, match="sign"):
        anchors_of([Span(0.0, 0.2, "?")], 8, 25.0)  # type: ignore[arg-type]
