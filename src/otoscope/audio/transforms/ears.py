"""Rungs L1-L3: what reaches which ear. L1 and L2 are zero and minus infinity by construction; L3 should change nothing.

L1 is how the paper feeds its monaural controls; L2 and L3 are ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from otoscope.audio.transforms.base import Float, Transform


@dataclass(frozen=True)
class LeftEar(Transform):
    """L1: both ears get the left ear, which is the same in S0 and Spi."""

    def change(self, x: Float, rate: int, seed: int) -> Float:
        return np.repeat(x[:, :1], 2, axis=1)


@dataclass(frozen=True)
class Downmix(Transform):
    """L2: both ears get (L + R) / 2, where the tone of Spi cancels."""

    def change(self, x: Float, rate: int, seed: int) -> Float:
        return np.repeat(x.mean(axis=1, keepdims=True), 2, axis=1)


@dataclass(frozen=True)
class SwapEars(Transform):
    """L3: left and right change places."""

    def change(self, x: Float, rate: int, seed: int) -> Float:
        return x[:, ::-1].copy()


@dataclass(frozen=True)
class FlipPolarity(Transform):
    """L3: both ears change polarity."""

    def change(self, x: Float, rate: int, seed: int) -> Float:
        return -x
