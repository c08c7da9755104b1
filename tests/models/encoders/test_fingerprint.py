"""What identifies code and objects."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from otoscope.core.errors import ModelError
from otoscope.models.encoders.fingerprint import code_digest, object_digest
from otoscope.models.encoders.tiny_stereo import TinyStereo


def typed(body: str) -> type:
    """A class as if typed into a session: it has no source file."""
    space: dict = {"__name__": "session"}
    exec(compile(f"class Net:\n    def encode(self, x):\n        return {body}\n", "<session>", "exec"), space)
    return space["Net"]


def test_classes_without_a_file_go_by_their_code() -> None:
    assert code_digest(typed("x * 2")) == code_digest(typed("x * 2"))
    assert code_digest(typed("x * 2")) != code_digest(typed("x * 3"))
    assert code_digest(typed("x * 2")) != code_digest(typed("x + 2"))


def test_classes_of_the_package_go_by_their_version() -> None:
    assert code_digest(TinyStereo).endswith("TinyStereo 1")


def test_contents() -> None:
    class Holder:
        gain = 2.0

        def __init__(self, **fields) -> None:
            self.__dict__.update(fields)

    def digest_of(**fields):
        return object_digest(Holder(**fields), "holder")

    torch.manual_seed(0)
    net = torch.nn.Linear(2, 2)
    base = digest_of(a=1, m=net, t=torch.ones(2), v=[1, (2, 3)], d={"k": None}, x=np.ones(3))
    assert base["gain"] == 2.0
    assert base == digest_of(a=1, m=net, t=torch.ones(2), v=[1, (2, 3)], d={"k": None}, x=np.ones(3))
    assert digest_of(x=np.ones(3)) != digest_of(x=np.ones(3, dtype=np.float32))
    assert digest_of(t=torch.ones(2)) != digest_of(t=torch.zeros(2))
    for bad in (lambda: 1, np.array([object()]), float("nan")):
        with pytest.raises(ModelError, match=r"holder.bad: .*identity\(\)"):
            digest_of(bad=bad)


def test_an_identity_that_is_no_json() -> None:
    class Odd:
        def identity(self):
            return {"x": object()}

    with pytest.raises(ModelError, match="not plain JSON"):
        object_digest(Odd(), "odd")
