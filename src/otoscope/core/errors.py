"""Errors that say what happened, where, and what to do.

Every error that a user can cause derives from :class:`OtoscopeError`; the command line prints it in one
line and leaves with its ``exit_code``. A traceback therefore always means a defect of ours.
"""

from __future__ import annotations


class OtoscopeError(Exception):
    """Base class. ``what`` happened, ``where`` (file, item, model) and how to ``fix`` it."""

    exit_code = 3

    def __init__(self, what: str, *, where: str | None = None, fix: str | None = None) -> None:
        self.what, self.where, self.fix = what, where, fix
        super().__init__(str(self))

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}. {self.fix}" if self.fix else text

    def __reduce__(self) -> tuple[object, ...]:  # keep the parts when an error crosses a process boundary
        return _rebuild, (type(self), self.what, self.where, self.fix)


def _rebuild(kind: type[OtoscopeError], what: str, where: str | None, fix: str | None) -> OtoscopeError:
    return kind(what, where=where, fix=fix)


class UsageError(OtoscopeError):
    """A wrong name, flag or parameter."""

    exit_code = 2


class InputError(OtoscopeError):
    """Input that cannot be used: unreadable audio, NaN samples, a wrong shape."""


class StoreError(OtoscopeError):
    """A results directory that cannot be read or written."""


class ModelError(OtoscopeError):
    """A model that cannot be loaded, or whose output breaks its contract."""
