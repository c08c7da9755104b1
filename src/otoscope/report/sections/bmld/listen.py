"""The stimuli of this run, to be heard: the same bytes that the models got, as 16-bit WAV at 16 kHz."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from otoscope.audio.binaural import BinauralSpec
from otoscope.core.audio import Audio
from otoscope.core.errors import OtoscopeError
from otoscope.core.items import Item
from otoscope.core.naming import parse_spec
from otoscope.core.nouns import Task
from otoscope.report.players import common_gain, sound
from otoscope.report.section import Block, Players, Prose, Section, Sound
from otoscope.report.sections.bmld.ladder import about
from otoscope.report.sections.bmld.literature import human_threshold
from otoscope.report.sections.bmld.study import SPEECH, TONES, Study
from otoscope.report.tables import number, plain
from otoscope.tasks.catalogue import resolve_condition, resolve_task

RATE = 16_000
#: The tone that is played, and the two levels: one at which both tones are heard, one at which people need two ears.
FREQUENCY_HZ, EASY_DB, HARD_DB = 500.0, -14.0, -28.0
_MOST_RUNGS = 5

#: What a listener should expect of SpiN0 under a rung.
_EXPECT = {
    "magnitude-only": "Expected: the tone is about as hard to hear as in S0N0.",
    "phase-only": "Expected: the tone stays as easy to hear as in SpiN0.",
    "vocoder": "Expected: no tone; its fine structure is gone.",
    "mel-equalised": "Expected: the tone stays, because the phases are kept.",
    "nu-masker": "Expected: the noise fills the head, and the tone has little advantage left.",
    "ipd-random": "Expected: the noise fills the head, and the tone loses most of its advantage.",
    "high-pass": "Expected: no tone; what is left lies above 2 kHz.",
}

#: (heading, title, caption, audio)
_Take = tuple[str, str, str, Audio]


def listen(study: Study) -> Section:
    """Players for noise, both tones at two levels, some rungs, and speech."""
    blocks: list[Block] = [Prose(_advice(study))]
    takes: list[_Take] = []
    for make in (_tones, _rungs, _speech):
        found, problem = _tried(make, study)
        takes += found
        if problem:
            blocks.append(Prose(problem, "missing"))
    gain = common_gain([audio for *_, audio in takes])
    groups: dict[str, list[Sound]] = {}
    for heading, title, caption, audio in takes:
        groups.setdefault(heading, []).append(sound(title, caption, audio, gain))
    if groups:
        blocks.append(Players(list(groups.items())))
    if gain != 1.0:
        blocks.append(
            Prose(
                f"All sounds are turned by one gain of {gain:.3f}, because this protocol is not made for files.", "note"
            )
        )
    return Section("listen", "Listen", blocks)


def _advice(study: Study) -> str:
    """What to listen for, with human thresholds for the masker of this run where they are known."""
    text = (
        "Use headphones: over loudspeakers both ears hear both channels and the effect is gone. The noise sits in "
        "the middle of the head. S0N0 has the tone in the middle too; SpiN0 has it with opposite polarity in the "
        "right ear, spread to both sides."
    )
    task = _task(study, TONES)
    if task is None:
        return text
    spec = getattr(_item(task, HARD_DB).inputs, "spec", None)
    if not isinstance(spec, BinauralSpec):
        return text
    width = spec.high_hz - spec.low_hz
    found = [human_threshold(spec.frequency_hz, c, width) for c in ("N0S0", "N0Spi")]
    if found[0] is None or found[1] is None:
        return text
    return (
        f"{text} In this noise people should need about {number(found[0][0], 0)} dB SNR for S0N0 and about "
        f"{number(found[1][0], 0)} dB for SpiN0 (van de Par and Kohlrausch 1999 for noise {plain(found[0][1])} Hz "
        "wide, turned to the width of this noise by us). Between the two levels, only SpiN0 has an audible tone."
    )


def _tried(make: Callable[[Study], tuple[list[_Take], str]], study: Study) -> tuple[list[_Take], str]:
    try:
        return make(study)
    except OtoscopeError as e:  # a folder of speech that is gone must not cost the page
        return [], f"Some sounds cannot be made here: {e}"


def _tones(study: Study) -> tuple[list[_Take], str]:
    task = _task(study, TONES)
    if task is None:
        return [], "No tones were run, so there are none to hear."
    hard = _item(task, HARD_DB)
    easy = _item(task, EASY_DB, above=float(hard.factors["snr_db"]))
    hz = f"{plain(hard.factors['frequency_hz'])} Hz"
    heading = f"A tone of {hz} in noise"
    first = hard.inputs.render(RATE)
    takes = [(heading, "N0", "The noise alone, the same in both ears.", first["n0"])]
    for chosen in [hard] if easy.id == hard.id else [hard, easy]:
        sounds = chosen.inputs.render(RATE)
        snr = f"{plain(chosen.factors['snr_db'])} dB SNR"
        takes.append((heading, f"S0N0, {snr}", "The tone is the same in both ears.", sounds["s0"]))
        takes.append((heading, f"SpiN0, {snr}", "The tone has opposite polarity in the right ear.", sounds["spi"]))
    return takes, ""


def _rungs(study: Study) -> tuple[list[_Take], str]:
    task = _task(study, TONES)
    ran = [c for c in study.tones.conditions() if parse_spec(c).name in _EXPECT]
    if task is None or not ran:
        return [], "No rung of the ladder was run that would be worth hearing."
    ran = sorted(ran, key=lambda c: list(_EXPECT).index(parse_spec(c).name))
    item = _item(task, HARD_DB)
    heading = f"SpiN0 at {plain(item.factors['snr_db'])} dB SNR under rungs of the ladder"
    takes = []
    for condition in ran[:_MOST_RUNGS]:
        sounds = resolve_condition(parse_spec(condition))(item).inputs.render(RATE)
        caption = f"{about(condition)}. {_EXPECT[parse_spec(condition).name]}"
        takes.append((heading, condition, caption, sounds["spi"]))
    return takes, ""


def _speech(study: Study) -> tuple[list[_Take], str]:
    task = _task(study, SPEECH)
    if task is None:
        return [], "Speech through rooms was not run, so there is none to hear."
    items = task.items()
    levels = sorted({float(i.factors["snr_db"]) for i in items})
    snr = min(levels, key=lambda x: (abs(x + 9.0), x))
    rooms = list(dict.fromkeys(str(i.factors["room"]) for i in items))
    room = rooms[-1]
    item = next(i for i in items if i.factors["snr_db"] == snr and i.factors["room"] == room)
    sounds = item.inputs.render(RATE)
    clip = getattr(item.inputs, "clip", None)
    notes = [getattr(clip, name, "") for name in ("attribution", "license")]
    origin = f"Source: {', '.join(n for n in notes if n)}." if any(notes) else ""
    heading = f"Speech at {plain(snr)} dB SNR in a room ({room})"
    return [
        (
            heading,
            "As it arrives",
            f"Speech as two ears hear it, in noise that is the same in both. {origin}",
            sounds["s0"],
        ),
        (heading, "Right ear inverted", "The same speech with opposite polarity in the right ear.", sounds["spi"]),
    ], ""


def _task(study: Study, name: str) -> Task | None:
    """The task as it was run (of several variants the main one)."""
    scores = study.run.of_task(name)
    if not scores:
        return None
    main = study.curves.scores[0] if name == TONES and study.curves else scores[0]
    return resolve_task(parse_spec(main.task), seed=main.seed or 0)


def _item(task: Task, snr_db: float, above: float = -math.inf) -> Item:
    """The first seed's item nearest to the wanted tone and level, if possible at a level above another."""
    items: Sequence[Item] = task.items()
    first = [i for i in items if i.group == items[0].group]

    def far(item: Item) -> tuple[float, bool, float]:
        f, snr = float(item.factors["frequency_hz"]), float(item.factors["snr_db"])
        return abs(f - FREQUENCY_HZ), snr <= above, abs(snr - snr_db)

    return min(first, key=far)
