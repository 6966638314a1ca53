#!/usr/bin/env python3
"""Read weights from outside safely and write them as safetensors: the same as `toolbox convert`."""

from _launch import launch

if __name__ == "__main__":
    launch("convert")
