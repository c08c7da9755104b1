"""Small checkpoints of the five families of audio language models."""

from audiolm_fixtures import build, clip, family, model, written

__all__ = ["build", "clip", "family", "model", "written"]
