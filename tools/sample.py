#!/usr/bin/env python3
"""Draw grids from a checkpoint: classes, clusters, interpolations, the prompt table: the same as `toolbox
sample`.
"""

from _launch import launch

if __name__ == "__main__":
    launch("sample")
