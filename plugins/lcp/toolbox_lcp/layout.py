"""Where each cluster stands: classes with k_y clusters each, laid out flat over S = sum k_y rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from toolbox.catalog import near_miss
from toolbox.ranges import check_whole


class ClusterLayout:
    """Rows of the flat table: cluster i of class y is row ``offsets[y] + i``.

    Args:
        class_names: names of the C classes.
        clusters: k_y, one number for all classes or {class name: number}. Unknown in the paper.

    Attributes:
        sizes: k_y of each class.
        offsets: first row of each class.
        total: S, number of rows.
        width: K = max k_y.

    Raises:
        ValueError: for no classes, an unknown class name, a missing class, or a number below 1.
    """

    def __init__(self, class_names: Sequence[str], clusters: int | Mapping[str, int] = 5) -> None:
        if not class_names:
            raise ValueError(
                "class_names is empty: give the names of the classes, in the order of the labels"
            )
        self.class_names = [str(name) for name in class_names]
        self.sizes = self._read(clusters)
        self.offsets = [sum(self.sizes[:y]) for y in range(len(self.sizes))]
        self.total = sum(self.sizes)
        self.width = max(self.sizes)
        self._tables: dict[torch.device, Tensor] = {}  # made once: see _columns

    def _read(self, clusters: int | Mapping[str, int]) -> list[int]:
        if not isinstance(clusters, Mapping):
            clusters = dict.fromkeys(self.class_names, clusters)
        for name in clusters:
            self._check_name(name, "clusters: ")
        missing = [name for name in self.class_names if name not in clusters]
        if missing:
            raise ValueError(
                f"clusters says nothing of class {missing[0]!r}: give a number for each class, or one for all"
            )
        for name, number in clusters.items():
            check_whole(1, **{f"clusters of class {name!r}": number})
        return [int(clusters[name]) for name in self.class_names]

    def _check_name(self, name: str, place: str = "") -> None:
        if name not in self.class_names:
            raise ValueError(
                f"{place}no class is called {name!r}{near_miss(str(name), self.class_names)}; classes: "
                f"{', '.join(self.class_names)}"
            )

    @property
    def names(self) -> list[str]:
        """What each row is called: 'trouser / cluster 2' (counted from 0)."""
        classes = zip(self.class_names, self.sizes, strict=True)
        return [f"{name} / cluster {i}" for name, size in classes for i in range(size)]

    @property
    def class_of_row(self) -> list[int]:
        """Class of each of the S rows."""
        return [y for y, size in enumerate(self.sizes) for _ in range(size)]

    def class_index(self, name: str | int) -> int:
        """Number of a class given by name or number.

        Raises:
            ValueError: for a class that does not exist.
        """
        if isinstance(name, str):
            self._check_name(name)
            return self.class_names.index(name)
        if not 0 <= name < len(self.class_names):
            number = len(self.class_names)
            raise ValueError(f"class {name} does not exist: there are {number} (0..{number - 1})")
        return int(name)

    def row(self, name: str | int, cluster: int) -> int:
        """Row of a cluster of a class.

        Raises:
            ValueError: for a class or a cluster that does not exist.
        """
        y = self.class_index(name)
        if not 0 <= cluster < self.sizes[y]:
            raise ValueError(
                f"class {self.class_names[y]!r} has no cluster {cluster}: it has {self.sizes[y]} "
                f"(0..{self.sizes[y] - 1})"
            )
        return self.offsets[y] + int(cluster)

    def place(self, row: int) -> tuple[str, int]:
        """Class name and cluster of a row; the inverse of :meth:`row`."""
        y = self.class_of_row[row]
        return self.class_names[y], row - self.offsets[y]

    def spread(self, labels: Tensor, coefficients: Tensor) -> Tensor:
        """Rows (N, S) with coefficients (N, K) in the block of each label (N,); all zero for label -1."""
        columns = self._columns(labels.device)[labels]  # (N, K); label -1 picks the last line
        rows = coefficients.new_zeros(len(labels), self.total + 1)  # column S takes what belongs nowhere
        return rows.scatter_(1, columns, coefficients)[:, :-1]

    def gather(self, labels: Tensor, rows: Tensor) -> Tensor:
        """Coefficients (N, K) of each label's block out of rows (N, S); the inverse of :meth:`spread`."""
        padded = torch.cat([rows, rows.new_zeros(len(rows), 1)], dim=1)  # (N, S + 1)
        return padded.gather(1, self._columns(rows.device)[labels])

    def _columns(self, device: torch.device) -> Tensor:
        """(C + 1, K) row of each cluster; padded places, and the last line, point at column S."""
        if device not in self._tables:
            table = torch.full((len(self.sizes) + 1, self.width), self.total)
            for y, (offset, size) in enumerate(zip(self.offsets, self.sizes, strict=True)):
                table[y, :size] = torch.arange(offset, offset + size)
            self._tables[device] = table.to(device)
        return self._tables[device]
