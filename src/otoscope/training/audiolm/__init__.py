"""Training of the tiny audio language model that comes with the package. Ours."""
