"""What can be asked for of clusters inside classes: a class, one of its clusters, a combination of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from toolbox.interfaces import Condition, Conditioner, Request
from toolbox_lcp.intra_class import IntraClassClusters
from toolbox_lcp.layout import ClusterLayout


class ClusterRequests(Conditioner):
    """The side of a conditioner that answers requests; a subclass finds the clusters and draws coefficients.

    Attributes:
        layout: where each cluster stands among the S rows of ``condition.weights``.
        clusters: the clusters of each class.
    """

    grants = ("class_name", "mode", "coefficients")

    layout: ClusterLayout
    clusters: IntraClassClusters

    def names(self) -> list[str]:
        """What each of the S rows is called: 'trouser / cluster 2'."""
        return self.layout.names

    def used_clusters(self) -> list[list[int]]:
        """Numbers of the clusters in use of each class: a class may have got fewer than were asked for."""
        return [list(range(size)) for size in self.clusters.sizes.tolist()]

    def modes(self) -> Condition:
        """Each cluster in use alone, in the order of the rows; with one cluster a class, the classes."""
        pairs = torch.tensor([(y, i) for y, used in enumerate(self.used_clusters()) for i in used])
        labels, clusters = pairs.unbind(dim=1)
        return Condition(labels, self.layout.spread(labels, torch.eye(self.layout.width)[clusters]))

    def requests(self) -> dict[str, dict[str, Request]]:
        """Classes, and the clusters in use of each alone: 'trouser 2' is cluster 2 of class 'trouser'."""
        classes = {name: Request(class_name=name) for name in self.class_names}
        clusters = {}
        for name, used in zip(self.class_names, self.used_clusters(), strict=True):
            for i in used:
                clusters[f"{name} {i}"] = Request(class_name=name, mode=i)
        return {"class": classes, "cluster": clusters}

    def fulfil(self, request: Request, n: int, rng: torch.Generator) -> Condition:
        """A class with drawn coefficients, one of its clusters alone, or given coefficients over them.

        Raises:
            ValueError: a cluster or coefficients without a class, an unknown class or cluster, coefficients
                that are none.
        """
        label = self.label_of(request)
        if request.mode is None and request.coefficients is None:
            return super().fulfil(request, n, rng)
        if label is None:
            raise ValueError(f"a cluster is one of a class: name it; classes: {', '.join(self.class_names)}")
        if request.mode is not None:
            return self.by_cluster(label, request.mode, n)
        return self.by_coefficients(label, [request.coefficients] * n)

    def by_class(self, labels: Tensor, rng: torch.Generator) -> Condition:
        """Conditions of given classes (n,), coefficients drawn."""
        return self.sample(len(labels), rng, labels)

    def by_cluster(self, name: str | int, cluster: int, n: int = 1) -> Condition:
        """n times one cluster of a class (name or number) alone."""
        return self.by_coefficients(name, self._alone(name, cluster).repeat(n, 1))

    def by_coefficients(self, name: str | int, u: Any) -> Condition:
        """Conditions of a class (name or number) with coefficients u, (k,) or (n, k).

        Raises:
            ValueError: coefficients that are negative, do not sum to 1, are too many for the class, or name a
                cluster that is not in use.
        """
        y = self.layout.class_index(name)
        used = self.used_clusters()[y]
        size = used[-1] + 1
        rows = torch.atleast_2d(torch.as_tensor(u, dtype=torch.float32))  # (n, k)
        unused = [i for i in range(rows.shape[1]) if i not in used]
        beyond = rows[:, unused].any() or (rows < 0).any()
        if beyond or not torch.allclose(rows.sum(dim=1), torch.ones(len(rows)), atol=1e-4):
            holes = [str(i) for i in range(size) if i not in used]
            without = f", 0 for {', '.join(holes)} which has no images" if holes else ""
            raise ValueError(
                f"coefficients of class {self.class_names[y]!r} must be {size} numbers >= 0 with sum 1"
                f"{without}, got {rows.tolist()[0]}"
            )
        given = rows[:, :size]
        padded = torch.zeros(len(rows), self.layout.width)  # (n, K)
        padded[:, : given.shape[1]] = given
        labels = torch.full((len(rows),), y)
        return Condition(labels=labels, weights=self.layout.spread(labels, padded))

    # between the embeddings of eq. 6: e(a) = (1 - a) eps_i + a eps_j
    def interpolation(self, name: str | int, i: int, j: int, steps: int = 8) -> Condition:
        """From cluster i to cluster j of a class in ``steps`` steps, a = 0..1."""
        a = torch.linspace(0, 1, steps)[:, None]  # (steps, 1)
        return self.by_coefficients(name, (1 - a) * self._alone(name, i) + a * self._alone(name, j))

    def _alone(self, name: str | int, cluster: int) -> Tensor:
        """Coefficients (K,) of one cluster alone."""
        self.layout.row(name, cluster)  # refuses what does not exist
        y = self.layout.class_index(name)
        used = self.used_clusters()[y]
        if cluster not in used:
            raise ValueError(
                f"class {self.class_names[y]!r} has no cluster {cluster} in use, for no image belongs to it; "
                f"there are: {', '.join(map(str, used))}"
            )
        return torch.eye(self.layout.width)[cluster]

    def assign(self, features: Tensor, labels: Tensor | None) -> Tensor:
        """(N,) row of the cluster of its label (N,) that each feature (N, d) falls into; -1 for label -1."""
        if labels is None:
            raise ValueError("clusters are found inside classes: images need condition.labels")
        labels = labels.cpu()
        found = self.clusters.assign(features.detach().cpu().numpy(), labels.numpy())
        rows = torch.tensor(self.layout.offsets)[labels] + torch.from_numpy(found)
        return rows.where(labels >= 0, -1)
