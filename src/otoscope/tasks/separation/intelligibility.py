"""STOI (C. Taal et al., IEEE TASLP 19(7), 2011; by pystoi) and wide-band PESQ (ITU-T P.862.2; by pesq, optional)."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike

from otoscope.audio.resample import resample_array
from otoscope.tasks.separation.levels import Undefined, checked_pair

#: PESQ's wide-band mode takes this rate alone.
PESQ_RATE = 16_000


def stoi(estimate: ArrayLike, reference: ArrayLike, rate: int) -> float:
    """Short-time objective intelligibility of ``estimate`` ``[n]``, about 0 to 1. It is about speech; of other sounds
    it is a correlation of band envelopes and nothing more."""
    import pystoi

    e, s = checked_pair(estimate, reference)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            value = float(pystoi.stoi(s, e, rate))
        except (RuntimeWarning, ValueError, IndexError) as error:
            # Its warning for too few frames comes with a made-up value of 1e-5.
            raise Undefined("less than 0.4 s of the reference is louder than 40 dB below its peak") from error
    if not np.isfinite(value):
        raise Undefined("STOI has no value for these sounds")
    return value


def pesq(estimate: ArrayLike, reference: ArrayLike, rate: int) -> float:
    """Wide-band PESQ (MOS-LQO, 1.0 to 4.6) of ``estimate`` ``[n]``, both resampled to 16 kHz."""
    try:
        import pesq as library
    except ImportError as error:
        raise Undefined("pesq is not installed: pip install 'otoscope[pesq]'") from error

    e, s = checked_pair(estimate, reference)
    if rate < PESQ_RATE:
        raise Undefined(f"wide-band PESQ needs {PESQ_RATE} Hz, the sounds have {rate}")
    both = resample_array(np.stack([s, e]), rate, PESQ_RATE)
    try:
        return float(library.pesq(PESQ_RATE, both[0], both[1], "wb"))
    except library.PesqError as error:
        said = error.args[0] if error.args else error
        raise Undefined(f"PESQ: {said.decode() if isinstance(said, bytes) else said}") from error
