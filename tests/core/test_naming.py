import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otoscope.core.errors import UsageError
from otoscope.core.naming import Spec, parse_scalar, parse_spec

keys = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
texts = st.from_regex(r"[a-z][a-z0-9./-]{0,10}", fullmatch=True).filter(lambda t: isinstance(parse_scalar(t), str))
scalars = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.none(), texts)


@given(name=st.from_regex(r"[a-z][a-z0-9/.-]{0,12}", fullmatch=True), params=st.dictionaries(keys, scalars, max_size=4))
def test_a_spec_survives_being_printed(name, params):
    spec = Spec(name, params)
    assert parse_spec(str(spec)) == spec
    assert pickle.loads(pickle.dumps(spec)) == spec


def test_parameters_are_sorted_so_equal_specs_print_alike():
    assert str(parse_spec("m:b=2,a=1")) == "m:a=1,b=2"
    assert parse_spec("m:b=2,a=1") == parse_spec("m:a=1,b=2")


def test_values_may_hold_commas_and_colons():
    spec = parse_spec("file:a/b.py#Net:path=C:/x,y,layer=3")
    assert spec.name == "file:a/b.py#Net"
    assert dict(spec.params) == {"path": "C:/x,y", "layer": 3}


@pytest.mark.parametrize("text", ["", ":a=1", "m:", "m:a=1,a=2"])
def test_malformed_names_are_usage_errors(text):
    with pytest.raises(UsageError):
        parse_spec(text)


def test_not_a_number_stays_text():
    assert parse_scalar("nan") == "nan"
    assert parse_scalar("inf") == "inf"
    assert parse_scalar("1e3") == 1000.0
    assert parse_scalar("True") is True


def test_a_composed_name_keeps_what_belongs_to_its_later_parts():
    for text, name, params in (
        ("a:z=1,b=0.5+c/d:e=2,a=3", "a", {"z": 1, "b": "0.5+c/d:e=2,a=3"}),
        ("a:z=1,b=2+c-d", "a", {"z": 1, "b": "2+c-d"}),
        ("a+b:y=1,x=2", "a+b", {"x": 2, "y": 1}),
        ("a:layers=0+2,b=1", "a", {"layers": "0+2", "b": 1}),
        ("a:text=dogs + cats,b=1", "a", {"text": "dogs + cats", "b": 1}),
    ):
        spec = parse_spec(text)
        assert (spec.name, dict(spec.params)) == (name, params)
        assert parse_spec(str(spec)) == spec
    assert str(parse_spec("a:b=0.5+c/d:e=2,z=3")) == "a:b=0.5+c/d:e=2,z=3"
    assert str(parse_spec("a:z=1,b=0.5+c/d:e=2")) == "a:z=1,b=0.5+c/d:e=2"
    assert str(parse_spec("a:z=1,layers=0+2")) == "a:layers=0+2,z=1"
