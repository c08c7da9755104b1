"""Fewer keys and values in a decoder's cache: one engine, one file per method."""
