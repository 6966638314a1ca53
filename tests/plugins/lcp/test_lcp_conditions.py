"""Conditions on a small coloured data set: preparation, pseudo-labels, movement, resume, requests, faults."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest
import torch

from toolbox.interfaces import Condition, Request, Sample
from toolbox.registry import BuildError
from toolbox_lcp.clustering import HardKMeans
from toolbox_lcp.conditions import ClusterConditions
from toolbox_lcp.intra_class import _State

NAMES = ["top half", "bottom half"]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def conditions(lcp_parts):
    """Build (and prepare) conditions on the coloured set, ``hidden`` images unlabelled."""

    def make(hidden=None, prepare=True, source=None, **arguments):
        made = ClusterConditions(NAMES, lcp_parts.PooledPixels(), **{"clusters": 2, **arguments})
        if prepare:
            stream = lcp_parts.FixedStream(source or lcp_parts.Coloured(), hidden)
            made.prepare(stream, lcp_parts.FakeGame(classifier=lcp_parts.HalfClassifier()))
        return made

    return make


@pytest.fixture
def alone(lcp_parts):
    """A game in one process, without networks."""
    return lcp_parts.FakeGame()


def batch(index, images=None) -> Sample:
    index = torch.as_tensor(index)
    return Sample(torch.zeros(len(index), 3, 8, 8) if images is None else images, Condition(), index=index)


def test_clusters_are_the_colours(conditions, lcp_parts):
    made, colour = conditions(), lcp_parts.Coloured().factors["colour"]
    found = made.coefficients.argmax(1).numpy()
    for y in (0, 1):
        own = made.labels.numpy() == y
        assert len(set(zip(found[own], colour[own], strict=True))) == 2
    torch.testing.assert_close(made.coefficients.sum(1), torch.ones(48))
    assert made.report["top half"]["critical_delta"] > made.report["top half"]["delta"]


def test_real_and_sampled_conditions_have_rows_over_all_clusters(conditions):
    made = conditions()
    real = made.real(batch([0, 30, 47]))
    assert real.labels.tolist() == [0, 1, 1] and real.weights.shape == (3, 4)
    torch.testing.assert_close(real.weights[1, 2:], made.coefficients[30])
    assert real.extra["labelled"].all()
    drawn = made.sample(64, rng())
    again = made.sample(64, rng())
    assert torch.equal(drawn.weights, again.weights) and torch.equal(drawn.labels, again.labels)
    torch.testing.assert_close(made.layout.gather(drawn.labels, drawn.weights).sum(1), torch.ones(64))
    assert made.names()[3] == "bottom half / cluster 1"


def test_hidden_labels_come_from_the_classifier_and_true_ones_are_not_read(conditions, lcp_parts):
    hidden = list(range(0, 48, 2))
    made = conditions(hidden, classifier="classifier")
    assert torch.equal(made.labels, torch.from_numpy(lcp_parts.Coloured().labels))
    assert made.labelled.tolist() == [i not in hidden for i in range(48)]
    shuffled = lcp_parts.Coloured()
    stream = lcp_parts.FixedStream(shuffled, hidden)
    shuffled.labels[hidden] = np.random.default_rng(1).integers(0, 2, len(hidden))
    blind = conditions(prepare=False, classifier="classifier")
    blind.prepare(stream, lcp_parts.FakeGame(classifier=lcp_parts.HalfClassifier()))
    for name, value in made.state_dict().items():
        if name != "sampler.bank":
            assert torch.equal(value, blind.state_dict()[name]), name


def test_below_the_threshold_an_image_keeps_no_label_and_no_weight(conditions):
    made = conditions([5], classifier="classifier", gan_pseudo_threshold=1.0)
    real = made.real(batch([5, 6]))
    assert real.labels.tolist() == [-1, 0]
    assert not real.weights[0].any() and real.weights[1].sum() == pytest.approx(1)


def test_only_labelled_images_of_the_batch_move_their_class(conditions, alone):
    made = conditions([1], classifier="classifier")
    before = copy.deepcopy(made.state_dict())
    made.after_iteration(alone, made_real(made, [1, 1]), rng())
    assert torch.equal(made.clusters.states[0].prototypes, before["clusters.states.0.prototypes"])
    made.after_iteration(alone, made_real(made, [0, 1]), rng())
    assert not torch.equal(made.clusters.states[0].prototypes, before["clusters.states.0.prototypes"])
    assert torch.equal(made.clusters.states[1].prototypes, before["clusters.states.1.prototypes"])
    free = conditions([1], classifier="classifier", update_with_pseudo=True)
    before = free.clusters.states[0].prototypes.clone()
    free.after_iteration(alone, made_real(free, [1, 1]), rng())
    assert not torch.equal(free.clusters.states[0].prototypes, before)


def made_real(made: ClusterConditions, index) -> Sample:
    sample = batch(index)
    return sample.replace(condition=made.real(sample))


def test_frozen_prototypes_stay_and_forget_the_features(conditions, alone):
    made = conditions(freeze_prototypes_after=2)
    for step in range(4):
        made.after_iteration(alone, made_real(made, [0, 30]), rng(step))
        if step == 1:
            kept = copy.deepcopy(made.state_dict())
    assert len(made.features) == 0 and int(made.updates) == 2
    assert all(torch.equal(value, kept[name]) for name, value in made.state_dict().items())


def test_resume_continues_bit_for_bit(conditions, alone):
    straight = conditions([1, 2], classifier="classifier")
    resumed = conditions(prepare=False, classifier="classifier")
    for step in range(6):
        if step == 3:
            resumed.load_state_dict(copy.deepcopy(straight.state_dict()))
        for made in [straight] + ([resumed] if step >= 3 else []):
            made.after_iteration(alone, made_real(made, torch.arange(step, 48, 7)), rng(step))
    for name, value in straight.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert torch.equal(straight.sample(9, rng(9)).weights, resumed.sample(9, rng(9)).weights)


def test_classifier_that_trains_along_relabels_what_is_shown(conditions, lcp_parts):
    source = lcp_parts.Coloured()
    made = conditions([0, 1], classifier="classifier", relabel=True)
    made.labels[:2] = 1
    images = torch.stack([source[i]["images"] for i in (0, 30)])
    sample = batch([0, 30], images)
    made.after_iteration(lcp_parts.FakeGame(classifier=lcp_parts.HalfClassifier()), sample, rng())
    assert made.labels[:2].tolist() == [0, 1]


@pytest.mark.parametrize("clusterer", [{"type": "KMeans"}, {"type": "SoftKMeans", "hard": True}])
def test_another_clusterer_by_one_config_line(conditions, clusterer):
    made = conditions(clusterer=clusterer)
    assert set(made.coefficients.unique().tolist()) == {0.0, 1.0}
    before = copy.deepcopy(made.state_dict())
    other = conditions(prepare=False, clusterer=clusterer)
    other.load_state_dict(before)
    features = torch.rand(5, 48)
    labels = torch.tensor([0, 1, 0, 1, 1])
    assert torch.equal(made.assign(features, labels), other.assign(features, labels))


def test_one_cluster_a_class_is_the_class_condition(conditions):
    drawn = conditions(clusters=1).sample(20, rng())
    assert torch.equal(drawn.weights, torch.nn.functional.one_hot(drawn.labels, 2).float())


def test_small_classes_get_fewer_clusters_with_a_word(conditions, lcp_parts):
    with pytest.warns(UserWarning, match="class 'top half' has 24 labelled images: 6 clusters instead of 9"):
        made = conditions(clusters={"top half": 9, "bottom half": 2})
    assert made.clusters.sizes.tolist() == [6, 2] and made.layout.total == 11
    assert not made.sample(200, rng(), torch.zeros(200).long()).weights[:, 6:].any()


def test_explicit_conditions(conditions):
    made = conditions()
    assert made.by_cluster("bottom half", 1, 3).weights.tolist() == [[0, 0, 0, 1]] * 3
    assert made.by_coefficients(0, [0.25, 0.75]).weights.tolist() == [[0.25, 0.75, 0, 0]]
    strip = made.interpolation("top half", 1, 0, steps=3)
    assert strip.weights.tolist() == [[0, 1, 0, 0], [0.5, 0.5, 0, 0], [1, 0, 0, 0]]
    assert strip.labels.tolist() == [0, 0, 0]
    assert made.by_class(torch.tensor([1, 0]), rng()).labels.tolist() == [1, 0]


def test_modes_are_the_clusters_in_use(conditions):
    made = conditions()
    made.clusters.sizes[1] = 1
    assert made.modes().labels.tolist() == [0, 0, 1] and torch.equal(made.modes().weights, torch.eye(4)[:3])


def test_clusters_that_were_never_trained_are_not_offered(conditions):
    """24 labels of one class afford 6 of 9 clusters, 6 labels 1 of 3; a cluster may also be left empty."""
    with pytest.warns(UserWarning, match="clusters instead of"):
        made = conditions(hidden=list(range(6, 24)), classifier="classifier", clusters=3)
    assert made.clusters.sizes.tolist() == [1, 3]
    clusters = list(made.requests()["cluster"])
    assert clusters == ["top half 0", *(f"bottom half {i}" for i in made.used_clusters()[1])]
    assert len(made.modes()) == len(clusters) and made.modes().weights[0].tolist() == [1, 0, 0, 0, 0, 0]
    for asked in (Request("top half", mode=1), Request("top half", coefficients=(0.5, 0.5, 0.0))):
        with pytest.raises(ValueError, match=r"no cluster 1 in use|must be 1 numbers >= 0 with sum 1"):
            made.fulfil(asked, 1, rng())


def test_an_empty_cluster_is_not_offered(conditions):
    """Hard clusters: one that lost its images, in a release too; the others keep their numbers."""
    made = conditions(clusters=3, clusterer={"type": "KMeans"})
    assert made.used_clusters() == [[0, 1, 2]] * 2
    own = made.labels == 0
    made.coefficients[own] = torch.tensor([0.5, 0.0, 0.5])
    made.forget_features()
    assert made.used_clusters() == [[0, 2], [0, 1, 2]]
    assert list(made.requests()["cluster"])[:3] == ["top half 0", "top half 2", "bottom half 0"]
    assert made.modes().weights.argmax(1).tolist() == [0, 2, 3, 4, 5]
    with pytest.raises(ValueError, match=r"no cluster 1 in use, for no image belongs to it; there are: 0, 2"):
        made.by_cluster("top half", 1)
    with pytest.raises(ValueError, match=r"must be 3 numbers >= 0 with sum 1, 0 for 1 which has no images"):
        made.by_coefficients("top half", [0.5, 0.5, 0])
    assert made.by_coefficients("top half", [0.5, 0, 0.5]).weights[0].tolist()[:3] == [0.5, 0, 0.5]


def test_agreement_with_the_known_colours(conditions, lcp_parts):
    made, colour = conditions(), lcp_parts.Coloured().factors["colour"]
    assert made.agreement(colour) == pytest.approx(1.0)
    assert made.agreement(np.random.default_rng(0).permutation(colour)) < 0.5


def test_images_outside_the_split_take_no_part(conditions, lcp_parts):
    entries = np.setdiff1d(np.arange(48), [3, 40])
    stream = lcp_parts.FixedStream(lcp_parts.Coloured(), [3, 40], entries)
    made = conditions(prepare=False)
    made.prepare(stream, lcp_parts.FakeGame())
    assert made.labels[[3, 40]].tolist() == [-1, -1] and not made.coefficients[3].any()


def test_real_images_are_assigned_to_their_own_cluster(conditions, lcp_parts):
    made, source = conditions(), lcp_parts.Coloured()
    images = torch.stack([source[i]["images"] for i in range(48)])
    assigned = made.assign(made.extractor(images), torch.from_numpy(source.labels))
    assert torch.equal(assigned, made.real(batch(range(48))).weights.argmax(1))
    assert made.assign(torch.rand(2, 48), torch.tensor([-1, -1])).tolist() == [-1, -1]


def test_a_temperature_that_collapses_is_warned_of_with_numeric_delta(conditions):
    with pytest.warns(UserWarning, match="critical temperature"):
        conditions(clusterer={"type": "SoftKMeans", "delta": 1.0})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        conditions()


def test_a_nested_state_of_a_clusterer_is_named():
    class Nested(HardKMeans):
        def state(self):
            return {"model": {"centres": self.centres_}}

    with pytest.raises(ValueError, match=r"Nested\.state\(\)\['model'\] is a dict, it must be a plain array"):
        _State(Nested(2).fit(np.eye(4)))


def test_faults_of_the_data(conditions, lcp_parts):
    no_label = "3 of the training images have no label and the conditioner has no classifier"
    with pytest.raises(ValueError, match=no_label):
        conditions([1, 2, 3])
    with pytest.raises(ValueError, match="class 'top half' has no labelled image"):
        conditions(list(range(24)), classifier="classifier")
    wrong = lcp_parts.Coloured()
    wrong.classes = ["top half", "lower half"]
    other_class = r"conditioner.class_names has 'bottom half' where the data set has 'lower half'"
    with pytest.raises(ValueError, match=other_class):
        conditions(source=wrong)


def test_faults_of_use(conditions):
    made = conditions()
    for call, message in [
        (lambda: made.by_cluster("top hlaf", 0), "no class is called 'top hlaf' - did you mean 'top half'"),
        (lambda: made.by_cluster("top half", 2), "has no cluster 2"),
        (lambda: made.by_coefficients("top half", [0.5, 0.6]), "must be 2 numbers >= 0 with sum 1"),
        (lambda: made.real(batch([0]).replace(index=None)), "these images have none"),
        (lambda: conditions(prepare=False).real(batch([0])), "prepare the conditioner first"),
        (lambda: conditions(relabel=True), "relabel=True needs the name of a classifier"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(BuildError, match=r"no argument 'delt'.*did you mean 'delta'"):
        conditions(clusterer={"type": "SoftKMeans", "delt": 1.0})


def test_loading_is_strict(conditions, lcp_parts):
    saved = conditions().state_dict()
    with pytest.raises(RuntimeError, match="features of another extractor"):
        ClusterConditions(NAMES, lcp_parts.PooledPixels(2), clusters=2).load_state_dict(saved)
    with pytest.raises(RuntimeError, match="size mismatch for coefficients"):
        conditions(prepare=False, clusters=3).load_state_dict(saved)
    with pytest.raises(RuntimeError, match="saved with another clusterer"):
        conditions(prepare=False, clusterer={"type": "KMeans"}).load_state_dict(saved)
    partial = {key: value for key, value in saved.items() if key != "labels"}
    with pytest.raises(RuntimeError, match=r'Missing key.*"labels"'):
        conditions(prepare=False).load_state_dict(partial)
