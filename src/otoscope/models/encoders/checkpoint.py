"""Which network a name means: where its files are and what was asked of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from otoscope.core.errors import UsageError
from otoscope.core.naming import Scalar
from otoscope.models import devices


@dataclass(frozen=True)
class Checkpoint:
    """Which network: where its files are and what was asked of it. ``seed`` counts with ``init="random"`` only."""

    name: str
    source: str
    revision: str | None = None
    dtype: str = "float32"
    init: str = "pretrained"
    seed: int = 0
    options: tuple[tuple[str, Scalar], ...] = ()

    @staticmethod
    def from_params(name: str, source: str, params: Mapping[str, Scalar]) -> Checkpoint:
        """From the parameters of a name; raises :class:`UsageError` on a value that makes no sense."""
        own = dict(params)
        source = str(own.pop("path", source))
        init, seed = own.pop("init", "pretrained"), own.pop("seed", None)
        check_init(init, seed, name)
        dtype = str(own.pop("dtype", "float32"))
        if dtype not in devices.DTYPES:
            raise UsageError(f"there is no dtype={dtype}", where=name, fix=f"One of: {', '.join(devices.DTYPES)}.")
        revision = own.pop("revision", None)
        options = tuple(sorted((k, v) for k, v in own.items() if v is not None))
        return Checkpoint(
            name, source, None if revision is None else str(revision), dtype, str(init), int(seed or 0), options
        )

    @property
    def random(self) -> bool:
        return self.init == "random"


def check_init(init: Any, seed: Any, where: str) -> None:
    """Raise :class:`UsageError` unless ``init`` and ``seed`` go together."""
    if init not in ("pretrained", "random"):
        raise UsageError(f"there is no init={init}", where=where, fix="Use init=random, or leave it out.")
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or seed < 0):
        raise UsageError(f"seed={seed} is not a whole number from 0", where=where)
    if seed is not None and init != "random":
        raise UsageError("seed goes with init=random", where=where, fix="Add init=random, or leave seed out.")
