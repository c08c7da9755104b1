"""Encoders that were written for other suites, and ours as such: X-ARES and HEAR, both ways."""
