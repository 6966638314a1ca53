"""The toolbox's own components keep the contracts that it asks third parties to keep."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from toolbox import testing
from toolbox.interfaces import Condition, Sample
from toolbox.plugins import host
from toolbox.registry import build
from toolbox.testing import random_sample

PIXELS = dict(type="PooledPixels", size=2)
CLASSES = ["upper half", "lower half"]

GENERATORS = [
    dict(type="AjbrockGenerator", channels=4, n_conditions=3),
    dict(type="AjbrockSharedGenerator", channels=4, n_conditions=3),
    dict(type="BigGANGenerator", channels=4),
    dict(type="BigGANGenerator", channels=4, n_conditions=3),
    dict(
        type="BigGANGenerator",
        channels=4,
        image_size=16,
        latent_dim=12,
        n_conditions=4,
        groups=[0, 0, 1, 1],
        residual_class=True,
        attention=False,
    ),
    dict(type="StyleGAN2Generator", image_size=16, latent_dim=8, style_dim=8, channel_base=128),
    dict(
        type="StyleGAN2Generator", image_size=16, latent_dim=8, style_dim=8, channel_base=128, n_conditions=3
    ),
    dict(type="EmbeddedStyleGAN2"),
]
DISCRIMINATORS = [
    dict(type="StyleGAN2Discriminator", image_size=32, channel_base=256, minibatch_std_channels=0),
    dict(
        type="StyleGAN2Discriminator",
        image_size=32,
        channel_base=256,
        minibatch_std_channels=0,
        n_conditions=3,
    ),
    dict(type="AjbrockDiscriminator", channels=4, n_conditions=3),
    dict(type="BigGANDiscriminator", channels=4, n_conditions=0),
    dict(type="BigGANDiscriminator", channels=4, n_conditions=3),
]
CLUSTERERS = [
    dict(type="SoftKMeans", clusters=3),
    dict(type="SoftKMeans", clusters=4, hard=True, passes=2),
    dict(type="KMeans", clusters=3),
]
METRICS = [
    dict(type="FID"),
    dict(type="KID", subset_size=20, subsets=5),
    dict(type="InceptionScore", splits=2),
    dict(type="PrecisionRecall"),
    dict(type="IntraFID"),
    dict(type="ClassifierAccuracy", probe=True),
    dict(type="ClusterConsistency"),
    dict(type="LabelSilhouette"),
]
OBJECTIVES = [
    dict(type="HingeAdversarial"),
    dict(type="HingeAdversarial", joint=True),
    dict(type="NonSaturatingAdversarial"),
    dict(type="WassersteinAdversarial"),
    dict(type="R1"),
    dict(type="CrossEntropy"),
    dict(type="PseudoLabelCrossEntropy", threshold=0.2),
    dict(type="LabelCrossEntropy"),
    dict(type="LabelCrossEntropy", teaches="classifier"),
]
EXTRACTORS = [
    PIXELS,
    dict(type="TinyConvFeatures"),
    dict(type="IdentityFeatures"),
    dict(type="ResNetFeatures", arch="resnet18", random=True, size=32),
    dict(type="EmbeddedClipFeatures"),
    dict(type="PortraitJudge"),
]
SEGMENTERS = [
    dict(type="EmbeddedSegmenter"),
    dict(type="UNet", part_names=["ground", "thing"], channels=2, image_size=None),
    dict(type="DeepLabV3", part_names=["ground", "thing"], image_size=None),
]
AUGMENTS = [
    dict(type="DiffAugment"),
    dict(type="DiffAugment", policy="translation"),
    dict(type="AdaptiveAugment", p=0.7),
]
# need files that are not shipped, or are looked at below or in tests/models and tests/training
TEXT_TO_IMAGE = ("AttnGAN", "DMGAN", "SSAGAN", "GALIP")  # test_attngan.py, test_ssagan.py, test_galip.py
COVERED = {
    "segmenter": {"ADE20KDeepLabV3", "ChosenParts"},  # test_chosen_parts.py
    # captions need a data set of them: test_caption_conditions.py
    # masks too: test_mask_conditions.py
    "conditioner": {
        *("NoConditions", "ClassConditions", "ClusterConditions", "CaptionConditions", "MaskConditions"),
    },
    "prompt_learner": {"ClusterPrompts"},
    # colour layers of other resolutions than the present have no gradient: test_pggan.py, test_stylegan.py
    # the encoders of DiffAE make no images: test_diffae.py, test_diffae_embedded.py
    "generator": {
        *("PGGANGenerator", "StyleGANGenerator", "DiffAE", "EmbeddedDiffAE"),
        *(f"{name}Generator" for name in TEXT_TO_IMAGE),
    },
    "discriminator": {
        "PromptDiscriminator",
        "PGGANDiscriminator",
        "StyleGANDiscriminator",
        *(f"{name}Discriminator" for name in TEXT_TO_IMAGE),
    },
    "objective": {
        "PixelCrossEntropy",  # test_segmentation.py
        "ImageTextContrastive",
        "PathLength",  # test_style_objectives.py
        "GradientPenalty",  # and the next two: test_progressive_objectives.py
        "Drift",
        "AuxiliaryClassifier",
        "MatchingHinge",  # and the next two: test_matching_objectives.py
        "MatchingAwarePenalty",
        "ClipSimilarity",
        "MatchingAwareAdversarial",  # and the next three: test_text_to_image_objectives.py
        "ConditioningKL",
        "DamsmMatching",
        "DamsmPretraining",
        "DenoisingLoss",  # test_denoising.py
    },
    "latents": {"Inverted"},  # test_inversions.py
    # test_caption_metrics.py, test_judged.py, test_mask_conditions.py
    "metric": {"RPrecision", "ClipScore", "JudgedShare", "AnswersKept", "MaskAgreement"},
    "extractor": {"EfficientNetLite0Features", "ClipFeatures", "FIDInception", "TorchvisionInception"},
}


def name_of(config: dict[str, Any]) -> str:
    return "-".join(str(value) for value in config.values() if isinstance(value, (str, int, bool)))


@pytest.mark.parametrize("config", GENERATORS, ids=name_of)
def test_generators(config: dict[str, Any]) -> None:
    testing.check_generator(build(config))


@pytest.mark.parametrize("config", DISCRIMINATORS, ids=name_of)
def test_discriminators(config: dict[str, Any]) -> None:
    testing.check_discriminator(build(config))


CONDITIONED = [config for config in GENERATORS + DISCRIMINATORS if config.get("n_conditions", 0) >= 3]


@pytest.mark.parametrize("config", CONDITIONED, ids=name_of)
def test_generators_go_by_weights_and_discriminators_by_labels(config: dict[str, Any]) -> None:
    """Where a condition has both, as the guide for plugins says."""
    network = build(config).eval()
    chosen = torch.tensor([0, 1])
    weights = Condition(weights=torch.nn.functional.one_hot(chosen + 1, config["n_conditions"]).float())
    labels = Condition(labels=chosen)
    both = Condition(labels=labels.labels, weights=weights.weights)
    if config in GENERATORS:
        latents = network.sample_latents(2, torch.Generator().manual_seed(0))
        found = [network(latents, condition) for condition in (both, weights, labels)]
    else:
        features = network.encode(random_sample(2, 32).images)
        found = [network.judge(features, condition) for condition in (both, labels, weights)]
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


@pytest.mark.parametrize("config", CLUSTERERS, ids=name_of)
def test_clusterers(config: dict[str, Any]) -> None:
    testing.check_clusterer(build(config))


@pytest.mark.parametrize("config", METRICS, ids=name_of)
def test_metrics(config: dict[str, Any]) -> None:
    testing.check_metric(config)


@pytest.mark.parametrize("config", OBJECTIVES, ids=name_of)
def test_objectives(config: dict[str, Any]) -> None:
    testing.check_objective(build(config))


@pytest.mark.parametrize("config", EXTRACTORS, ids=name_of)
def test_extractors(config: dict[str, Any]) -> None:
    testing.check_extractor(build(config))


@pytest.mark.parametrize("config", SEGMENTERS, ids=name_of)
def test_segmenters(config: dict[str, Any]) -> None:
    testing.check_segmenter(build(config))


@pytest.mark.parametrize("config", AUGMENTS, ids=name_of)
def test_augments(config: dict[str, Any]) -> None:
    testing.check_augment(build(config))


def test_no_augmentation_is_one() -> None:
    testing.check_augment(build(dict(type="DiffAugment", policy="")), identity=True)


def two_halves(n: int = 24) -> Any:
    """A stream of bright halves, every fourth label hidden."""
    from toolbox.data.base import ArraySet
    from toolbox.data.stream import Stream

    sample = random_sample(n, 8, classes=2)
    labels = sample.condition.labels
    images = ((sample.images * 0.3 + 0.4) * 255).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return Stream(ArraySet(images, labels.numpy(), CLASSES, title="halves"))


def test_conditioners() -> None:
    testing.check_conditioner(build(dict(type="NoConditions")))
    testing.check_conditioner(build(dict(type="ClassConditions", class_names=CLASSES)), two_halves())


@pytest.mark.parametrize(
    "sampler",
    ["EmpiricalCoefficients", "DirichletCoefficients", "SoftmaxNormalCoefficients", "OneHotCoefficients"],
)
def test_cluster_conditions(sampler: str) -> None:
    config = dict(type="ClusterConditions", class_names=CLASSES, clusters=2)
    config |= dict(extractor=dict(PIXELS, size=4), sampler=dict(type=sampler))
    conditioner = build(config)
    testing.check_conditioner(conditioner, two_halves())


@pytest.fixture(scope="module")
def clip() -> torch.nn.Module:
    return build(dict(type="EmbeddedClip"))


@pytest.mark.parametrize("changes", [{}, dict(shared=True), dict(learn=False)], ids=str)
def test_prompt_learners(clip: torch.nn.Module, changes: dict[str, Any]) -> None:
    prompts = build(
        dict(type="ClusterPrompts", class_names=CLASSES, clusters=2, context=3, **changes), clip=clip
    )
    testing.check_prompt_learner(prompts, clip)


def test_prompt_discriminator(clip: torch.nn.Module) -> None:
    prompts = dict(type="ClusterPrompts", class_names=CLASSES, clusters=2, context=3)
    discriminator = build(dict(type="PromptDiscriminator", hidden=8, prompts=prompts), clip=clip)
    weights = torch.tensor([[1.0, 0, 0, 0], [0.5, 0.5, 0, 0], [0, 0, 0.3, 0.7], [0, 0, 0, 1]])
    testing.check_discriminator(
        discriminator, condition=Condition(labels=torch.tensor([0, 0, 1, 1]), weights=weights)
    )


def test_image_text_contrast() -> None:
    clip = build(dict(type="EmbeddedClip", frozen=False))
    text = clip.tokenize(["a cat", "a dog", "a boot", "a cat"])
    real = Sample(random_sample(4).images, Condition(text=text))
    networks = {**testing.small_networks(), "clip": clip}
    testing.check_objective(build(dict(type="ImageTextContrastive")), networks, real)


def test_plugins() -> None:
    assert testing.check_plugin("toolbox_lcp").paper


def test_every_component_of_ours_is_checked() -> None:
    checked = {
        "generator": GENERATORS,
        "discriminator": DISCRIMINATORS,
        "clusterer": CLUSTERERS,
        "metric": METRICS,
        "objective": OBJECTIVES,
        "extractor": EXTRACTORS,
        "segmenter": SEGMENTERS,
        "augment": AUGMENTS,
        "conditioner": [],
        "prompt_learner": [],
        "latents": [],
    }
    distributions = "generative-toolbox", "toolbox-lcp"
    ours = [record.name for record in host().records if record.distribution in distributions]
    for kind, configs in checked.items():
        names = {config["type"] for config in configs} | COVERED.get(kind, set())
        assert {entry.name for entry in host().catalog.entries(kind) if entry.plugin in ours} <= names, kind
