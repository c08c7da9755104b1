"""The highest memory that this process has held, from one moment on: for phases that follow one another.

Under Linux the resident set's high-water mark can be reset (``/proc/self/clear_refs``); elsewhere there is no figure,
because without a reset every phase would show the peak of what came before.
"""

from __future__ import annotations


def peak_bytes() -> int | None:
    """Highest resident memory since :func:`forget_peak` (bytes); None where that cannot be told."""
    if not _RESETS:
        return None
    try:
        with open("/proc/self/status") as status:
            found = [line for line in status if line.startswith("VmHWM")]
    except OSError:
        return None
    return int(found[0].split()[1]) * 1024 if found else None


def forget_peak() -> None:
    """Let the peak be what is held now. Nothing happens where that cannot be done."""
    if _RESETS:
        _reset()


def _reset() -> bool:
    """Whether the high-water mark could be reset."""
    try:
        with open("/proc/self/clear_refs", "w") as refs:
            refs.write("5")
    except OSError:
        return False
    return True


_RESETS = _reset()
