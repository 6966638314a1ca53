"""Data sets, semi-supervised splits, and the stream that training reads.

ImageSet        images by number, with their true classes: the evaluation side
Stream          the training side: labels hidden by a split, randomness a function of (seed, position)
StreamSampler   an endless shuffle that starts anywhere
"""
