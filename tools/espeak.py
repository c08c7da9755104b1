"""Speech from espeak-ng in this process, the same samples every time.

The engine keeps a global state: a noise generator seeded from the clock, and leftovers of the utterance before. So
every utterance gets an image of the library of its own (a private copy, loaded, seeded, used once, unloaded) and all
parameters are set each time. Needs ``pip install otoscope[speech]`` and a POSIX system.
"""

from __future__ import annotations

import _ctypes
import ctypes
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import espeakng_loader
import numpy as np
from numpy.typing import NDArray

_SYNCHRONOUS, _NO_EXIT, _UTF8 = 2, 0x8000, 1
_PARAMETERS = {"rate": 1, "volume": 2, "pitch": 3, "range": 4, "punctuation": 5, "capitals": 6, "wordgap": 7}
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


@dataclass(frozen=True)
class Voice:
    """``name`` is espeak-ng's: language and variant, ``en-us+f2``. ``rate`` in words a minute, ``pitch`` 0 to 99."""

    name: str
    rate: int = 175
    pitch: int = 50
    range: int = 50


class Espeak:
    """A private copy of the engine; use it as a context manager."""

    def __enter__(self) -> Espeak:
        self._folder = Path(tempfile.mkdtemp(prefix="es"))
        self._library = str(shutil.copy(espeakng_loader.get_library_path(), self._folder / "engine.so"))
        # The engine holds its data path in 160 bytes; a link in the temporary folder is short.
        self._data = self._folder / "data"
        self._data.symlink_to(espeakng_loader.get_data_path())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        shutil.rmtree(self._folder)

    def speak(self, text: str, voice: Voice, seed: int) -> tuple[NDArray[np.int16], int]:
        """Samples ``[n]`` and their rate. Raises ValueError on a voice or variant that does not exist."""
        _, _, variant = voice.name.partition("+")
        if variant and not (self._data / "voices" / "!v" / variant).is_file():
            raise ValueError(f"espeak-ng has no variant {variant!r} and would ignore it silently")
        engine = ctypes.CDLL(self._library)
        try:
            return self._speak(engine, text, voice, seed)
        finally:
            engine.espeak_Terminate()
            _ctypes.dlclose(engine._handle)

    def version(self) -> str:
        engine = ctypes.CDLL(self._library)
        engine.espeak_Info.restype = ctypes.c_char_p
        try:
            return str(engine.espeak_Info(None).decode().split()[0])
        finally:
            _ctypes.dlclose(engine._handle)

    def _speak(self, engine: ctypes.CDLL, text: str, voice: Voice, seed: int) -> tuple[NDArray[np.int16], int]:
        blocks: list[NDArray[np.int16]] = []

        def collect(samples: ctypes._Pointer[ctypes.c_short], count: int, events: int) -> int:
            if samples and count:
                blocks.append(np.ctypeslib.as_array(samples, (count,)).copy())  # the engine reuses its buffer
            return 0

        callback = _CALLBACK(collect)  # must live until the synthesis is over
        engine.espeak_Initialize.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int]
        rate = engine.espeak_Initialize(_SYNCHRONOUS, 0, os.fsencode(self._data), _NO_EXIT)
        if rate <= 0:
            raise RuntimeError("espeak-ng does not find its data")
        engine.espeak_SetSynthCallback.argtypes = [_CALLBACK]
        engine.espeak_SetSynthCallback(callback)
        engine.espeak_ng_SetRandSeed.argtypes = [ctypes.c_long]
        engine.espeak_ng_SetRandSeed(seed)
        if engine.espeak_SetVoiceByName(voice.name.encode()) != 0:
            raise ValueError(f"espeak-ng has no voice {voice.name!r}")
        settings = {"rate": voice.rate, "volume": 60, "pitch": voice.pitch, "range": voice.range}
        for name, number in _PARAMETERS.items():
            engine.espeak_SetParameter(number, settings.get(name, 0), 0)
        data = text.encode() + b"\0"
        engine.espeak_Synth.argtypes = [
            ctypes.c_char_p,
            ctypes.c_size_t,
            ctypes.c_uint,
            ctypes.c_int,
            ctypes.c_uint,
            ctypes.c_uint,
            ctypes.c_void_p,
            ctypes.c_void_p,
        ]
        if engine.espeak_Synth(data, len(data), 0, 0, 0, _UTF8, None, None) != 0 or not blocks:
            raise RuntimeError(f"espeak-ng said nothing for {text!r}")
        return np.concatenate(blocks), rate
