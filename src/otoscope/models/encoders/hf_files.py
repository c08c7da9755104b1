"""The files of a checkpoint: a local folder, the hub's cache, or, last, a download.

What is on this machine is looked at first. Weights are safetensors, or PyTorch files that are read without unpickling
objects; nothing else is ever opened. Where files are missing the error is one line that says which and how to get them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otoscope.core.errors import ModelError
from otoscope.core.identity import digest
from otoscope.models.weights import files_digest

CONFIG = "config.json"
#: Where a checkpoint may describe its feature extractor; the first that exists is used.
PREPROCESSORS = ("preprocessor_config.json", "processor_config.json")
_PATTERNS = ["*.json", "*.txt", "*.model", "*.jinja"]


@dataclass(frozen=True)
class Snapshot:
    """A folder with a checkpoint. ``weights`` are the names of its weight files (empty: only the config is needed)."""

    folder: Path
    weights: tuple[str, ...]

    @property
    def safe(self) -> bool:
        return not any(".bin" in name for name in self.weights)

    def config(self) -> dict[str, Any]:
        return read_json(self.folder / CONFIG)

    def library_config(self, *, code: bool) -> Any:
        """The library's config object."""
        from transformers import AutoConfig

        return AutoConfig.from_pretrained(str(self.folder), local_files_only=True, trust_remote_code=code)

    def extractor(self, *, code: bool) -> Any:
        """The library's feature extractor, None where the checkpoint describes none."""
        if self.preprocessor() is None:
            return None
        from transformers import AutoFeatureExtractor

        return AutoFeatureExtractor.from_pretrained(str(self.folder), local_files_only=True, trust_remote_code=code)

    def preprocessor(self) -> dict[str, Any] | None:
        for name in PREPROCESSORS:
            if (self.folder / name).is_file():
                return read_json(self.folder / name)
        return None

    def remote_code(self) -> dict[str, str]:
        """Names in the config that point to Python code in the checkpoint."""
        found: dict[str, str] = {}
        for described in (self.config(), self.preprocessor() or {}):
            auto = described.get("auto_map")
            if isinstance(auto, dict):
                found.update({str(k): v[0] if isinstance(v, list) else str(v) for k, v in auto.items()})
        return found

    def identity(self, *, weights: bool, code: bool) -> dict[str, Any]:
        """JSON over what is in the files."""
        out: dict[str, Any] = {"config": digest(_stable(self.config())), "preprocessor": None}
        if (described := self.preprocessor()) is not None:
            out["preprocessor"] = digest(described)
        if weights:
            out["weights"] = files_digest(self.folder, self.weights)
        if code:
            out["code"] = files_digest(self.folder, [p.name for p in sorted(self.folder.glob("*.py"))])
        return out


@dataclass(frozen=True)
class Architecture(Snapshot):
    """The architecture of a known checkpoint without its files: enough for random weights."""

    described: Mapping[str, Any]

    @staticmethod
    def of(described: Mapping[str, Any]) -> Architecture:
        return Architecture(Path(), (), described)

    def config(self) -> dict[str, Any]:
        return dict(self.described)

    def preprocessor(self) -> None:
        return None

    def library_config(self, *, code: bool) -> Any:
        from transformers import AutoConfig

        known = self.config()
        return AutoConfig.for_model(known.pop("model_type"), **known)


def locate(source: str, revision: str | None, *, weights: bool, code: bool, licence: str = "") -> Snapshot:
    """The files of ``source`` (a folder, or ``org/name`` on the hub). Raises :class:`ModelError`."""
    if Path(source).expanduser().is_dir():
        return in_folder(Path(source).expanduser(), weights=weights)
    return _from_hub(source, revision, weights, code, licence)


