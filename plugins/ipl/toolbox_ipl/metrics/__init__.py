"""Metrics of adaptation: structure, identity, style, variety and direction, each named with its protocol."""
