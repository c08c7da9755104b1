"""STOI (C. Taal et al., IEEE TASLP 19(7), 2011; by pystoi) and PESQ (ITU-T P.862;
by pesq, optional), wide-band (P.862.2) where the rate allows."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike

from otoscope.audio.resample import resample_array
from otoscope.tasks.separation.levels import Undefined, checked_pair

#: PESQ's wide-band mode takes this rate alone.
PESQ_RATE = 16_000
#: The rate of the narrow-band mode.
NARROW_RATE = 8_000


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
    if rate < PESQ_RATE:
        raise Undefined(f"wide-band PESQ needs {PESQ_RATE} Hz, the sounds have {rate}")
    return _pesq(estimate, reference, rate, PESQ_RATE, "wb")


def pesq_nb(estimate: ArrayLike, reference: ArrayLike, rate: int) -> float:
    """Narrow-band PESQ (ITU-T P.862 and P.862.1; 1.0 to 4.5) of ``estimate`` ``[n]``, both resampled to 8 kHz."""
    if rate < NARROW_RATE:
        raise Undefined(f"PESQ needs {NARROW_RATE} Hz, the sounds have {rate}")
    return _pesq(estimate, reference, rate, NARROW_RATE, "nb")


def _pesq(estimate: ArrayLike, reference: ArrayLike, rate: int, at: int, mode: str) -> float:
    try:
        import pesq as library
    except ImportError as error:
        raise Undefined("pesq is not installed: pip install 'otoscope[pesq]'") from error

    both = resample_array(np.stack(checked_pair(estimate, reference)), rate, at)
    try:
        return float(library.pesq(at, both[1], both[0], mode))
    except library.PesqError as error:
        said = error.args[0] if error.args else error
        raise Undefined(f"PESQ: {said.decode() if isinstance(said, bytes) else said}") from error
