"""What a fit costs in memory and time, before it is begun: a model for planning, not a measurement.

    toolbox klish cost --rows 16777216 --width 992 --first 100 --gpu h100
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

GIB = 2**30


@dataclass(frozen=True)
class Machine:
    """What a device does in a second: bytes read from its memory, floating-point operations of matrix products; its memory."""

    bandwidth: float
    flops: float
    memory: float


#: Data sheets, times the share that large products usually reach (bandwidth 0.7, single precision 0.6). Not measured here.
MACHINES = {
    "h100": Machine(0.7 * 3.35e12, 0.6 * 67e12, 80e9),
    "a100-80": Machine(0.7 * 2.04e12, 0.6 * 19.5e12, 80e9),
    "core": Machine(8e9, 60e9, 16e9),  # one CPU core
}


@dataclass(frozen=True)
class Cost:
    """Estimate of one fit.

    Attributes:
        features, confidences, scratch: bytes.
        first, merges: seconds of the initial training and of all merges; k-means and the filter are not in it.
    """

    features: float
    confidences: float
    scratch: float
    first: float
    merges: float

    @property
    def memory(self) -> float:
        """Bytes in all."""
        return self.features + self.confidences + self.scratch


def estimate(rows: int, width: int, clusters: int, machine: Machine, bytes_each: int = 2, iterations: int = 12,
             rows_in_hessians: float = 1.0) -> Cost:
    """Cost of Newton's method for ``clusters`` classes, then for one class a merge.

    Args:
        rows: N. width: D. clusters: K0.
        machine: what it runs on.
        bytes_each: of a stored feature: 2 or 4.
        iterations: of Newton's method for a class; 10 to 14 were seen.
        rows_in_hessians: rows that enter Hessians, over all iterations of a class, as a share of N. About 1 was seen on made
            data: where most rows are inside the margin, the others are subtracted.
    """
    from toolbox_klish.svm import TOGETHER

    large = 4 * clusters * rows > 4 * GIB
    reading = rows * width * bytes_each / machine.bandwidth
    hessians = 2 * rows_in_hessians * rows * width**2 / machine.flops
    solving = iterations * (width + 1) ** 3 / 3 / (machine.flops / 4)
    passes = 2 * iterations + 1  # scores along a step; rows inside the margin
    rounds = -(-clusters // TOGETHER)
    scores = 8 * TOGETHER * rows * 4  # signs, scores, and temporaries of their size
    matrices = 2 * TOGETHER * (width + 1) ** 2 * 8
    return Cost(features=rows * width * bytes_each, confidences=clusters * rows * (2 if large else 4), scratch=scores + matrices,
                first=rounds * passes * reading + clusters * (hessians + solving),
                merges=max(clusters - 2, 0) * (passes * reading + hessians + solving))


def execute(arguments: argparse.Namespace) -> int:
    """Print the estimate; returns the exit code."""
    machine = MACHINES[arguments.gpu]
    cost = estimate(arguments.rows, arguments.width, arguments.first, machine, arguments.bytes_each)
    print(f"estimate, not a measurement: {arguments.rows:,} x {arguments.width}, {arguments.first} first clusters, {arguments.gpu}")
    print(f"memory {cost.memory / GIB:.1f} GiB: features {cost.features / GIB:.1f}, confidences {cost.confidences / GIB:.1f}, "
          f"scratch {cost.scratch / GIB:.1f}; the machine has {machine.memory / GIB:.1f}")
    print(f"initial training {cost.first:.0f} s, all merges {cost.merges:.0f} s")
    return 0
