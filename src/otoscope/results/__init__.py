"""The run directory, and what is computed from it."""
