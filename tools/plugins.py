#!/usr/bin/env python3
"""List the plugins, what each brings, and its state: the same as `toolbox plugins`."""

from _launch import launch

if __name__ == "__main__":
    launch("plugins")
