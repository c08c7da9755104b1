from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otoscope.core.identity import NEUTRAL, canonical, digest


@dataclass(frozen=True)
class Old:
    version = 2
    a: int = 1


@dataclass(frozen=True)
class New:
    version = 2
    a: int = 1
    later: float = field(default=0.0, metadata={NEUTRAL: 0.0})


def test_a_later_field_at_its_neutral_value_changes_nothing():
    old, new = canonical(Old()), canonical(New())
    assert old.replace("Old", "New") == new
    assert canonical(New(later=0.5)) != new


def test_every_other_field_counts_even_at_its_default():
    assert '"a":1' in canonical(Old())
    assert digest(Old(a=1)) != digest(Old(a=2))


def test_class_and_version_count():
    assert '"version":2' in canonical(Old())
    assert digest(Old()) != digest(New())


@given(st.dictionaries(st.text(max_size=5), st.integers(), max_size=5))
def test_order_of_keys_does_not_count(d):
    assert canonical(d) == canonical(dict(reversed(list(d.items()))))


def test_non_finite_numbers_and_unknown_types_are_refused():
    with pytest.raises(ValueError, match="finite"):
        canonical({"a": float("nan")})
    with pytest.raises(TypeError):
        canonical({"a": object()})


def test_numpy_scalars_and_arrays_have_a_place():
    assert canonical({"a": np.float64(0.5)}) == canonical({"a": 0.5})
    assert digest(np.arange(3)) != digest(np.arange(4))
