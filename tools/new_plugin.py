#!/usr/bin/env python3
"""Write a new plugin that installs, is found, and passes its own test: the same as `toolbox new-plugin`."""

from _launch import launch

if __name__ == "__main__":
    launch("new-plugin")
