#!/usr/bin/env python3
"""Train from a config: the same as `toolbox train`."""

from _launch import launch

if __name__ == "__main__":
    launch("train")