def in_folder(folder: Path, *, weights: bool) -> Snapshot:
    """The checkpoint in ``folder``; raises :class:`ModelError` naming the missing file."""
    if not (folder / CONFIG).is_file():
        raise ModelError(f"the folder has no {CONFIG}", where=str(folder), fix="Name a transformers checkpoint.")
    if not weights:
        return Snapshot(folder, ())
    for single, index in (
        ("model.safetensors", "model.safetensors.index.json"),
        ("pytorch_model.bin", "pytorch_model.bin.index.json"),
    ):
        if (folder / single).is_file():
            return Snapshot(folder, (single,))
        if (folder / index).is_file():
            return Snapshot(folder, (index, *_shards(folder, index)))
    raise ModelError(
        "the folder has no model.safetensors or pytorch_model.bin",
        where=str(folder),
        fix="Other formats are not read. For the architecture with fresh weights use init=random.",
    )


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; raises :class:`ModelError`."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as e:
        raise ModelError(f"cannot be read: {e}", where=str(path)) from e
    if not isinstance(value, dict):
        raise ModelError("is not a JSON object", where=str(path))
    return value


def _shards(folder: Path, index: str) -> list[str]:
    table = read_json(folder / index).get("weight_map")
    if not isinstance(table, dict):
        raise ModelError("has no weight_map", where=str(folder / index))
    names = sorted({str(v) for v in table.values()})
    for name in names:
        if Path(name).name != name:
            raise ModelError(f"points outside the folder: {name!r}", where=str(folder / index))
        if not (folder / name).is_file():
            raise ModelError("the file is missing", where=str(folder / name), fix="Download the folder again.")
    return names


def _stable(config: dict[str, Any]) -> dict[str, Any]:
    """A config without what saving it elsewhere or with another version of the library changes."""
    return {k: v for k, v in config.items() if k not in ("_name_or_path", "transformers_version")}


# --- the hub ----------------------------------------------------------------------------------------------------


def _from_hub(repo: str, revision: str | None, weights: bool, code: bool, licence: str) -> Snapshot:
    import huggingface_hub as hub

    missing = f"{CONFIG} and model.safetensors" if weights else CONFIG
    try:
        folder = Path(hub.snapshot_download(repo, revision=revision, local_files_only=True))
        return in_folder(folder, weights=weights)
    except ModelError as e:
        missing = "model.safetensors" if (folder / CONFIG).is_file() else missing
        if "points outside" in e.what:
            raise
    except (OSError, ValueError):  # not in the cache, or only parts of it: ask the hub
        pass
    try:
        info = hub.HfApi().model_info(repo, revision=revision, timeout=10)
        names = [s.rfilename for s in info.siblings or []]
        if weights:
            missing = _weights_of(repo, names)[0]
        wanted = [*_PATTERNS, *(["*.py"] if code else []), *(_weights_of(repo, names) if weights else [])]
        folder = Path(hub.snapshot_download(repo, revision=info.sha, allow_patterns=wanted))
    except ModelError:
        raise
    except Exception as e:  # the hub's client raises its own, httpx's and the system's errors
        raise ModelError(_unavailable(repo, missing, licence, e), fix=_how_to_get(repo, revision)) from e
    return in_folder(folder, weights=weights)


def _weights_of(repo: str, names: Sequence[str]) -> list[str]:
    at_top = [n for n in names if "/" not in n]
    tests: list[Callable[[str], bool]] = [
        lambda n: n.startswith("model") and n.endswith((".safetensors", ".safetensors.index.json")),
        lambda n: n.startswith("pytorch_model") and n.endswith((".bin", ".bin.index.json")),
    ]
    for test in tests:
        if found := sorted(n for n in at_top if test(n)):
            return found
    raise ModelError("the repository has no model.safetensors or pytorch_model.bin", where=repo)


def _unavailable(repo: str, missing: str, licence: str, e: Exception) -> str:
    lines = str(e).strip().splitlines()
    reason = f"{type(e).__name__}: {lines[0] if lines else 'no reason given'}"[:160].rstrip(".: ")
    terms = f"; licence: {licence}" if licence else ""
    verb = "are" if " and " in missing else "is"
    return f"{missing} of {repo} {verb} not on this machine and the hub gave none ({reason}){terms}"


def _how_to_get(repo: str, revision: str | None) -> str:
    pinned = f" --revision {revision}" if revision else ""
    return (
        f"Where there is a network: hf download {repo}{pinned} --local-dir FOLDER; then name the folder, "
        "or add path=FOLDER to the name."
    )
