"""The ten tasks as data: names, categories, classes, published counts (arXiv 2510.07293; fact sheet, sections 1-2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Category = Literal["content", "audio", "speaker"]
Domain = Literal["semantic", "acoustic"]


@dataclass(frozen=True)
class Kind:
    """``classes`` are the classes that every item's options are drawn from; empty where options are free, so that only
    letters can be compared. ``full`` counts the published items, ``official`` those of the published Qwen runs;
    ``official_tokens`` is their bound on new tokens. ``domain`` is HeadRouter's split as its fact sheet reads it."""

    key: str
    code: str
    title: str
    category: Category
    domain: Domain
    source: str
    classes: tuple[str, ...]
    options: int
    full: int
    official: int
    official_tokens: int

    @property
    def name(self) -> str:
        return f"audiomarathon/{self.key}"

    @property
    def free(self) -> bool:
        """The answer is a transcript."""
        return self.options == 0


GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
SCENES = (
    "airport", "bus", "metro", "metro_station", "park", "public_square", "shopping_mall", "street_pedestrian",
    "street_traffic", "tram",
)  # fmt: skip
EMOTIONS = ("angry", "fearful", "happy", "monotone", "sad")
AGES = (
    "Young Adult (18-30)", "Early Career (31-40)", "Mid Career (41-50)", "Senior (51-70)", "Elderly (71+)",
)  # fmt: skip
SEXES = ("male", "female")
REALNESS = ("real", "fake")

KINDS: dict[str, Kind] = {
    kind.key: kind
    for kind in (
        Kind("ser", "SER", "speech entity recognition", "content", "semantic", "SLUE", (), 4, 490, 490, 5),
        Kind("scr", "SCR", "speech content reasoning", "content", "semantic", "RACE", (), 4, 820, 820, 5),
        Kind("asr", "ASR", "speech recognition", "content", "semantic", "LibriSpeech-long", (), 0, 204, 204, 1100),
        Kind("sed", "SED", "sound event detection", "audio", "acoustic", "DESED", (), 4, 254, 254, 5),
        Kind("mc", "MC", "music classification", "audio", "acoustic", "GTZAN", GENRES, 4, 120, 120, 5),
        Kind("asc", "ASC", "acoustic scene classification", "audio", "acoustic", "TAU", SCENES, 4, 1145, 1145, 5),
        Kind("sd", "SD", "detection of faked speech", "speaker", "acoustic", "HAD", REALNESS, 2, 776, 630, 5),
        Kind("er", "ER", "emotion recognition", "speaker", "acoustic", "VESUS", EMOTIONS, 4, 185, 178, 10),
        Kind("sar", "SAR", "speaker age recognition", "speaker", "acoustic", "VoxCeleb", AGES, 5, 959, 957, 5),
        Kind("sgr", "SGR", "speaker gender recognition", "speaker", "acoustic", "VoxCeleb", SEXES, 2, 1614, 976, 5),
    )
}
CATEGORIES: dict[Category, str] = {
    "content": "speech content extraction",
    "audio": "audio classification",
    "speaker": "speaker information",
}
#: Revision of the data set that the third party whose reading the fact sheet follows had on disk.
HUB_ID, REVISION = "Hezep/AudioMarathon", "ef00ea0458a57cb75b32d18ddb3b3619c4388fec"
