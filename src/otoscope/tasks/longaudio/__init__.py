"""A benchmark on long audio from one's own clips: the same items at several lengths, so that length alone differs."""
