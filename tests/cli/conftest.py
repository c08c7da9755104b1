"""Small checkpoints of audio language models."""

from audiolm_fixtures import build, clip, written

__all__ = ["build", "clip", "written"]
