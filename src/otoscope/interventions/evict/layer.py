"""One layer of a cache that has lost some of its keys, and still says how long the text is.

The library reads positions, the length of prompts and its own masks off ``get_seq_length``; so that stays the length of
all that was ever added (as the library's own sliding layers have it), while ``keys`` and ``values`` hold what is left.
Every head keeps its own tokens, as many as the others. Rows that keep fewer are filled on the left with what nobody
sees. All state of an evicted cache is here, so it follows the cache into later turns and through beam search.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicLayer

from otoscope.core.errors import UsageError
from otoscope.interventions.decoder import Tokens


@dataclass
class RowState:
    """Of one prompt: how many real tokens there were, the queries since (``[H, t, d]``, as far as the method wants
    them), and what the method remembers."""

    seen: int
    queries: Tensor | None = None
    memory: dict[str, Any] = field(default_factory=dict)


class EvictedLayer(DynamicLayer):
    """``tokens`` are those that the layer has read as a prompt. ``real`` ``[B, n]`` tells which of the keys
    ``[B, H, n, d]`` count, ``at`` ``[B, H, n]`` which of its prompt's tokens each one is (the first real one is 0),
    ``rows`` what is known of each prompt."""

    def __init__(self, whole: DynamicLayer, tokens: Tokens, rows: list[RowState]) -> None:
        super().__init__()
        self.__dict__.update(whole.__dict__)
        assert self.keys is not None
        self.tokens, self.real, self.rows = tokens, tokens.real.to(self.keys.device), rows
        self.at = (self.real.cumsum(1) - 1)[:, None].expand(-1, self.keys.shape[1], -1)
        self.added = int(self.keys.shape[-2])
        self.since = 0  # tokens added since the last eviction
        self._plain = False

    def retain(self, index: Tensor, real: Tensor) -> None:
        """Keep the keys at ``index`` ``[B, H, m]`` alone; ``real`` ``[B, m]``. The others' memory is free."""
        assert self.keys is not None
        assert self.values is not None
        self.keys = self.keys.gather(2, index[..., None].expand(*index.shape, self.keys.shape[-1]))
        self.values = self.values.gather(2, index[..., None].expand(*index.shape, self.values.shape[-1]))
        self.at, self.real = self.at.gather(2, index), real

    def expect(self, new: Tensor, all_real: bool = False) -> Tensor:
        """``new`` ``[B, n]`` tokens come, some of them real; which keys will count ``[B, keys]``. ``all_real`` spares
        asking the device."""
        count = new.cumsum(1) + torch.tensor([[row.seen] for row in self.rows], device=new.device)
        self.at = torch.cat([self.at, (count - 1)[:, None].expand(-1, self.at.shape[1], -1)], 2)
        self.real = torch.cat([self.real, new], 1)
        counts = [new.shape[1]] * len(self.rows) if all_real else new.sum(1).tolist()
        for row, n in zip(self.rows, counts, strict=True):
            row.seen += int(n)
        return self.real

    @contextmanager
    def as_it_is(self) -> Iterator[None]:
        """Inside, the length is that of the keys that are left."""
        self._plain = True
        try:
            yield
        finally:
            self._plain = False

    # --- what the library calls ---

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        found = super().update(key_states, value_states, *args, **kwargs)
        n = key_states.shape[-2]
        self.added, self.since = self.added + n, self.since + n
        if self.real.shape[1] < found[0].shape[-2]:  # outside the context nobody has said what comes
            self.expect(torch.ones(len(self.real), n, dtype=torch.bool, device=self.real.device))
        return found

    def get_seq_length(self) -> int:
        return super().get_seq_length() if self._plain else self.added

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.get_seq_length() + query_length, 0

    def crop(self, tokens_to_remove: int) -> None:
        n = abs(tokens_to_remove)
        if n > self.since:
            what = f"{n} tokens cannot be taken back: the cache was evicted from {self.since} tokens ago"
            raise UsageError(what, where="evict")
        if n:
            super().crop(-n)
            for row, gone in zip(self.rows, self.real[:, -n:].sum(1).tolist(), strict=True):
                row.seen -= int(gone)
                row.queries = None if row.queries is None else row.queries[:, : row.queries.shape[1] - int(gone)]
            self.at, self.real = self.at[..., :-n], self.real[:, :-n]
            self.added, self.since = self.added - n, self.since - n

    def reset(self) -> None:
        raise UsageError("a cache that was evicted from cannot be used again", fix="Make a new one for a new prompt.")

    def reorder_cache(self, beam_idx: Any) -> None:
        super().reorder_cache(beam_idx)
        self._rows_of(beam_idx.tolist())

    def batch_repeat_interleave(self, repeats: int) -> None:
        super().batch_repeat_interleave(repeats)
        self._rows_of([i for i in range(len(self.rows)) for _ in range(repeats)])

    def batch_select_indices(self, indices: Tensor) -> None:
        super().batch_select_indices(indices)
        self._rows_of(torch.arange(len(self.rows))[indices.cpu()].tolist())

    def _rows_of(self, order: list[int]) -> None:
        self.rows = [replace(self.rows[i], memory=dict(self.rows[i].memory)) for i in order]
        index = torch.tensor(order, device=self.real.device)
        self.at, self.real = self.at[index], self.real[index]
