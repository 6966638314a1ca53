"""How much a file may ask for: far above what published weights hold, and read within seconds.

A snapshot of StyleGAN2 with three networks takes some 60,000 operations of a pickle and holds 600 tensors; a
checkpoint of a run holds some thousands. No file makes its reader work for longer, or hold more, than its own
bytes and these numbers allow.
"""

from __future__ import annotations

from toolbox.weights.errors import WeightsError

MOST_STEPS = 600_000  # operations of a pickle and of those inside it: about a second
MOST_COPIES = 4  # how often the bytes of a pickle may be copied by what it calls
MOST_NODES = 150_000  # values of all kinds, and modules
MOST_PLACES = 1000  # that one container may be found in: tuples in tuples twice each grow like 2^depth
MOST_TENSORS = 100_000
MOST_ENTRIES = 2**15  # of a zip archive: a tensor each
MOST_INFLATED = 2**26  # bytes that an archive may unpack to: torch packs only code, which is text
MOST_TEXT = 2**24  # characters of plain values
DEEPEST = 64  # containers in containers, modules in modules
LONGEST_NAME = 2000  # characters of a tensor's whole name
LONGEST_HEADER = 2**24  # bytes: of safetensors; of 100,000 tensors about 2**23
LONGEST_CARD = 2**24  # bytes
MOST_DIGITS = 300  # of a whole number
SPREAD = 8  # tensors may share data, but not so often that unpacking them is the attack
SLACK = 2**20  # what is never too much: bytes of tensors, numbers of a network


class Meter:
    """Counts the work of reading one file.

    Args:
        steps: how many there may be.
    """

    def __init__(self, steps: int = MOST_STEPS) -> None:
        self.most = steps
        self.steps = 0
        self.seen, self.copied = 0, 0  # bytes that were read, bytes that calls have made copies of

    def step(self, n: int = 1) -> None:
        """Count operations.

        Raises:
            WeightsError: beyond the limit.
        """
        self.steps += n
        if self.steps > self.most:
            raise WeightsError(
                f"it takes more than {self.most:,} operations to read, which weights never need"
            )

    def copy(self, n: int) -> None:
        """Count bytes that a call makes a copy of.

        Raises:
            WeightsError: where the file's bytes are copied again and again.
        """
        self.copied += n
        if self.copied > MOST_COPIES * self.seen + SLACK:
            raise WeightsError("its data are copied again and again, which weights never need")
