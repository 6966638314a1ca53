#!/usr/bin/env python3
"""One picture of several runs on the same latents and conditions: the same as `toolbox compare`."""

from _launch import launch

if __name__ == "__main__":
    launch("compare")
