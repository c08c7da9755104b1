"""Makers of items of speech: transcripts, reasoning, counting, splices, manners, sizes, sexes.

Stand-ins, ours: an *entity* is a spoken number; *faked* speech is a stretch whose phases are set to zero frame by frame
(a buzz); an *emotion* is a manner of playing the voice (see :data:`MANNERS`), an *age* a speed, from fast and high for
the youngest to slow and low for the oldest. None of this is what people mean by these words.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.signal import istft, resample_poly, stft

from otoscope.core.errors import InputError
from otoscope.tasks.audiomarathon.kinds import AGES, EMOTIONS
from otoscope.tasks.audiomarathon.miniature.made import DIGITS, Made, choose, in_a_row, put, with_noise
from otoscope.tasks.audiomarathon.miniature.pool import RATE, Float, Pool, Voice, levelled

#: Speeds of the ages, youngest first, in hundredths.
SPEEDS = (140, 118, 100, 85, 72)


def spoken(
    rng: np.random.Generator,
    voice: Voice,
    seconds: float,
    *,
    gap_s: tuple[float, float] = (0.1, 0.45),
    most: int = 10**6,
) -> tuple[list[int], list[Float], list[float]]:
    """Digits of one voice that fill ``seconds``: which, their sounds, the silences after them."""
    digits: list[int] = []
    parts: list[Float] = []
    gaps: list[float] = []
    left = seconds - 0.1
    while len(digits) < most:
        d = int(rng.choice(sorted(voice.digits)))
        takes = voice.digits[d]
        part = takes[int(rng.integers(len(takes)))]
        if len(part) / RATE > left:
            break
        gap = float(rng.uniform(*gap_s))
        digits.append(d)
        parts.append(part)
        gaps.append(gap)
        left -= len(part) / RATE + gap
    return digits, parts, gaps


def said(rng: np.random.Generator, voice: Voice, seconds: float) -> Float:
    """The voice saying digits throughout."""
    _, parts, gaps = spoken(rng, voice, seconds)
    return in_a_row(parts, gaps, seconds)


def asr(rng: np.random.Generator, pool: Pool, seconds: float) -> Made:
    """What is said: digits of one voice."""
    voice = pool.voice(rng)
    digits, parts, gaps = spoken(rng, voice, seconds)
    words = " ".join(DIGITS[d] for d in digits)
    sound = with_noise(rng, in_a_row(parts, gaps, seconds), pool.noise_dbfs)
    return Made(sound, transcript=words, group=voice.name, spoken=tuple(digits))


def scr(rng: np.random.Generator, pool: Pool, seconds: float) -> Made:
    """A question about the digits: the first, the last, how often one is said, which follows another. Raises
    :class:`InputError` where the first that is drawn is longer than the item."""
    voice = pool.voice(rng)
    digits, parts, gaps = spoken(rng, voice, seconds)
    if not digits:
        raise InputError(f"a digit of {voice.name} is longer than {seconds:.1f} s", fix="Make the item longer.")
    sound = with_noise(rng, in_a_row(parts, gaps, seconds), pool.noise_dbfs)
    kind = ("first", "last", "often", "after")[int(rng.integers(4))]
    single = [d for d in digits[:-1] if digits.count(d) == 1]
    if kind == "after" and single:
        d = int(rng.choice(single))
        question, right = f"Which number is said right after {DIGITS[d]}?", DIGITS[digits[digits.index(d) + 1]]
        options, gold = choose(rng, right, DIGITS, 4)
    elif kind == "often":
        d = int(rng.integers(10))
        times = digits.count(d)
        question = f"How often is the number {DIGITS[d]} said?"
        options, gold = choose(rng, str(times), [str(x) for x in range(max(0, times - 2), times + 4)], 4)
    else:
        last = kind == "last"
        question = f"Which number is said {'last' if last else 'first'}?"
        options, gold = choose(rng, DIGITS[digits[-1 if last else 0]], DIGITS, 4)
    return Made(
        sound, question, options, gold, " ".join(DIGITS[d] for d in digits), group=voice.name, spoken=tuple(digits)
    )


def ser(rng: np.random.Generator, pool: Pool, seconds: float) -> Made:
    """How many numbers are said."""
    voice = pool.voice(rng)
    most = int(rng.integers(2, max(4, round(seconds * 1.2))))
    digits, parts, gaps = spoken(rng, voice, seconds, gap_s=(0.15, 0.9), most=most)
    n = len(digits)
    step = max(1, round(n / 6))
    options, gold = choose(rng, str(n), [str(n + k * step) for k in (-3, -2, -1, 1, 2, 3) if n + k * step > 0], 4)
    return Made(
        with_noise(rng, in_a_row(parts, gaps, seconds), pool.noise_dbfs),
        "How many numbers are said in this recording?",
        options,
        gold,
        " ".join(DIGITS[d] for d in digits),
        group=voice.name,
        extra={"entity_count": n},
        spoken=tuple(digits),
    )


def sd(rng: np.random.Generator, pool: Pool, seconds: float) -> Made:
    """Real throughout, or with stretches that are faked."""
    voice = pool.voice(rng)
    sound = said(rng, voice, seconds)
    gold = int(rng.integers(2))
    if gold:
        width = min(seconds, max(1.5, seconds / 4))
        start = round(float(rng.uniform(0, seconds - width)) * RATE)
        stop = start + round(width * RATE)
        sound = sound.copy()
        sound[start:stop] = buzzed(sound[start:stop])
    label = ("real", "fake")[gold]
    question = "Is this speech real throughout, or is a part of it fake?"
    return Made(
        with_noise(rng, sound, pool.noise_dbfs), question, ("Real", "Fake"), gold, label=label, group=voice.name
    )


def buzzed(x: Float) -> Float:
    """Every frame's phases zero: the words stay, the voice turns into a buzz at the rate of the frames."""
    _, _, z = stft(x, RATE, nperseg=256, noverlap=128)
    _, y = istft(np.abs(z), RATE, nperseg=256, noverlap=128)
    y = y[: len(x)] if len(y) >= len(x) else np.pad(y, (0, len(x) - len(y)))
    return levelled(y) if np.any(y) else x


