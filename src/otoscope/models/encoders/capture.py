"""See what a part of somebody else's network puts out, without rewriting the network.

Codecs of ``transformers`` give codes; what we want is what goes into the quantiser. A forward hook on the named part
keeps it, and is gone when the context ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any


@contextmanager
def capture(parts: Mapping[Any, Any]) -> Iterator[dict[Any, list[Any]]]:
    """Outputs of the modules in ``parts``, by name, one entry per call, in order. Of a tuple the first is kept."""
    seen: dict[Any, list[Any]] = {name: [] for name in parts}

    def keeper(name: Any) -> Any:
        def hook(module: Any, inputs: Any, output: Any) -> None:
            seen[name].append(output[0] if isinstance(output, tuple) else output)

        return hook

    with ExitStack() as stack:
        for name, module in parts.items():
            stack.callback(module.register_forward_hook(keeper(name)).remove)
        yield seen
