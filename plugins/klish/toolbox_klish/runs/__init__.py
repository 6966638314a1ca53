"""Clustering runs; ``ClusterRun`` opens the folder of one."""

from toolbox_klish.runs.run import ClusterRun

__all__ = ["ClusterRun"]
