"""Templates to text, and the text to disk. Everything that comes from a run is escaped on the way."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import uuid
from contextlib import suppress
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from otoscope.report.figures.style import css_variables
from otoscope.results.files import store_errors

_TEMPLATES = ("base.html", "page.html", "chapters.html", "headline.html", "chapter.html", "blocks.html")


def document(template: str, **values: Any) -> str:
    """A whole page: style and script inside, both themes, and a policy that lets nothing else in."""
    script = _text("report.js")
    return (
        environment()
        .get_template(template)
        .render(
            style=Markup(_text("report.css")),
            light=Markup(css_variables(0)),
            dark=Markup(css_variables(1)),
            script=Markup(script),
            script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            **values,
        )
    )


def _text(name: str) -> str:
    return (files("otoscope.report") / "templates" / name).read_text(encoding="utf-8")


def breakable(text: str) -> Markup:
    """``text`` (escaped) that may break after punctuation: names of models are long and have no spaces."""
    return Markup("<wbr>").join(re.split(r"(?<=[:,/=#|])(?=\S)", text))


@cache
def environment() -> jinja2.Environment:
    """The templates. A name that a template lacks is an error."""
    found = jinja2.Environment(
        loader=jinja2.DictLoader({n: _text(n) for n in _TEMPLATES}),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    found.filters["breakable"] = breakable
    return found


def write_page(path: Path, text: str) -> None:
    """Whole or not there. The page can be made again at any time, so nothing is synced to disk."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    with store_errors(path):
        try:
            temporary.write_bytes(text.encode("utf-8"))
            os.replace(temporary, path)
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()
