"""AudioMarathon (arXiv 2510.07293): ten tasks on recordings of 90 to 300 s, from the published data as they lie, or
from a miniature of the same layout that the package makes itself."""
