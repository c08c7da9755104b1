"""Fewer audio tokens inside a decoder: one engine, one file per method."""
