"""One mixture to be heard: what was asked for, the model's own stem, and its stem under each intervention."""

from __future__ import annotations

from otoscope.core.audio import Audio
from otoscope.core.errors import OtoscopeError
from otoscope.report.players import common_gain, sound
from otoscope.report.section import Block, Players, Prose, Section
from otoscope.report.shown import Shown, shown
from otoscope.report.tables import number
from otoscope.results.store import Results
from otoscope.tasks.separation.levels import si_sdr_db

#: Interventions beyond these are named and not played: pages stay small.
_MOST = 8

_Take = tuple[str, str, str, Audio]


def listen(store: Results) -> Section | None:
    """Players for the first item of the first setting of which stems were kept; None where none were."""
    told = [s for s in shown(store, "separation") if "target" in next(iter(s.under.values()))]
    if not told:
        return None
    return Section("listen", "Listen", _blocks(told[0]))


def _blocks(chosen: Shown) -> list[Block]:
    stems = {name: Audio(a["target"], int(a["rate"][0])) for name, a in chosen.under.items() if "target" in a}
    try:
        item = chosen.find()
        given = item.inputs.render(next(iter(stems.values())).rate)
    except (OtoscopeError, StopIteration, OSError) as e:  # a folder of clips that is gone must not cost the page
        return [Prose(f"The mixture cannot be made again: {e}", "missing")]
    truth = given["target"]
    source = f"{chosen.task}, item {chosen.item}; asked for: {item.prompt}"
    takes: list[_Take] = [
        ("The mixture and what is in it", "mixture", "what the model gets", given["mixture"]),
        ("The mixture and what is in it", "target", "what was asked for", truth),
    ]
    played = dict(list(stems.items())[: _MOST + 1])
    for name, stem in played.items():
        said = "the model as it is" if name == "none" else "the same model under it"
        level = f"{number(si_sdr_db(stem.samples[0], truth.samples[0]))} dB SI-SDR"
        takes.append((f"Stems of {chosen.model}", name, f"{said}: {level}", stem))
    gain = common_gain([audio for *_, audio in takes])
    groups: dict[str, list[tuple[str, str, Audio]]] = {}
    for heading, title, caption, audio in takes:
        groups.setdefault(heading, []).append((title, caption, audio))
    blocks: list[Block] = [Prose(source)]
    blocks.append(Players([(h, [sound(t, c, a, gain) for t, c, a in found]) for h, found in groups.items()]))
    if left := list(stems)[_MOST + 1 :]:
        blocks.append(Prose(f"Not played, to keep the page small: {', '.join(left)}.", "note"))
    return blocks
