"""Scores against scikit-learn, word errors, the published table's own arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from otoscope.tasks.audiomarathon.published import means, published
from otoscope.tasks.audiomarathon.scores import f1, f1_of_means
from otoscope.tasks.transcripts import normalised, word_errors


@pytest.mark.parametrize("average", ["macro", "weighted"])
def test_f1_is_scikit_learns(average: str) -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        true, said = rng.integers(0, 4, 50), rng.integers(0, 4, 50)
        ours = f1(true, said, range(4), average)
        assert ours == pytest.approx(100 * f1_score(true, said, average=average, labels=sorted({*true, *said})))


@pytest.mark.parametrize("average", ["macro", "weighted"])
@pytest.mark.parametrize("drop", [False, True])
def test_f1_as_a_function_of_means_is_f1(average: str, drop: bool) -> None:
    rng = np.random.default_rng(2)
    how = f1_of_means("true", "said", 5, average, drop)
    for _ in range(20):
        true, said = rng.integers(0, 4, 40), rng.integers(-1, 4, 40)
        kept = (said >= 0) | (not drop)
        columns = type("C", (dict,), {"n": 40})({"true": true, "said": said})
        found = how.combine(*how.values(columns).mean(1))
        classes = sorted({*true[kept].tolist(), *said[kept].tolist()} - {-1})
        assert float(found) == pytest.approx(f1(true[kept], said[kept], classes, average))


def test_a_constant_answer_on_two_balanced_classes_gets_a_third() -> None:
    true = np.array([0, 1] * 50)
    assert f1(true, np.zeros(100, int), (0, 1)) == pytest.approx(100 / 3)


def test_unreadable_replies_are_wrong() -> None:
    true = np.array([0, 1, 0, 1])
    assert f1(true, np.array([0, 1, -1, -1]), (0, 1)) == pytest.approx(100 * 2 / 3)


def test_the_published_means_are_those_of_the_rows() -> None:
    data = published()
    assert len(data["rows"]) == 16
    for model, row in data["rows"].items():
        found = means(dict(zip(data["order"], row["scores"], strict=True)))
        assert found["ten"] == pytest.approx(row["mean"], abs=0.0501), model
    human = dict(zip(data["order"], data["human"]["scores"], strict=True))
    assert human.pop("asr") is None
    assert means(human) == {"nine": pytest.approx(data["human"]["mean_of_nine"], abs=0.051)}


def test_word_errors_and_the_two_ways_of_hyphens() -> None:
    found = word_errors("a well-known dog barks", "a well known dog bark")
    assert (found.errors, found.words) == (1, 5)
    found = word_errors("a well-known dog barks", "a well known dog bark", "official")
    assert found.words == 4
    assert found.errors == 3
    assert normalised("Don't, stop!", "sound") == "don't stop"
    assert word_errors("one two", "").errors == 2
    with pytest.raises(ValueError, match="no words"):
        word_errors("...", "one")
