"""Batches as tensors: what a feed has drawn, decoded and laid out, by workers where there are any."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import Dataset

from otoscope.audio.binaural import child
from otoscope.training.uniwhisper.augment import Augment
from otoscope.training.uniwhisper.collate import Laid, Layout, Sample
from otoscope.training.uniwhisper.feed import Draw, Feed
from otoscope.training.uniwhisper.templates import Bank


class Batches(Dataset[Laid]):
    """Decodes and lays out what a feed has drawn; workers hold a copy."""

    def __init__(self, feed: Feed, layout: Layout, bank: Bank, seed: int, augment: Augment | None = None) -> None:
        self.feed, self.layout, self.bank, self.seed, self.augment = feed, layout, bank, seed, augment or Augment()

    def __getitem__(self, drawn: tuple[list[Draw], dict[str, Any]]) -> Laid:
        draws, state = drawn
        samples = []
        for d in draws:
            r = self.feed.record(d)
            asked, answer = self.bank.instruction(r, self.seed, d.epoch), self.bank.answer(r, self.seed, d.epoch)
            wave = self.augment(r.sound.load(), child(self.seed, "augment", r.key, d.epoch))
            samples.append(Sample(wave, asked, answer, r.task, self.feed.sources[d.source].name))
        first = draws[0]
        rng = child(self.seed, "silence", state["pool"], state["taken"], first.source, first.index, first.epoch)
        laid = self.layout.lay_out(samples, rng)
        laid.state = state
        return laid


class Once(torch.utils.data.Sampler[Any]):
    """A sampler over an iterator that is gone through once."""

    def __init__(self, batches: Iterator[Any]) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[Any]:
        return self.batches