def er(rng: np.random.Generator, pool: Pool, seconds: float) -> Made:
    """The manner in which the voice is played."""
    voice = pool.voice(rng)
    label = EMOTIONS[int(rng.integers(len(EMOTIONS)))]
    sound = _exactly(MANNERS[label](said(rng, voice, seconds * 1.4)), seconds)
    options, gold = choose(rng, GLOSSES[label], list(GLOSSES.values()), 4)
    return Made(
        with_noise(rng, sound, pool.noise_dbfs),
        "Which emotion does the speaker show?",
        options,
        gold,
        label=label,
        group=voice.name,
        extra={"emotion_label": label, "person_id": voice.name},
    )


#: Option texts: a label with a short gloss, as in the published data.
GLOSSES = {
    "angry": "Angry, loud and rough",
    "fearful": "Fearful, trembling",
    "happy": "Happy, quick and high",
    "monotone": "Monotone, flat",
    "sad": "Sad, slow and dull",
}


def _angry(x: Float) -> Float:
    return levelled(np.tanh(12 * x / max(float(np.abs(x).max()), 1e-9)))


def _fearful(x: Float) -> Float:
    t = np.arange(len(x)) / RATE
    return levelled(x * (1 + 0.95 * np.sin(2 * np.pi * 7.0 * t)))


def _happy(x: Float) -> Float:
    return sped(x, 125)


def _sad(x: Float) -> Float:
    slow = sped(x, 80)
    return levelled(np.convolve(slow, np.hanning(24) / np.hanning(24).sum(), "same"))


MANNERS: dict[str, Callable[[Float], Float]] = {
    "angry": _angry,
    "fearful": _fearful,
    "happy": _happy,
    "monotone": lambda x: x,
    "sad": _sad,
}


def sped(x: Float, percent: int) -> Float:
    """Played at ``percent`` of its speed, pitch with it."""
    return levelled(resample_poly(x, 100, percent))


def sar(rng: np.random.Generator, pool: Pool, seconds: float) -> Made:
    """The speed at which the voice is played, told as an age."""
    voice = pool.voice(rng)
    age = int(rng.integers(len(AGES)))
    sound = _exactly(sped(said(rng, voice, seconds * 1.5), SPEEDS[age]), seconds)
    question = "How old does the speaker sound?"
    extra = {"speaker_id_original": voice.name, "speaker_age": (24, 35, 45, 60, 75)[age]}
    return Made(
        with_noise(rng, sound, pool.noise_dbfs), question, AGES, age, label=AGES[age], group=voice.name, extra=extra
    )


def sgr(rng: np.random.Generator, pool: Pool, seconds: float) -> Made:
    """Whether a man or a woman speaks. Both are as often where the pool has both."""
    sexes = sorted({v.sex for v in pool.voices}, reverse=True)
    sex = sexes[int(rng.integers(len(sexes)))]
    voice = pool.voice(rng, sex)
    gold = ("male", "female").index(sex)
    return Made(
        with_noise(rng, said(rng, voice, seconds), pool.noise_dbfs),
        "Is the speaker male or female?",
        ("Male", "Female"),
        gold,
        label=sex,
        group=voice.name,
        extra={"speaker_id_original": voice.name},
    )


def _exactly(x: Float, seconds: float) -> Float:
    n = round(seconds * RATE)
    out = np.zeros(n, np.float32)
    put(out, x[:n], 0.0)
    return out
