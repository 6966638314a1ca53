"""UFGS: a segmenter from unlabelled images, by clusters of a generator's features (KLiSH, section 5.1)."""
