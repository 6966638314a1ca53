"""The conditions of LCP-GAN: every image, real or generated, has a class and coefficients over the class's
clusters.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from toolbox import ranks
from toolbox.data.base import to_tensor
from toolbox.data.classes import check_classes
from toolbox.interfaces import Condition, Conditioner, FeatureExtractor, Request, Sample, concatenate
from toolbox.metrics.functional import agreement_per_class
from toolbox.registry import build
from toolbox_lcp.intra_class import IntraClassClusters
from toolbox_lcp.layout import ClusterLayout

_BY_IMAGE = (
    "labels",
    "labelled",
    "coefficients",
    "features",
)  # buffers with one row for each image of the data set


class ClusterConditions(Conditioner):
    """Clusters real images inside their classes, and draws classes and coefficients for generated ones (eq.
    1, 2, 6).

    Before training: features of all images once, clusters of the labelled ones, labels for the unlabelled
    ones from a trained classifier, coefficients u_x of all, and a bank of them to draw u_z from. During
    training the prototypes follow the labelled images shown (eq. 1), and the coefficients of the images shown
    are renewed (eq. 2).

    Args:
        class_names: names of the classes, in the order of the data set's labels; checked against it.
        extractor: config of the frozen network f whose features are clustered. In the paper an ImageNet
            ResNet of a depth that is unknown.
        clusterer: config of what clusters one class; default soft k-means. Any clusterer will do.
        clusters: k_y, a number or {class name: number}; a class with fewer than 4 k_y labelled images gets
            fewer, with a warning. Unknown in the paper.
        sampler: config of the distribution of u_z; default: the coefficients of a random real image. Unknown
            in the paper.
        classifier: name of a trained network of the game that labels unlabelled images; None: there must be
            none.
        gan_pseudo_threshold: an unlabelled image whose largest class probability is lower keeps label -1 and
            zero weights; then every discriminator must accept label -1. Unknown in the paper.
        relabel: ask the classifier again for the unlabelled images just shown, for classifiers that train
            along. Unknown in the paper.
        update_with_pseudo: images labelled by the classifier shape the clusters too. The paper clusters
            labelled images.
        freeze_prototypes_after: iterations after which the clusters stand still; None = never. Unknown in the
            paper.
        refresh_share: share of the bank that an iteration may renew. Unknown in the paper.
        batch_size: images at a time when features are computed.

    Attributes:
        layout: where each cluster stands among the S rows of ``condition.weights``.
        report: {class name: temperatures, perplexity, shares} after :meth:`prepare`.
    """

    grants = ("class_name", "mode", "coefficients")

    labels: Tensor
    labelled: Tensor
    coefficients: Tensor
    features: Tensor
    updates: Tensor
    extractor_digest: Tensor

    def __init__(
        self,
        class_names: Sequence[str],
        extractor: Any,
        clusterer: Mapping[str, Any] | None = None,
        clusters: int | Mapping[str, int] = 5,
        sampler: Mapping[str, Any] | None = None,
        classifier: str | None = None,
        gan_pseudo_threshold: float = 0.0,
        relabel: bool = False,
        update_with_pseudo: bool = False,
        freeze_prototypes_after: int | None = None,
        refresh_share: float = 0.02,
        batch_size: int = 128,
    ) -> None:
        super().__init__()
        if relabel and classifier is None:
            raise ValueError("relabel=True needs the name of a classifier")
        self.layout = ClusterLayout(class_names, clusters)
        self.class_names = self.layout.class_names
        self.clusters = IntraClassClusters(self.layout, clusterer or {"type": "SoftKMeans"})
        self.sampler = build(sampler or {"type": "EmpiricalCoefficients"}, "component", "conditioner.sampler")
        # not a submodule: it is frozen, comes from outside, and is saved as a digest only
        self._extractor = (_extractor(extractor),)
        self.classifier, self.gan_pseudo_threshold, self.relabel = classifier, gan_pseudo_threshold, relabel
        self.update_with_pseudo, self.freeze_prototypes_after = update_with_pseudo, freeze_prototypes_after
        self.refresh_share, self.batch_size = refresh_share, batch_size
        self.report: dict[str, dict[str, float]] = {}
        self.register_buffer("labels", torch.zeros(0, dtype=torch.int64))  # given, or the classifier's, or -1
        self.register_buffer("labelled", torch.zeros(0, dtype=torch.bool))  # whether the label was given
        self.register_buffer("coefficients", torch.zeros(0, self.layout.width))
        self.register_buffer(
            "features", torch.zeros(0, 0, dtype=torch.float16)
        )  # empty once clusters stand still
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self.register_buffer("extractor_digest", torch.zeros(0, dtype=torch.uint8))

    @classmethod
    def count_conditions(cls, classes: Sequence[str], **arguments: Any) -> int:
        """Clusters of all classes."""
        clusters: int | Mapping[str, int] = arguments["clusters"]
        return sum(clusters.values()) if isinstance(clusters, Mapping) else len(classes) * clusters

    @property
    def extractor(self) -> FeatureExtractor:  # type: ignore[override]
        """The frozen network whose features are clustered."""
        return self._extractor[0]

    @property
    def notice(self) -> str:
        """What the extractor says of itself, when it stands in for another."""
        return str(getattr(self.extractor, "notice", ""))

    # before training

    def prepare(self, dataset: Any, game: Any) -> None:
        """Features, clusters, labels, coefficients and the bank, from the training set (a ``Stream``).

        Raises:
            ValueError: classes that are not ``class_names``, a class without labelled images, unlabelled
                images without a classifier, features that cannot be clustered.
        """
        check_classes(self.class_names, dataset.source.classes, "conditioner.class_names")
        device, used = game.device, torch.from_numpy(np.unique(dataset.entries))
        labels = torch.as_tensor(np.array(dataset.visible_labels))
        labelled = labels >= 0
        features = self._features(dataset.source, used, device)
        self._label(labels, used[~labelled[used]], dataset.source, game)
        shaping = labels >= 0 if self.update_with_pseudo else labelled
        self.clusters.fit(features[shaping].numpy(), labels[shaping].numpy())
        self.report = self.clusters.report(features[shaping].numpy(), labels[shaping].numpy())
        self.coefficients = torch.from_numpy(self.clusters.membership(features.numpy(), labels.numpy())).to(
            device
        )
        self.labels, self.labelled, self.features = (
            labels.to(device),
            labelled.to(device),
            features.to(device),
        )
        self.extractor_digest = self._digest().to(device)
        self.to(device)
        rng = torch.Generator().manual_seed(
            int(torch.randint(2**62, (1,)))
        )  # a game prepares under its own seed
        self.sampler.prepare(self.coefficients, self.labels, self.clusters.sizes, rng)
        self._settle_if_due()
        self._announce()

    def _features(self, source: Any, used: Tensor, device: torch.device) -> Tensor:
        """(N, d) float16 features of the images in use, zero for the others."""
        self.extractor.to(device)
        found = _in_batches(
            source, used, self.batch_size, device, lambda images: self.extractor(images).half().cpu()
        )
        if not found.isfinite().all():
            raise ValueError(
                f"extractor {self.extractor.name!r} gave features that are NaN, infinite or above 65504"
            )
        return found.new_zeros(len(source), found.shape[1]).index_copy_(0, used, found)

    def _label(self, labels: Tensor, hidden: Tensor, source: Any, game: Any) -> None:
        if not len(hidden):
            return
        if self.classifier is None:
            raise ValueError(
                f"{len(hidden)} of the training images have no label and the conditioner has no "
                "classifier: name a trained network of the game (conditioner.classifier), or leave "
                "unlabelled images out of the split (unlabelled='none')"
            )
        classifier = game.network(self.classifier, averaged=True).eval()
        labels[hidden] = _in_batches(
            source,
            hidden,
            self.batch_size,
            game.device,
            lambda images: self._decide(classifier(images)).cpu(),
        )

    def _decide(self, logits: Tensor) -> Tensor:
        """argmax, or -1 below the threshold."""
        confidence, labels = logits.softmax(dim=1).max(dim=1)
        return torch.where(confidence >= self.gan_pseudo_threshold, labels, -1)

    def _digest(self) -> Tensor:
        return torch.tensor(
            list(hashlib.sha256(self.extractor.fingerprint().encode()).digest()), dtype=torch.uint8
        )

    def _announce(self) -> None:
        from mmengine.logging import print_log

        for name, values in self.report.items():
            figures = ", ".join(f"{key} {value:.3g}" for key, value in values.items())
            print_log(f"clusters of {name!r}: {figures}", "current")

    # while training

    def real(self, sample: Sample) -> Condition:
        """Label (given or the classifier's) and coefficient rows (N, S) of real images; zero rows for label
        -1.

        ``extra['labelled']`` (N,) says whose label was given.
        """
        if sample.index is None or not len(self.labels):
            raise ValueError(
                "coefficients of real images are known by their index in the training set: "
                + ("these images have none" if sample.index is None else "prepare the conditioner first")
            )
        labels = self.labels[sample.index]
        weights = self.layout.spread(labels, self.coefficients[sample.index])
        extra = {**sample.condition.extra, "labelled": self.labelled[sample.index]}
        return sample.condition.replace(labels=labels, weights=weights, extra=extra)

    def sample(self, n: int, rng: torch.Generator, labels: Tensor | None = None) -> Condition:
        """Classes uniform over all (unless given), coefficients u_z from the sampler."""
        if labels is None:
            labels = torch.randint(len(self.class_names), (n,), generator=rng)
        u = self.sampler(labels, self.clusters.sizes, self.layout.width, rng)
        return Condition(labels=labels, weights=self.layout.spread(labels.to(u.device), u))

    @torch.no_grad()
    def after_iteration(self, game: Any, real: Sample, rng: torch.Generator) -> None:
        """New labels, eq. 1 with the labelled images, new coefficients, then the bank: all of the batch of
        all ranks.
        """
        if not len(self.features) or real.index is None:
            return
        index = game.gather(real.index)
        if self.relabel:
            self.labels[index] = game.gather(self._relabelled(game, real.images, real.index))
        labels, features = self.labels[index], self.features[index].cpu().numpy()
        if self._moving:
            shaping = labels >= 0 if self.update_with_pseudo else self.labelled[index]
            self.clusters.update(features[shaping.cpu().numpy()], labels[shaping].cpu().numpy())
        fresh = torch.from_numpy(self.clusters.membership(features, labels.cpu().numpy())).to(labels.device)
        self.coefficients[index] = fresh
        self.sampler.refresh(fresh, labels, self.refresh_share, rng)
        self.updates += 1
        self._settle_if_due()

    def _relabelled(self, game: Any, images: Tensor, index: Tensor) -> Tensor:
        """Labels (n,) of this rank's images, asked for again where they were not given."""
        labels, hidden = self.labels[index], ~self.labelled[index]
        if hidden.any():
            classifier = game.network(self.classifier, averaged=True)
            training = classifier.training
            labels[hidden] = self._decide(classifier.eval()(images[hidden]))
            classifier.train(training)
        return labels

    @property
    def _moving(self) -> bool:
        limit = self.freeze_prototypes_after
        return self.clusters.moving and (limit is None or int(self.updates) < limit)

    def _settle_if_due(self) -> None:
        """When nothing can change any more: final coefficients of all images; their features are not needed
        again.
        """
        if self._moving or self.relabel:
            return
        u = self.clusters.membership(self.features.cpu().numpy(), self.labels.cpu().numpy())
        self.coefficients = torch.from_numpy(u).to(self.labels.device)
        self.forget_features()

    def forget_features(self) -> None:
        """Drop the features of the training images, which a release does not need."""
        self.features = self.features.new_zeros(0, 0)

    # asking for something in particular

    def names(self) -> list[str]:
        """What each of the S rows is called: 'trouser / cluster 2'."""
        return self.layout.names

    def modes(self) -> Condition:
        """Each cluster in use alone, in the order of the rows; with one cluster a class, the classes."""
        pairs = [(y, i) for y, size in enumerate(self.clusters.sizes.tolist()) for i in range(size)]
        return concatenate([self.by_cluster(y, i) for y, i in pairs])

    def requests(self) -> dict[str, dict[str, Request]]:
        """Classes, and the clusters of each class alone: 'trouser 2' is cluster 2 of class 'trouser'."""
        classes = {name: Request(class_name=name) for name in self.class_names}
        clusters = {
            f"{name} {i}": Request(class_name=name, mode=i)
            for name, size in zip(self.class_names, self.layout.sizes, strict=True)
            for i in range(size)
        }
        return {"class": classes, "cluster": clusters}

    def fulfil(self, request: Request, n: int, rng: torch.Generator) -> Condition:
        """A class with drawn coefficients, one of its clusters alone, or given coefficients over its
        clusters.

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
        """Conditions of given classes (n,), coefficients from the sampler."""
        return self.sample(len(labels), rng, labels)

    def by_cluster(self, name: str | int, cluster: int, n: int = 1) -> Condition:
        """n times one cluster of a class (name or number) alone."""
        self.layout.row(name, cluster)
        return self.by_coefficients(name, torch.eye(self.layout.width)[[cluster] * n])

    def by_coefficients(self, name: str | int, u: Any) -> Condition:
        """Conditions of a class (name or number) with coefficients u, (k,) or (n, k).

        Raises:
            ValueError: coefficients that are negative, do not sum to 1, or are too many for the class.
        """
        y = self.layout.class_index(name)
        rows = torch.atleast_2d(torch.as_tensor(u, dtype=torch.float32))
        used, beyond = rows[:, : self.layout.sizes[y]], rows[:, self.layout.sizes[y] :]
        if (
            beyond.any()
            or (rows < 0).any()
            or not torch.allclose(rows.sum(dim=1), torch.ones(len(rows)), atol=1e-4)
        ):
            raise ValueError(
                f"coefficients of class {self.class_names[y]!r} must be {self.layout.sizes[y]} numbers >= "
                f"0 with sum 1, got {rows.tolist()[0]}"
            )
        padded = torch.zeros(len(rows), self.layout.width)
        padded[:, : used.shape[1]] = used
        labels = torch.full((len(rows),), y)
        return Condition(labels=labels, weights=self.layout.spread(labels, padded))

    def interpolation(self, name: str | int, i: int, j: int, steps: int = 8) -> Condition:
        """From cluster i to cluster j of a class in ``steps`` steps: e(a) = (1 - a) eps_i + a eps_j, a =
        0..1.
        """
        a = torch.linspace(0, 1, steps)[:, None]
        start, end = (
            torch.eye(self.layout.width)[self.layout.row(name, k) - self.layout.row(name, 0)] for k in (i, j)
        )
        return self.by_coefficients(name, (1 - a) * start + a * end)

    def assign(self, features: Tensor, labels: Tensor | None) -> Tensor:
        """(N,) row of the cluster, of those of each label (N,), that features (N, d) fall into; -1 for label
        -1.
        """
        if labels is None:
            raise ValueError("clusters are found inside classes: images need condition.labels")
        found = self.clusters.assign(features.detach().cpu().numpy(), labels.cpu().numpy())
        rows = torch.tensor(self.layout.offsets)[labels.cpu()] + torch.from_numpy(found)
        return rows.where(labels.cpu() >= 0, -1)

    def agreement(self, factor: Any) -> float:
        """Adjusted mutual information, inside classes, of the training images' clusters and a known factor
        (N,).

        1 = the same partition, about 0 = chance. Images without a label or a factor value (-1) are left out.
        """
        known = np.asarray(factor)
        labels, clusters = self.labels.cpu().numpy(), self.coefficients.argmax(dim=1).cpu().numpy()
        used = (labels >= 0) & (known >= 0) & (self.coefficients.sum(dim=1) > 0).cpu().numpy()
        return agreement_per_class(clusters[used], known[used], labels[used])

    # loading

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any, **kwargs: Any) -> None:
        """Take the number of images from what was saved, unless something is prepared here; the rest is
        strict.
        """
        if not len(self.labels):
            for name in (*_BY_IMAGE, "extractor_digest"):
                saved = state_dict.get(f"{prefix}{name}")
                if saved is not None and (
                    name != "coefficients" or saved.shape[1:] == self.coefficients.shape[1:]
                ):
                    setattr(self, name, torch.zeros_like(saved, device=self.labels.device))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        if len(self.extractor_digest) and not torch.equal(self.extractor_digest.cpu(), self._digest()):
            args[-1].append(
                f"{prefix}extractor: the clusters were found on features of another extractor than "
                f"{self.extractor.name!r} (its fingerprint differs): set conditioner.extractor as it was "
                "then"
            )


def _extractor(config: Any) -> FeatureExtractor:
    extractor = build(config, None, "conditioner.extractor")
    if not isinstance(extractor, FeatureExtractor):
        raise ValueError(f"extractor must be a FeatureExtractor, got {type(extractor).__name__}")
    return extractor.requires_grad_(False).eval()


def _in_batches(
    source: Any, rows: Tensor, batch: int, device: torch.device, function: Callable[[Tensor], Tensor]
) -> Tensor:
    """``function`` of the unaugmented images ``rows`` (n,) of an image set, joined; batches are shared among
    the ranks.
    """
    batches, own = rows.split(batch), []
    with torch.no_grad():
        for some in batches[ranks.rank() :: ranks.world()]:
            images = torch.stack([to_tensor(source.image(int(i))) for i in some])
            own.append(function(images.to(device)))
    found = ranks.gather_objects(own)
    return torch.cat([found[number % len(found)][number // len(found)] for number in range(len(batches))])
