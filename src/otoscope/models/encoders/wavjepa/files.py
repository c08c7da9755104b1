"""Where the weights of WavJEPA-Nat are."""

from __future__ import annotations

from pathlib import Path

from otoscope.core.errors import ModelError
from otoscope.models.encoders.hub_cards import WAVJEPA_NAT

FILE = "model.safetensors"


def find(path: str | None, revision: str | None) -> Path:
    """The weight file: ``path`` (a file, or a folder with one), else the hub's cache or, last, a download. Raises
    :class:`ModelError` that says which file to get, from where, and under which licence."""
    if path is None:
        from otoscope.models.encoders.hf_files import locate

        snapshot = locate(str(WAVJEPA_NAT.hub_id), revision, weights=True, code=False, licence=WAVJEPA_NAT.licence)
        if len(snapshot.weights) != 1:
            raise ModelError("weights in several files are not read here", where=str(snapshot.folder))
        return snapshot.folder / snapshot.weights[0]
    given = Path(path).expanduser()
    file = given / FILE if given.is_dir() else given
    if not file.is_file():
        raise ModelError(
            f"there is no {file}: it is {FILE} of {WAVJEPA_NAT.hub_id}; licence: {WAVJEPA_NAT.licence}",
            where=WAVJEPA_NAT.name,
            fix=f"Where there is a network: hf download {WAVJEPA_NAT.hub_id} {FILE} --revision {revision}.",
        )
    return file
