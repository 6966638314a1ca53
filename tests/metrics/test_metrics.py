"""The metric classes: equal to their functions, names, parts that add up, errors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from tests.metrics.toys import Blocks, fakes, golden, reals
from toolbox.interfaces import Condition, FeatureExtractor, Metric, Sample, from_bytes
from toolbox.metrics import (
    FID,
    KID,
    ClassifierAccuracy,
    ClusterConsistency,
    InceptionScore,
    IntraFID,
    PrecisionRecall,
    ProbeClassifier,
    train_probe,
)
from toolbox.metrics.base import features_of, quantise
from toolbox.metrics.functional import frechet_from_features, precision_recall


def assign(features: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
    """Every image into cluster 0."""
    return torch.zeros(len(features), dtype=torch.int64)


METRICS: dict[str, Callable[[], Metric]] = {
    "fid[blocks,60]": lambda: FID(Blocks(), 60),
    "fid[blocks,60,ddof0]": lambda: FID(Blocks(), 60, ddof=0),
    "intra-fid[blocks,60]": lambda: IntraFID(Blocks(), 60),
    "kid[blocks,60,5x20]": lambda: KID(Blocks(), 60, subsets=5, subset_size=20),
    "precision-recall[blocks,60]": lambda: PrecisionRecall(Blocks(), 60),
    "precision-recall[blocks,60,real50,k5]": lambda: PrecisionRecall(Blocks(), 60, n_real=50, k=5),
    "is[blocks,60,3splits]": lambda: InceptionScore(Blocks(), 60, splits=3),
    "is[blocks,60,probe,3splits]": lambda: InceptionScore(Blocks(), 60, probe=True, splits=3),
    "classifier-accuracy[blocks,60,probe]": lambda: ClassifierAccuracy(Blocks(), 60),
    "cluster-consistency[blocks,60]": lambda: ClusterConsistency(Blocks(), assign, 60),
}


def fed(metric: Metric, real: Sample, fake: Sample) -> Metric:
    metric.update_real(real)
    metric.update_fake(fake)
    return metric


@pytest.mark.parametrize("name", METRICS)
def test_name_carries_the_protocol(name: str) -> None:
    assert METRICS[name]().name == name


@pytest.mark.parametrize("name", METRICS)
def test_two_processes_give_the_value_of_one(name: str) -> None:
    real, fake = reals(), fakes(60)
    whole = fed(METRICS[name](), real, fake)
    first, second = fed(METRICS[name](), real[40:], fake[1::2]), fed(METRICS[name](), real[:40], fake[::2])
    first.merge(second.state())
    assert first.compute() == pytest.approx(whole.compute(), rel=1e-9)


@pytest.mark.parametrize("name", METRICS)
def test_reset_forgets(name: str) -> None:
    metric = fed(METRICS[name](), reals(), fakes(60))
    before = metric.compute()
    metric.reset()
    assert fed(metric, reals(), fakes(60)).compute() == before


@pytest.mark.parametrize("name", METRICS)
def test_another_number_of_fakes_than_the_protocol_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="30 generated images were fed, the protocol takes 60"):
        fed(METRICS[name](), reals(), fakes(30)).compute()


def test_fid_is_the_function_of_the_features() -> None:
    x, y = (features_of(Blocks(), sample).numpy() for sample in (reals(), fakes(60)))
    assert fed(FID(Blocks()), reals(), fakes(60)).compute()[""] == pytest.approx(
        frechet_from_features(x, y), rel=1e-6
    )
    assert FID(Blocks()).name == "fid[blocks,0]"


class Given(FeatureExtractor):
    """Stands for an extractor; the test gives the features beside the images."""

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.name, self.n_features = "given", n_features

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        raise AssertionError("the features are given")

    def fingerprint(self) -> str:
        return "given"


def given(features: np.ndarray, labels: np.ndarray) -> Sample:
    return Sample(
        torch.zeros(len(features), 3, 1, 1),
        Condition(labels=torch.from_numpy(labels)),
        index=torch.arange(len(features)),
        extras={"features:given": torch.from_numpy(features)},
    )


@pytest.mark.parametrize("keep_features", [True, False])
def test_intra_class_reference_values(keep_features: bool) -> None:
    arrays = golden("intra_fid")
    metric = IntraFID(Given(12), keep_features=keep_features)
    values = fed(
        metric, given(arrays["real"], arrays["real_labels"]), given(arrays["fake"], arrays["fake_labels"])
    ).compute()
    assert values[""] == pytest.approx(float(arrays["intra_fid"]), rel=1e-6)
    classes = metric.details()["classes"]
    np.testing.assert_allclose([classes[str(c)]["value"] for c in range(4)], arrays["per_class"], rtol=1e-6)
    assert sum(entry["n_fake"] for entry in classes.values()) == 320
    overall = fed(
        FID(Given(12)),
        given(arrays["real"], arrays["real_labels"]),
        given(arrays["fake"], arrays["fake_labels"]),
    ).compute()
    assert overall[""] == pytest.approx(float(arrays["overall_fid"]), rel=1e-6)


def test_intra_class_of_few_images() -> None:
    real, fake = reals(24), fakes(24)  # 8 of each class, 12 features
    distances = []
    for c in range(3):
        of_class = [features_of(Blocks(), s)[s.condition.labels == c].numpy() for s in (real, fake)]
        distances.append(frechet_from_features(*of_class))
    expected = np.mean(distances)
    assert fed(IntraFID(Blocks()), real, fake).compute()[""] == pytest.approx(float(expected))
    with pytest.raises(
        ValueError, match=r"class 0 has 8 real images, at least 13 are needed: .*keep_features=True"
    ):
        fed(IntraFID(Blocks(), keep_features=False), real, fake).compute()


def test_intra_class_needs_the_same_classes() -> None:
    fake = fakes(60)
    with pytest.raises(ValueError, match=r"classes \[2\] were not generated"):
        fed(IntraFID(Blocks()), reals(), fake[fake.condition.labels != 2]).compute()


def test_precision_recall_draws_the_same_reals() -> None:
    x, y = features_of(Blocks(), reals()).numpy(), features_of(Blocks(), fakes(60)).numpy()
    drawn = x[np.random.RandomState(0).permutation(90)[:50]]
    metric = PrecisionRecall(Blocks(), n_real=50)
    assert fed(metric, reals(), fakes(60)).compute() == precision_recall(drawn, y)
    with pytest.raises(ValueError, match="n_real=50: 20 real images were fed"):
        fed(PrecisionRecall(Blocks(), n_real=50), reals(20), fakes(60)).compute()


def test_accuracy_by_a_probe_of_the_real_images() -> None:
    fake = fakes(60)
    right = fed(ClassifierAccuracy(Blocks()), reals(), fake)
    assert right.compute()[""] > 0.9
    wrong = fake.replace(condition=Condition(labels=(fake.condition.labels + 1) % 3))
    assert fed(ClassifierAccuracy(Blocks()), reals(), wrong).compute()[""] < 0.1
    assert right.details()["probe_train_accuracy"] == pytest.approx(1)  # type: ignore[attr-defined]


def test_accuracy_by_a_given_classifier_equals_its_probe() -> None:
    real = reals()
    probe = train_probe(features_of(Blocks(), real).numpy(), real.condition.labels.numpy())
    metric = ClassifierAccuracy(ProbeClassifier(Blocks(), probe), probe=False)
    metric.update_fake(fakes(60))
    assert metric.needs == ("fake", "labels")
    assert metric.compute() == fed(ClassifierAccuracy(Blocks()), real, fakes(60)).compute()


def test_probe_is_deterministic_and_handles_two_classes() -> None:
    x = np.random.default_rng(0).normal(size=(50, 4))
    y = (x[:, 0] > 0).astype(int)
    first, second = train_probe(x, y), train_probe(x, y)
    np.testing.assert_array_equal(first.weight, second.weight)
    assert first.weight.shape == (2, 4) and first.train_accuracy > 0.95
    with pytest.raises(ValueError, match=r"none of class \[1\]"):
        train_probe(x, y * 2)


def test_cluster_consistency_counts_one_hot_rows_only() -> None:
    metric = ClusterConsistency(Blocks(), assign)
    metric.update_fake(fakes(10))
    assert metric.compute() == {"": 0.5, "n": 10.0}
    mixed = fakes(10).replace(condition=Condition(weights=torch.full((10, 2), 0.5)))
    metric.update_fake(mixed)
    assert metric.compute() == {"": 0.5, "n": 10.0}
    metric.reset()
    metric.update_fake(mixed)
    with pytest.raises(ValueError, match="none of the 10 generated images has one-hot weights"):
        metric.compute()


def test_cluster_consistency_errors() -> None:
    metric = ClusterConsistency(Blocks(), lambda features, labels: torch.zeros(3))
    with pytest.raises(ValueError, match=r"assign returned shape \(3,\) for 10 images"):
        metric.update_fake(fakes(10))
    with pytest.raises(ValueError, match=r"needs condition\.weights"):
        metric.update_fake(fakes(10).replace(condition=Condition()))


def test_quantiser_rounds_half_up() -> None:
    arrays = golden("preprocess")
    values = torch.from_numpy(arrays["float_pm1"]).clamp(-1, 1)
    images = values.view(1, 1, 1, -1).expand(1, 3, 1, -1)
    np.testing.assert_array_equal(quantise(images)[0, 0, 0], arrays["u8_round_half_up_255"])


def test_quantised_images_stay_as_they_are() -> None:
    levels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(1, 3, 16, 16)
    assert torch.equal(quantise(from_bytes(levels)), levels)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.full((2, 3, 4, 4), 1.01), r"image 0 of the batch spans 1.01 to 1.01: expected \[-1, 1\]"),
        (torch.full((2, 3, 4, 4), float("nan")), "image 0 of the batch spans nan"),
        (torch.zeros(2, 1, 4, 4), r"expected \(N, 3, H, W\)"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), "expected floats"),
    ],
)
def test_bad_images(images: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FID(Blocks()).update_fake(Sample(images))


def test_half_precision_slightly_out_of_range_is_taken() -> None:
    FID(Blocks()).update_fake(Sample(torch.full((2, 3, 4, 4), 1.0005, dtype=torch.float32).half()))


def test_nan_features_name_the_image() -> None:
    metric = FID(Blocks(scale=float("nan")))
    with pytest.raises(ValueError, match="features of image 0 are not finite"):
        metric.update_fake(fakes(4))


def test_too_few_images() -> None:
    with pytest.raises(ValueError, match="fid: 1 real images were fed, at least 2"):
        fed(FID(Blocks()), reals(1), fakes(5)).compute()
    with pytest.raises(ValueError, match="fid: 1 generated images were fed, at least 2"):
        fed(FID(Blocks()), reals(5), fakes(1)).compute()
    with pytest.raises(ValueError, match="n_fake=1 must be a whole number of 2"):
        FID(Blocks(), n_fake=1)


def test_labels_that_are_missing_or_hidden() -> None:
    sample = fakes(4)
    with pytest.raises(ValueError, match=r"condition\.labels of the generated images is None"):
        IntraFID(Blocks()).update_fake(sample.replace(condition=Condition()))
    with pytest.raises(ValueError, match="2 generated images of the batch have hidden ones"):
        IntraFID(Blocks()).update_fake(
            sample.replace(condition=Condition(labels=torch.tensor([0, -1, 1, -1])))
        )
