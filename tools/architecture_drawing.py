"""Draw docs/assets/architecture.svg from the imports that are really in src/: who uses whom, layer by layer.

A dot means that the package of the row imports from the package of the column; its area goes with the number of import
statements. A ring means that it does so inside functions only, so that nothing is loaded before it is needed. Layers
come from the import contract in pyproject.toml. The test of the documentation compares dots and rings with the code.
"""

from __future__ import annotations

import ast
import math
import re
import textwrap
import tomllib
from collections import Counter
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "otoscope"
DRAWING = ROOT / "docs" / "assets" / "architecture.svg"

ROW, LEFT, CELL, TOP, WIDE = 46, 500, 34, 96, 66
INK, SOFT, LINE, BAND, DOT = "#1b1f24", "#59636e", "#d0d5db", "#f5f6f8", "#0067a8"

Edge = tuple[str, str]


def layers() -> list[list[str]]:
    """From the top, each with its packages."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (order,) = (c["layers"] for c in contracts if c["type"] == "layers")
    return [[name.strip(" ()").removeprefix("otoscope.") for name in layer.split("|")] for layer in order]


def inside(package: str) -> list[str]:
    """Sub-packages, or modules where there are none."""
    folder = PACKAGE / package
    packages = sorted(p.parent.name for p in folder.glob("*/__init__.py"))
    return packages or sorted(p.stem for p in folder.glob("*.py") if p.stem != "__init__")


def imports() -> tuple[Counter[Edge], Counter[Edge]]:
    """How often each package imports from another: at import time, and inside functions."""
    early: Counter[Edge] = Counter()
    late: Counter[Edge] = Counter()
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).parts
        if len(parts) < 2:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
        inner = {id(n) for f in functions for n in ast.walk(f)}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [f"{node.module}.{a.name}" for a in node.names[:1]]
            elif isinstance(node, ast.Import):
                names = [a.name for a in node.names]
            else:
                continue
            for name in names:
                found = re.match(r"otoscope\.(\w+)", name)
                if found and found[1] != parts[0] and (PACKAGE / found[1]).is_dir():
                    (late if id(node) in inner else early)[parts[0], found[1]] += 1
    return early, late


def drawing() -> str:
    """The SVG."""
    order = layers()
    packages = [p for layer in order for p in layer]
    early, late = imports()
    width, height = LEFT + CELL * len(packages) + 12, TOP + ROW * len(packages) + 34
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" role="img">',
        "<title>Which package of Otoscope imports which: imports go down only</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    y = TOP
    for i, layer in enumerate(order):
        fill = BAND if i % 2 == 0 else "#ffffff"
        out.append(f'<rect x="0" y="{y}" width="{width}" height="{ROW * len(layer)}" fill="{fill}"/>')
        y += ROW * len(layer)
    for k, package in enumerate(packages):
        x, y = LEFT + CELL * (k + 0.5), TOP + ROW * k
        out.append(_text(x, TOP - 10, package, INK, 12, f' transform="rotate(-45 {x:g} {TOP - 10})"'))
        out.append(f'<line x1="{x:g}" y1="{TOP}" x2="{x:g}" y2="{height - 34}" stroke="{LINE}"/>')
        out.append(_text(12, y + 20, package, INK, 14, ' font-weight="bold"'))
        for j, line in enumerate(textwrap.wrap(", ".join(inside(package)), WIDE, max_lines=2, placeholder=" …")):
            out.append(_text(118, y + 19 + 15 * j, line, SOFT, 11))
        out.append(f'<rect x="{x - 4:g}" y="{y + ROW / 2 - 4:g}" width="8" height="8" fill="{LINE}"/>')
    for a, b in sorted({*early, *late}):
        n, at_import = early[a, b] + late[a, b], early[a, b] > 0
        x, y = LEFT + CELL * (packages.index(b) + 0.5), TOP + ROW * (packages.index(a) + 0.5)
        look = f'fill="{DOT}"' if at_import else f'fill="none" stroke="{DOT}" stroke-width="1.6"'
        tip = f"{a} imports from {b}: {n} statements" + ("" if at_import else ", inside functions only")
        radius = min(3 + 1.1 * math.sqrt(n), CELL / 2 - 2)
        kind = "early" if at_import else "late"
        out.append(
            f'<circle data-edge="{a} {b} {kind}" cx="{x:g}" cy="{y:g}" r="{radius:.1f}" {look}>'
            f"<title>{escape(tip)}</title></circle>"
        )
    key = "row imports from column; dot: when it is imported, ring: inside functions only; bands are the layers"
    out.append(_text(12, height - 12, key, SOFT, 11))
    return "\n".join([*out, "</svg>"]) + "\n"


def drawn() -> set[tuple[str, str, str]]:
    """The dots and rings of the drawing as it lies in docs/."""
    text = DRAWING.read_text(encoding="utf-8")
    return {(a, b, kind) for a, b, kind in re.findall(r'data-edge="(\w+) (\w+) (\w+)"', text)}


def real() -> set[tuple[str, str, str]]:
    """What they should be."""
    early, late = imports()
    return {(a, b, "early" if early[a, b] else "late") for a, b in {*early, *late}}


def _text(x: float, y: float, text: str, colour: str, size: int, more: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}" fill="{colour}" font-size="{size}"{more}>{escape(text)}</text>'


if __name__ == "__main__":
    DRAWING.write_text(drawing(), encoding="utf-8")
