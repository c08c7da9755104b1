import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otoscope.core.errors import UsageError
from otoscope.tasks.bmld.metrics import distance, gate, ratio_db, triplet_rows

V = np.array


def rows(n0, s0, spi, other, again=None, kind="euclidean"):
    z = [V(x, dtype=np.float32) for x in (n0, s0, spi, other, n0 if again is None else again)]
    return {r.metric: r for r in triplet_rows(*z, kind=kind, factors={}, ratio="ratio")}


def test_the_ratio_is_eq_1():
    r = rows([0, 0], [1, 0], [0, 10], [1, 1])
    assert r["ratio"].value == pytest.approx(20.0)
    assert r["d_pi"].value == 10.0
    assert r["d_0"].value == 1.0
    assert r["d_n0"].value == pytest.approx(math.sqrt(2))


def test_equal_inputs_give_exactly_zero():
    assert rows([0, 0], [1, 3], [1, 3], [1, 1])["ratio"].value == 0.0


def test_no_distance_no_logarithm():
    r = rows([1, 2], [2, 2], [1, 2], [1, 1])["ratio"]
    assert r.value is None
    assert r.status == "undefined"
    assert "logarithm" in r.note


def test_the_floor_is_at_least_rounding():
    r = rows([1000, 0], [1001, 0], [1002, 0], [0, 0])
    assert r["d_floor"].value == pytest.approx(1000 * np.finfo(np.float32).eps)
    assert rows([1, 0], [2, 0], [3, 0], [0, 0], again=[1.5, 0])["d_floor"].value == pytest.approx(0.5)


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6), st.floats(1e-3, 1e3))
def test_the_ratio_has_no_scale_and_flips_sign(a, b, k):
    assert ratio_db(a, b) == pytest.approx(ratio_db(k * a, k * b), abs=1e-6)
    assert ratio_db(a, b) == pytest.approx(-ratio_db(b, a), abs=1e-9)


def test_gates():
    one = np.ones(5)
    assert gate(one, one, one, 1e-6 * one) == "ok"
    assert gate(1e-4 * one, one, one, 1e-5 * one) == "floor"
    assert gate(0.05 * one, 0.05 * one, one, 1e-6 * one) == "undetected"
    assert gate(0.05 * one, 0.5 * one, one, 1e-6 * one) == "ok"
    assert gate(0.5 * one, 0.005 * one, one, 1e-6 * one) == "lopsided"


def test_cosine_and_unknown_distances():
    assert distance(V([1.0, 0.0]), V([0.0, 2.0]), "cosine") == pytest.approx(1.0)
    assert distance(V([1.0, 1.0]), V([3.0, 3.0]), "cosine") == pytest.approx(0.0, abs=1e-12)
    with pytest.raises(UsageError):
        distance(V([1.0]), V([1.0]), "manhattan")
