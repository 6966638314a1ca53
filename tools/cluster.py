#!/usr/bin/env python3
"""Cluster the features of a generator from a config: the same as `toolbox klish fit`."""

from _launch import launch

if __name__ == "__main__":
    launch("klish", "fit")
