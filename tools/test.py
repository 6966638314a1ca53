#!/usr/bin/env python3
"""Evaluate a checkpoint: the same as `toolbox test`."""

from _launch import launch

if __name__ == "__main__":
    launch("test")
