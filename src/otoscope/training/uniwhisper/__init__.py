"""UniWhisper: continual multi-task training of one encoder by instruction and answer (arXiv 2602.21772).

A Whisper encoder and an adapter are trained so that a frozen language model answers instructions about speech, sounds
and music; afterwards the encoder alone is kept. The recipe is our reading of the paper (its body could not be had);
what it does not say is ours and a key of the recipe."""
