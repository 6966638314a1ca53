"""Are parts linearly separable in a generator's features? Tables I and III, and Fig. 1."""
