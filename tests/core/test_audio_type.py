import pickle

import numpy as np
import pytest

from otoscope.core.audio import Audio
from otoscope.core.errors import InputError, OtoscopeError, StoreError


def test_samples_are_float32_and_frozen_and_the_callers_array_is_not():
    x = np.zeros((2, 4), np.float32)
    audio = Audio(x, 16000)
    assert audio.samples.dtype == np.float32
    with pytest.raises(ValueError, match="read-only"):
        audio.samples[0, 0] = 1
    x[0, 0] = 1
    assert audio.samples[0, 0] == 0


@pytest.mark.parametrize(
    ("samples", "rate", "says"),
    [
        (np.zeros(4, np.float32), 16000, "channel"),
        (np.zeros((1, 0), np.float32), 16000, "empty"),
        (np.zeros((0, 4), np.float32), 16000, "empty"),
        (np.zeros((1, 4), np.int16), 16000, "floating"),
        (np.array([[0.0, np.nan]]), 16000, "NaN"),
        (np.array([[0.0, np.inf]]), 16000, "infinite"),
        (np.zeros((1, 4), np.float32), 0, "rate"),
        (np.zeros((1, 4), np.float32), 16000.5, "rate"),
    ],
)
def test_bad_audio_is_refused(samples, rate, says):
    with pytest.raises(InputError, match=says):
        Audio(samples, rate)


def test_digest_tells_rate_shape_and_samples_apart():
    a = Audio(np.ones((1, 4), np.float32), 16000)
    assert a.digest() == Audio(np.ones((1, 4)), 16000).digest()
    assert len({a.digest(), Audio(a.samples, 8000).digest(), Audio(np.ones((2, 2)), 16000).digest()}) == 3


def test_errors_keep_their_parts_across_processes():
    e = pickle.loads(pickle.dumps(StoreError("is damaged", where="x.parquet", fix="Delete it")))
    assert isinstance(e, OtoscopeError)
    assert str(e) == "x.parquet: is damaged. Delete it"
    assert e.exit_code == 3
