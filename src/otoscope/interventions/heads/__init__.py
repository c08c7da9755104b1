"""Single heads of a decoder: what each does with sound, and what happens without it."""
