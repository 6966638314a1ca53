"""The conditions of LCP-GAN: every image has a class and coefficients over the class's clusters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor

from toolbox.data.classes import check_classes
from toolbox.interfaces import Condition, FeatureExtractor, Sample
from toolbox.metrics.functional import agreement_per_class
from toolbox.ranges import check_in, check_probability, check_whole, given
from toolbox.registry import build
from toolbox_lcp.cluster_requests import ClusterRequests
from toolbox_lcp.extraction import digest_of, extract, frozen_extractor, in_batches
from toolbox_lcp.intra_class import IntraClassClusters
from toolbox_lcp.layout import ClusterLayout

_BY_IMAGE = ("labels", "labelled", "coefficients", "features")  # buffers with a row for each image


class ClusterConditions(ClusterRequests):
    """Clusters real images inside classes, draws classes and coefficients of generated ones (eq. 1, 2, 6).

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
        refresh_share: share of the bank that an iteration may renew, in (0, 1]. Unknown in the paper.
        batch_size: images at a time when features are computed.

    Attributes:
        report: {class name: temperatures, perplexity, shares} after :meth:`prepare`.
    """

    on_host = True  # one image after the other moves the clusters (eq. 1): nothing for a GPU
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
        check_probability(gan_pseudo_threshold=gan_pseudo_threshold)
        check_whole(0, **given(freeze_prototypes_after=freeze_prototypes_after))
        check_in("(0, 1]", refresh_share=refresh_share)
        check_whole(1, batch_size=batch_size)
        self.layout = ClusterLayout(class_names, clusters)
        self.class_names = self.layout.class_names
        self.clusters = IntraClassClusters(self.layout, clusterer or {"type": "SoftKMeans"})
        self.sampler = build(sampler or {"type": "EmpiricalCoefficients"}, "component", "conditioner.sampler")
        self._extractor = (frozen_extractor(extractor),)  # in a tuple: no submodule, saved as a digest only
        self.classifier = classifier
        self.gan_pseudo_threshold = gan_pseudo_threshold
        self.relabel = relabel
        self.update_with_pseudo = update_with_pseudo
        self.freeze_prototypes_after = freeze_prototypes_after
        self.refresh_share = refresh_share
        self.batch_size = batch_size
        self.report: dict[str, dict[str, float]] = {}
        self._register_buffers()

    def _register_buffers(self) -> None:
        """The state that a checkpoint holds; empty until :meth:`prepare` or loading."""
        self.register_buffer("labels", torch.zeros(0, dtype=torch.int64))  # given, or the classifier's, or -1
        self.register_buffer("labelled", torch.zeros(0, dtype=torch.bool))  # whether the label was given
        self.register_buffer("coefficients", torch.zeros(0, self.layout.width))  # (N, K)
        self.register_buffer("features", torch.zeros(0, 0, dtype=torch.float16))  # empty once nothing moves
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self.register_buffer("extractor_digest", torch.zeros(0, dtype=torch.uint8))

    @classmethod
    def count_conditions(cls, classes: Sequence[str], **arguments: Any) -> int:
        """Clusters of all classes."""
        return ClusterLayout(classes, arguments["clusters"]).total

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
        used = torch.from_numpy(np.unique(dataset.entries))  # (n,) images that the split shows
        labels = torch.as_tensor(np.array(dataset.visible_labels))  # (N,)
        labelled = labels >= 0
        features = extract(self.extractor, dataset.source, used, self.batch_size, game.device)  # (N, d)
        self._label(labels, used[~labelled[used]], dataset.source, game)
        self._cluster(features.numpy(), labels.numpy(), self._shaping(labels, labelled).numpy())
        u = self.clusters.membership(features.numpy(), labels.numpy())  # (N, K)
        self.coefficients = torch.from_numpy(u)
        self.labels = labels
        self.labelled = labelled
        self.features = features
        self.extractor_digest = digest_of(self.extractor)
        seed = int(torch.randint(2**62, (1,)))  # a game prepares under its own seed
        rng = torch.Generator().manual_seed(seed)
        self.sampler.prepare(self.coefficients, self.labels, self.clusters.sizes, rng)
        self._settle_if_due()

    def _label(self, labels: Tensor, hidden: Tensor, source: Any, game: Any) -> None:
        """Fill in, in place, the classifier's labels of images ``hidden`` (m,)."""
        if not len(hidden):
            return
        if self.classifier is None:
            raise ValueError(
                f"{len(hidden)} of the training images have no label and the conditioner has no "
                "classifier: name a trained network of the game (conditioner.classifier), or leave "
                "unlabelled images out of the split (unlabelled='none')"
            )
        classifier = game.network(self.classifier, averaged=True).eval()

        def decide(images: Tensor) -> Tensor:
            return self._decide(classifier(images)).cpu()

        labels[hidden] = in_batches(source, hidden, self.batch_size, game.device, decide)

    def _decide(self, logits: Tensor) -> Tensor:
        """argmax, or -1 below the threshold."""
        confidence, labels = logits.softmax(dim=1).max(dim=1)
        return torch.where(confidence >= self.gan_pseudo_threshold, labels, -1)

    def _shaping(self, labels: Tensor, labelled: Tensor) -> Tensor:
        """(n,) bool: whether an image shapes the clusters."""
        return labels >= 0 if self.update_with_pseudo else labelled

    def _cluster(self, features: np.ndarray, labels: np.ndarray, shaping: np.ndarray) -> None:
        """Fit the clusters of each class on the ``shaping`` images, and log how they came out."""
        features = features[shaping]
        labels = labels[shaping]
        self.clusters.fit(features, labels)
        self.report = self.clusters.report(features, labels)
        for name, values in self.report.items():
            figures = ", ".join(f"{key} {value:.3g}" for key, value in values.items())
            print_log(f"clusters of {name!r}: {figures}", "current")

    # while training

    def real(self, sample: Sample) -> Condition:
        """Label (given or the classifier's) and coefficient rows (N, S) of real images.

        Rows are zero for label -1; ``extra['labelled']`` (N,) says whose label was given.

        Raises:
            ValueError: for images without an index, or before :meth:`prepare`.
        """
        known_by = "coefficients of real images are known by their index in the training set"
        if sample.index is None:
            raise ValueError(f"{known_by}: these images have none")
        if not len(self.labels):
            raise ValueError(f"{known_by}: prepare the conditioner first")
        labels = self.labels[sample.index]
        weights = self.layout.spread(labels, self.coefficients[sample.index])  # (N, S)
        extra = {**sample.condition.extra, "labelled": self.labelled[sample.index]}
        return sample.condition.replace(labels=labels, weights=weights, extra=extra)

    # eq. 6: the u_z of G(z, sum_i u_z^(i) eps_{y,i})
    def sample(self, n: int, rng: torch.Generator, labels: Tensor | None = None) -> Condition:
        """Classes uniform over all (unless given), coefficients u_z from the sampler."""
        if labels is None:
            labels = torch.randint(len(self.class_names), (n,), generator=rng)
        u = self.sampler(labels, self.clusters.sizes, self.layout.width, rng)  # (n, K)
        return Condition(labels=labels, weights=self.layout.spread(labels, u))

    @torch.no_grad()
    def after_iteration(self, game: Any, real: Sample, rng: torch.Generator) -> None:
        """New labels, eq. 1 with the labelled images, new coefficients (eq. 2), then the bank.

        All from the whole batch, that of all ranks.
        """
        if not len(self.features) or real.index is None:
            return
        index = game.gather(real.index)  # (n,) of all ranks
        if self.relabel:
            self.labels[index] = game.gather(self._relabelled(game, real.images, real.index))
        labels = self.labels[index]
        features = self.features[index].numpy()  # (n, d)
        if self._moving:
            shaping = self._shaping(labels, self.labelled[index])
            self.clusters.update(features[shaping.numpy()], labels[shaping].numpy())
        u = torch.from_numpy(self.clusters.membership(features, labels.numpy()))
        self.coefficients[index] = u
        self.sampler.refresh(u, labels, self.refresh_share, rng)
        self.updates += 1
        self._settle_if_due()

    def _relabelled(self, game: Any, images: Tensor, index: Tensor) -> Tensor:
        """Labels (n,) of this rank's images, asked for again where they were not given."""
        labels = self.labels[index]
        hidden = ~self.labelled[index]
        if hidden.any():
            classifier = game.network(self.classifier, averaged=True)
            training = classifier.training
            labels[hidden] = self._decide(classifier.eval()(images[hidden])).cpu()
            classifier.train(training)
        return labels

    @property
    def _moving(self) -> bool:
        limit = self.freeze_prototypes_after
        return self.clusters.moving and (limit is None or int(self.updates) < limit)

    def _settle_if_due(self) -> None:
        """When nothing can change any more: final coefficients of all images, and no features."""
        if self._moving or self.relabel:
            return
        u = self.clusters.membership(self.features.numpy(), self.labels.numpy())
        self.coefficients = torch.from_numpy(u)
        self.forget_features()

    def forget_features(self) -> None:
        """Drop the features of the training images, which a release does not need."""
        self.features = self.features.new_zeros(0, 0)

    # after training

    def used_clusters(self) -> list[list[int]]:
        """Of each class the clusters that training images fall into.

        One counts as soon as all its images together have the weight of one image shared equally.
        """
        found = super().used_clusters()
        known = self.labels >= 0
        weight = torch.zeros(len(found), self.layout.width)  # (C, K)
        if len(self.coefficients):
            weight.index_add_(0, self.labels[known], self.coefficients[known])
        enough = [[i for i in own if weight[y, i] > 0.999 / len(own)] for y, own in enumerate(found)]
        return [some or own for some, own in zip(enough, found, strict=True)]

    def agreement(self, factor: Any) -> float:
        """Adjusted mutual information, inside classes, of the training images' clusters and a factor (N,).

        1 = the same partition, about 0 = chance. Images without a label or a factor value (-1) are left out.
        """
        known = np.asarray(factor)
        labels = self.labels.numpy()
        clusters = self.coefficients.argmax(dim=1).numpy()
        clustered = (self.coefficients.sum(dim=1) > 0).numpy()
        used = (labels >= 0) & (known >= 0) & clustered
        return agreement_per_class(clusters[used], known[used], labels[used])

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any, **kwargs: Any) -> None:
        """Take the number of images from what was saved, unless some are known here; the rest is strict."""
        if not len(self.labels):
            for name in (*_BY_IMAGE, "extractor_digest"):
                saved = state_dict.get(f"{prefix}{name}")
                if saved is not None and self._fits(name, saved):
                    setattr(self, name, torch.zeros_like(saved, device=self.labels.device))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        digest = self.extractor_digest
        if len(digest) and not torch.equal(digest.cpu(), digest_of(self.extractor)):
            args[-1].append(  # torch passes its list of error messages last
                f"{prefix}extractor: the clusters were found on features of another extractor than "
                f"{self.extractor.name!r} (its fingerprint differs): set conditioner.extractor as it was "
                "then"
            )

    def _fits(self, name: str, saved: Tensor) -> bool:
        """Coefficients over another number of clusters are left to torch, which names both shapes."""
        return name != "coefficients" or saved.shape[1:] == self.coefficients.shape[1:]
