#!/usr/bin/env python3
"""Play a run again from its folder and compare: the same as `toolbox reproduce`."""

from _launch import launch

if __name__ == "__main__":
    launch("reproduce")
