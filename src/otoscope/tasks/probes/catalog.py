"""The 22 public tasks of X-ARES as data: where their archives are, what is asked, how the head is trained."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

Kind = Literal["clip", "frame", "contrastive", "asr"]
DOMAINS = ("speech", "sound", "music")


@dataclass(frozen=True)
class XaresTask:
    """One task; ``data/xares.toml`` says what the fields mean."""

    name: str
    title: str
    domain: str
    zenodo: str
    field: str
    weight: int
    classes: tuple[str, ...] = ()
    n_classes: int = 0
    other: str | None = None
    separator: str | None = None
    train: str = ""
    valid: str = ""
    test: str = ""
    folds: tuple[int, ...] = ()
    pattern: str = ""
    kind: Kind = "clip"
    metric: str = "accuracy"
    crop_s: float | None = None
    segment_s: float | None = None
    grid_s: float | None = None
    pos_weight: float | None = None
    batch: int = 32
    encode_batch: int = 16
    epochs: int = 10
    lr: float = 1e-3
    per_shard: int = 2000
    knn: bool = True
    group: str | None = None
    origin: str | None = None
    origin_id: str | None = None
    origin_of: Literal["key", "label"] = "key"

    @property
    def parts(self) -> dict[str, str]:
        """Part (``train``, ``valid``, ``test``, or a fold) -> pattern of its archives. Where X-ARES chooses on the test
        part (its valid and test archives are the same) there is no valid part."""
        if self.folds:
            return {str(f): self.pattern.format(f) for f in self.folds}
        own = ("train", "test") if self.valid == self.test else ("train", "valid", "test")
        return {p: f"{getattr(self, p)}*.tar" for p in own}

    @property
    def archive_url(self) -> str:
        """All files of the record in one zip."""
        return f"https://zenodo.org/api/records/{self.zenodo}/files-archive"

    @property
    def record_url(self) -> str:
        """JSON of the record: its files with sizes and checksums."""
        return f"https://zenodo.org/api/records/{self.zenodo}"


@cache
def xares_tasks() -> Mapping[str, XaresTask]:
    """All 22 by name, in the order of the published table."""
    text = (files("otoscope.tasks.probes") / "data" / "xares.toml").read_text(encoding="utf-8")
    found = [XaresTask(**{k: _frozen(v) for k, v in row.items()}) for row in tomllib.loads(text)["task"]]
    return {t.name: t for t in found}


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
