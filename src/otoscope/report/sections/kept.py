"""A long item to be heard, with the audio tokens that every method of the run keeps of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from otoscope.core.audio import Audio
from otoscope.core.errors import OtoscopeError
from otoscope.core.items import Item
from otoscope.core.naming import parse_spec
from otoscope.report.figures.kept import Strips, kept_svg
from otoscope.report.players import common_gain, sound
from otoscope.report.section import Block, Panels, Players, Prose, Section
from otoscope.report.shown import Shown, shown
from otoscope.results.store import Results

RATE = 16_000
#: Tasks whose items are shown where they were run: what matters in them lies at known places.
_FIRST = ("audiomarathon/sed", "longaudio/needle", "audiomarathon/asr")


def kept(store: Results | None, family: str) -> Section | None:
    """The first item of the most telling task of ``family``, and what stays of it; None where nothing was kept."""
    if store is None:
        return None
    told = [s for s in shown(store, family) if any("kept_audio" in a for a in s.under.values())]
    if not told:
        return None
    chosen = min(told, key=lambda s: _FIRST.index(n) if (n := parse_spec(s.task).name) in _FIRST else len(_FIRST))
    return Section("kept", "What is kept of one recording", _blocks(chosen))


def _blocks(chosen: Shown) -> list[Block]:
    try:
        item = chosen.find()
        audio = _sound(item)
    except (OtoscopeError, StopIteration, OSError) as e:  # a data set that is gone must not cost the page
        return [Prose(f"The recording cannot be found again: {e}", "missing")]
    rows = [(name, arrays["kept_audio"]) for name, arrays in chosen.under.items() if "kept_audio" in arrays]
    labelled = [(f"{name}: {_share(shares)}", shares) for name, shares in rows]
    about = f"{chosen.task}, item {chosen.item}, on {chosen.model}: {item.prompt}"
    heard = sound("The recording", f"{audio.duration_s:.1f} s at {audio.rate} Hz", audio, common_gain([audio]))
    alt = f"Spectrogram of {audio.duration_s:.0f} s of sound and {len(rows)} strips of kept audio tokens: {_said(rows)}"
    caption = (
        "Dark: the audio token stays. Tokens are spread evenly over the recording. Of a pruner, from its layer on; of "
        "an evictor, the mean over layers and heads, so a paler token stays in some of them only."
    )
    figure = Panels("kept-tokens", [kept_svg("kept-strips", alt, Strips(audio, labelled))], (), caption, wide=True)
    return [Prose(about), Players([("", [heard])]), figure]


def _sound(item: Item) -> Audio:
    return next(iter(item.inputs.render(RATE).values())).mono()


def _said(rows: Sequence[tuple[str, NDArray[np.floating]]]) -> str:
    return ", ".join(f"{name} {_share(shares)}" for name, shares in rows)


def _share(shares: NDArray[np.floating]) -> str:
    return f"{100 * float(shares.mean()):.0f} %"
