"""Loss functions: plain PyTorch, usable without the rest of the toolbox."""
