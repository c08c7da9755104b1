"""The panel: thirty-two further voices that nothing is trained on, each with one partner of the other sex.

Few voices make few independent pairs, and of few pairs no p-value is small. Voices differ in variant, accent, pitch and
rate; those of the women share eight variants, because the engine has no more that the other voices do not use.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from espeak import Voice

WOMEN = ("Alicia", "Andrea", "anika", "aunty", "belinda", "steph", "grandma", "linda")
MEN = (
    *("Alex", "Denis", "Gene", "Jacky", "Marco", "Mario", "Michael", "adam"),
    *("benjamin", "david", "ed", "ian", "john", "paul", "pablo", "max"),
)
ACCENTS = {
    "British": "en",
    "American": "en-us",
    "Scottish": "en-gb-scotland",
    "Received Pronunciation": "en-gb-x-rp",
    "Caribbean": "en-029",
    "New York": "en-us-nyc",
    "West Midlands": "en-gb-x-gbcwmd",
    "Lancaster": "en-gb-x-gbclan",
}
PAIRS, TEXTS = 16, 2


def panel() -> dict[str, tuple[str, str, Voice]]:
    """speaker: (sex, accent, voice). ``pf05`` and ``pm05`` are partners, and have different accents."""
    found, accents = {}, list(ACCENTS)
    for k in range(PAIRS):
        again = k // len(WOMEN)  # the second round of the women's variants is higher, slower and of another accent
        hers, his = accents[(k + 3 * again) % 8], accents[(k + 4 + k // 8) % 8]
        name = f"{k + 1:02d}"
        woman = Voice(f"{ACCENTS[hers]}+{WOMEN[k % len(WOMEN)]}", 182 - 24 * again, 46 + 16 * again)
        man = Voice(f"{ACCENTS[his]}+{MEN[k]}", 160 + 3 * (k % 8), 44 + 2 * (k % 5))
        found[f"pf{name}"] = ("female", hers, woman)
        found[f"pm{name}"] = ("male", his, man)
    return found


def lines(sentences: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(speaker, sentence): two each, and partners say nothing in common."""
    for k in range(PAIRS):
        for sex, first in (("f", 0), ("m", len(sentences) // 2)):
            for i in range(TEXTS):
                yield f"p{sex}{k + 1:02d}", sentences[(first + TEXTS * k + i) % len(sentences)]
