"""What is raised for a config."""

from __future__ import annotations


class ConfigError(ValueError):
    """A config that cannot be used; the message names the key and what is allowed."""
