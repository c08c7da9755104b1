"""MMAU-Pro (arXiv 2508.13992): closed questions, instructions to follow, open questions, in the published layout."""
