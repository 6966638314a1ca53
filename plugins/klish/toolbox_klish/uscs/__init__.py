"""USCS: semantic-conditional synthesis without labels: clusters of a GAN as a palette.

A GauGAN (Park et al. 2019, Semantic Image Synthesis with Spatially-Adaptive Normalization) learns from pairs
of images and cluster maps to draw what a map says. Written from that paper's description; its authors' code
is not used.
"""
