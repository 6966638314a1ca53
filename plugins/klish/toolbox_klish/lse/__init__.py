"""The linear semantic extractor: parts of generated images from a generator's taps (KLiSH, section 4)."""
