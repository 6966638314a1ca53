"""USCS: unsupervised semantic-conditional synthesis (KLiSH, sec. 4.3): clusters of a GAN's features as a palette.

A GauGAN (Park et al. 2019, Semantic Image Synthesis with Spatially-Adaptive Normalization) learns from pairs
of images and cluster maps to draw what a map says. Written from that paper's description; its authors' code
is not used.
"""
