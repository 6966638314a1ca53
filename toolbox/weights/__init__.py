"""Weights from outside: one door for every file, and what is written for others to read."""
