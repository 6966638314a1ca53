"""The base networks that several papers build on, one file a family."""
