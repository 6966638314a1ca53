"""What a fit costs in memory and time, before it is begun: a model for planning, not a measurement.

toolbox klish cost --rows 16777216 --width 992 --first 100 --gpu h100
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from toolbox.runs.terminal import show

GIB = 2**30


@dataclass(frozen=True)
class Machine:
    """What a device does in a second, and what it holds.

    Attributes:
        bandwidth: bytes to and from its memory.
        flops: floating-point operations of products of float32.
        hessian_flops: of Hessians: TF32 where there are tensor cores.
        memory: bytes.
        launch: seconds that a call of a kernel takes beside its work; 0 for a CPU.
    """

    bandwidth: float
    flops: float
    hessian_flops: float
    memory: float
    launch: float = 0.0


#: Data sheets, times the share that large products usually reach (bandwidth 0.7, products 0.6); not measured.
MACHINES = {
    "h100": Machine(0.7 * 3.35e12, 0.6 * 67e12, 0.6 * 495e12, 80e9, 1e-5),
    "a100-80": Machine(0.7 * 2.04e12, 0.6 * 19.5e12, 0.6 * 156e12, 80e9, 1e-5),
    "core": Machine(8e9, 60e9, 60e9, 16e9),  # one CPU core
}


@dataclass(frozen=True)
class Effort:
    """What training one class takes, in units of N rows.

    The numbers below were counted on made data (100,000 x 64, 20 clusters).

    Attributes:
        passes: over all rows.
        near: readings of gathered rows, as float32.
        hessian: rows that enter Hessians.
        steps: of Newton's method.
    """

    passes: float
    near: float
    hessian: float
    steps: int


ON_ALL = Effort(passes=25, near=0, hessian=1.0, steps=12)
ON_SETS = Effort(passes=3.5, near=8, hessian=0.6, steps=24)


@dataclass(frozen=True)
class Cost:
    """Estimate of one fit.

    Attributes:
        features, confidences, scratch: bytes.
        first, merges: seconds of the initial training and of all merges; without k-means and the filter.
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


def estimate(rows: int, width: int, clusters: int, machine: Machine, bytes_each: int = 2) -> Cost:
    """Cost of Newton's method for ``clusters`` classes, then for one class a merge.

    Where there are enough rows merges are counted with working sets, the initial training without: on a GPU
    the sets of many classes do not fit together.

    Args:
        rows: N.
        width: D.
        clusters: K0.
        machine: what it runs on.
        bytes_each: of a stored feature: 2 or 4.
    """
    from toolbox_klish.svm.newton import TOGETHER
    from toolbox_klish.svm.working_set import LEAST, ROOM

    enough = rows >= LEAST * width
    room = ROOM["cuda" if machine.launch else "cpu"]
    large = 4 * clusters * rows > 4 * GIB  # then confidences are kept in half precision
    scores = 8 * TOGETHER * rows * 4  # signs, scores, and temporaries of their size
    matrices = 2 * TOGETHER * (width + 1) ** 2 * 8
    gathered = min(room, 2 * rows * width) if enough else 0  # at most half of the rows
    rounds = -(-clusters // TOGETHER)
    reading = rounds * _reading(rows, width, machine, bytes_each, ON_ALL)
    first = reading + clusters * _computing(rows, width, machine, ON_ALL)
    one = ON_SETS if enough else ON_ALL
    merge = _reading(rows, width, machine, bytes_each, one) + _computing(rows, width, machine, one)
    return Cost(
        features=rows * width * bytes_each,
        confidences=clusters * rows * (2 if large else 4),
        scratch=scores + matrices + gathered,
        first=first,
        merges=max(clusters - 2, 0) * merge,
    )


def _reading(rows: int, width: int, machine: Machine, bytes_each: int, effort: Effort) -> float:
    """Seconds of the passes: stored features are read, written as float32 unless they are, and read again."""
    from toolbox_klish.svm.blocks import BLOCK_BYTES

    each = bytes_each if bytes_each == 4 else bytes_each + 8
    launches = 12 * -(-rows * width * 4 // BLOCK_BYTES["cuda"]) * machine.launch
    return effort.passes * (rows * width * each / machine.bandwidth + launches)


def _computing(rows: int, width: int, machine: Machine, effort: Effort) -> float:
    """Seconds of what one class takes beside the passes: gathered rows, Hessians, their factors."""
    near = effort.near * rows * width * 4 / machine.bandwidth
    # rows are copied for a Hessian: read, written and read again; its factor is Cholesky's, in float64
    row = 12 * width / machine.bandwidth + 2 * width**2 / machine.hessian_flops
    hessians = effort.hessian * rows * row
    factor = (width + 1) ** 3 / 3 / (machine.flops / 4) + 500 * machine.launch
    return near + hessians + effort.steps * factor


def execute(arguments: argparse.Namespace) -> int:
    """Print the estimate; returns the exit code."""
    from toolbox.ranges import check_whole

    for name in ("rows", "width", "first"):
        check_whole(1, **{f"--{name}": getattr(arguments, name)})
    machine = MACHINES[arguments.gpu]
    cost = estimate(arguments.rows, arguments.width, arguments.first, machine, arguments.bytes_each)
    show(
        f"estimate, not a measurement: {arguments.rows:,} x {arguments.width}, {arguments.first} first "
        f"clusters, {arguments.gpu}"
    )
    show(
        f"memory {cost.memory / GIB:.1f} GiB: features {cost.features / GIB:.1f}, "
        f"confidences {cost.confidences / GIB:.1f}, scratch {cost.scratch / GIB:.1f}; "
        f"the machine has {machine.memory / GIB:.1f}"
    )
    show(f"initial training {cost.first:.0f} s, all merges {cost.merges:.0f} s")
    return 0
