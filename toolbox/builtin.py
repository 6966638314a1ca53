"""The core's own components, brought through the same hooks as anybody else's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from toolbox.hookspecs import PLUGIN_API_VERSION, hookimpl
from toolbox.source_tree import linked_folder

#: The core's own configs; setup.cfg packs the same.
CONFIGS = (
    *("attngan_*.py", "biggan_*.py", "clip_*.py", "damsm_*.py", "deeplab_*.py", "diffae_*.py"),
    *(
        "dmgan_*.py",
        "galip_*.py",
        "judge_*.py",
        "pggan_*.py",
        "segmenter_*.py",
        "ssagan_*.py",
        "stylegan*.py",
    ),
)

COMPONENTS: dict[str, dict[str, str]] = {
    "model": {"Game": "toolbox.training.game.game:Game"},
    "loop": {"GameLoop": "toolbox.training.run.loop:GameLoop"},
    "optim_constructor": {"PlayerOptimizers": "toolbox.training.game.optimizers:PlayerOptimizers"},
    "hook": {
        "Checkpoints": "toolbox.training.hooks.checkpoints:Checkpoints",
        "Evaluation": "toolbox.training.hooks.evaluation:Evaluation",
        "Journal": "toolbox.training.hooks.journal:Journal",
        "ProgressBar": "toolbox.training.hooks.progress:ProgressBar",
        "ProgressiveGrowing": "toolbox.training.hooks.growing:ProgressiveGrowing",
        "SampleGrid": "toolbox.visual.sample_grid:SampleGrid",
        "RetrievalTest": "toolbox.training.hooks.retrieval:RetrievalTest",
        "SegmentationTest": "toolbox.training.hooks.segmentation:SegmentationTest",
        "Tracking": "toolbox.training.hooks.tracking:Tracking",
    },
    "generator": {
        "BigGANGenerator": "toolbox.models.biggan:BigGANGenerator",
        "AjbrockGenerator": "toolbox.models.biggan_ajbrock:AjbrockGenerator",
        "AjbrockSharedGenerator": "toolbox.models.biggan_ajbrock:AjbrockSharedGenerator",
        "PGGANGenerator": "toolbox.models.pggan:PGGANGenerator",
        "StyleGANGenerator": "toolbox.models.stylegan:StyleGANGenerator",
        "StyleGAN2Generator": "toolbox.models.stylegan2:StyleGAN2Generator",
        "SSAGANGenerator": "toolbox.models.ssagan:SSAGANGenerator",
        "GALIPGenerator": "toolbox.models.galip:GALIPGenerator",
        "EmbeddedStyleGAN2": "toolbox.models.stylegan2_embedded:EmbeddedStyleGAN2",
        "AttnGANGenerator": "toolbox.models.attngan:AttnGANGenerator",
        "DMGANGenerator": "toolbox.models.dmgan:DMGANGenerator",
        "DiffAE": "toolbox.models.diffae:DiffAE",
        "EmbeddedDiffAE": "toolbox.models.diffae_embedded:EmbeddedDiffAE",
    },
    "discriminator": {
        "BigGANDiscriminator": "toolbox.models.biggan:BigGANDiscriminator",
        "AjbrockDiscriminator": "toolbox.models.biggan_ajbrock:AjbrockDiscriminator",
        "PGGANDiscriminator": "toolbox.models.pggan:PGGANDiscriminator",
        "StyleGANDiscriminator": "toolbox.models.stylegan:StyleGANDiscriminator",
        "StyleGAN2Discriminator": "toolbox.models.stylegan2_discriminator:StyleGAN2Discriminator",
        "SSAGANDiscriminator": "toolbox.models.ssagan:SSAGANDiscriminator",
        "GALIPDiscriminator": "toolbox.models.galip:GALIPDiscriminator",
        "AttnGANDiscriminator": "toolbox.models.attngan:AttnGANDiscriminator",
        "DMGANDiscriminator": "toolbox.models.dmgan:DMGANDiscriminator",
    },
    "network": {
        "Clip": "toolbox.models.clip:Clip",
        "EmbeddedClip": "toolbox.models.clip_embedded:EmbeddedClip",
        "EmbeddedViT": "toolbox.models.clip_embedded:EmbeddedViT",
        "PortraitClip": "toolbox.models.clip_embedded:PortraitClip",
        "DamsmTextEncoder": "toolbox.models.damsm:DamsmTextEncoder",
        "DamsmImageEncoder": "toolbox.models.damsm:DamsmImageEncoder",
        "SmallImageEncoder": "toolbox.models.damsm:SmallImageEncoder",
        "WideResNet": "toolbox.models.classifiers:WideResNet",
        "SmallConvNet": "toolbox.models.classifiers:SmallConvNet",
        "PlacedConvNet": "toolbox.models.classifiers:PlacedConvNet",
    },
    "extractor": {
        "ResNetFeatures": "toolbox.models.extractors:ResNetFeatures",
        "EfficientNetLite0Features": "toolbox.models.extractors:EfficientNetLite0Features",
        "TinyConvFeatures": "toolbox.models.extractors:TinyConvFeatures",
        "PooledPixels": "toolbox.models.extractors:PooledPixels",
        "IdentityFeatures": "toolbox.models.extractors:IdentityFeatures",
        "ClipFeatures": "toolbox.models.clip_embedded:ClipFeatures",
        "EmbeddedClipFeatures": "toolbox.models.clip_embedded:EmbeddedClipFeatures",
        "PortraitJudge": "toolbox.models.judge_embedded:PortraitJudge",
        "FIDInception": "toolbox.metrics.extractors.inception:FIDInception",
        "TorchvisionInception": "toolbox.metrics.extractors.torchvision_inception:TorchvisionInception",
    },
    "segmenter": {
        "UNet": "toolbox.models.segmenter:UNet",
        "DeepLabV3": "toolbox.models.segmenter:DeepLabV3",
        "EmbeddedSegmenter": "toolbox.models.segmenter:EmbeddedSegmenter",
        "ADE20KDeepLabV3": "toolbox.models.chosen_parts:ADE20KDeepLabV3",
        "ChosenParts": "toolbox.models.chosen_parts:ChosenParts",
    },
    "augment": {
        "DiffAugment": "toolbox.models.diffaugment:DiffAugment",
        "AdaptiveAugment": "toolbox.models.ada:AdaptiveAugment",
    },
    "conditioner": {
        "NoConditions": "toolbox.training.game.conditioners:NoConditions",
        "ClassConditions": "toolbox.training.game.conditioners:ClassConditions",
        "CaptionConditions": "toolbox.training.game.captions:CaptionConditions",
        "MaskConditions": "toolbox.training.game.masks:MaskConditions",
    },
    "latents": {"Inverted": "toolbox.training.game.inversions:Inverted"},
    "objective": {
        "HingeAdversarial": "toolbox.training.objectives.adversarial:HingeAdversarial",
        "NonSaturatingAdversarial": "toolbox.training.objectives.adversarial:NonSaturatingAdversarial",
        "WassersteinAdversarial": "toolbox.training.objectives.adversarial:WassersteinAdversarial",
        "MatchingHinge": "toolbox.training.objectives.matching:MatchingHinge",
        "MatchingAwarePenalty": "toolbox.training.objectives.matching:MatchingAwarePenalty",
        "ClipSimilarity": "toolbox.training.objectives.matching:ClipSimilarity",
        "R1": "toolbox.training.objectives.regularisers:R1",
        "PathLength": "toolbox.training.objectives.regularisers:PathLength",
        "GradientPenalty": "toolbox.training.objectives.regularisers:GradientPenalty",
        "Drift": "toolbox.training.objectives.regularisers:Drift",
        "AuxiliaryClassifier": "toolbox.training.objectives.classification:AuxiliaryClassifier",
        "CrossEntropy": "toolbox.training.objectives.classification:CrossEntropy",
        "MatchingAwareAdversarial": "toolbox.training.objectives.text_to_image:MatchingAwareAdversarial",
        "ConditioningKL": "toolbox.training.objectives.text_to_image:ConditioningKL",
        "DamsmMatching": "toolbox.training.objectives.text_to_image:DamsmMatching",
        "DamsmPretraining": "toolbox.training.objectives.text_to_image:DamsmPretraining",
        "ImageTextContrastive": "toolbox.training.objectives.contrastive:ImageTextContrastive",
        "PixelCrossEntropy": "toolbox.training.objectives.classification:PixelCrossEntropy",
        "DenoisingLoss": "toolbox.training.objectives.denoising:DenoisingLoss",
    },
    "dataset": {
        "CIFAR10": "toolbox.data.cifar:CIFAR10",
        "CIFAR100": "toolbox.data.cifar:CIFAR100",
        "ImageFolder": "toolbox.data.folder:ImageFolder",
        "ZippedImages": "toolbox.data.zipped:ZippedImages",
        "FashionMNIST": "toolbox.data.idx:FashionMNIST",
        "EmbeddedFashion": "toolbox.data.embedded:EmbeddedFashion",
        "EmbeddedEmoji": "toolbox.data.embedded:EmbeddedEmoji",
        "DrawnPortraits": "toolbox.data.drawn:DrawnPortraits",
        "MaskFolder": "toolbox.data.masks:MaskFolder",
        "CelebAMaskHQ": "toolbox.data.celebamask:CelebAMaskHQ",
        "MaskShards": "toolbox.data.mask_shards:MaskShards",
        "RelabelledSet": "toolbox.data.relabelled:RelabelledSet",
        "FactorClasses": "toolbox.data.relabelled:FactorClasses",
        "CaptionedImages": "toolbox.data.captioned:CaptionedImages",
        "Stream": "toolbox.data.stream:Stream",
        "CubCaptions": "toolbox.data.cub_coco:CubCaptions",
        "CocoCaptions": "toolbox.data.cub_coco:CocoCaptions",
        "CaptionStream": "toolbox.data.caption_stream:CaptionStream",
        "Wordings": "toolbox.data.wordings:Wordings",
        "LabelPairs": "toolbox.data.pairs:LabelPairs",
    },
    "data_sampler": {
        "StreamSampler": "toolbox.data.stream:StreamSampler",
        "GrowingBatches": "toolbox.training.hooks.growing:GrowingBatches",
    },
    "optim_wrapper": {"FiniteGradients": "toolbox.training.game.optim_wrappers:FiniteGradients"},
    "transform": {
        "HorizontalFlip": "toolbox.data.transforms:HorizontalFlip",
        "ShorterSide": "toolbox.data.transforms:ShorterSide",
        "RandomCrop": "toolbox.data.transforms:RandomCrop",
        "SmallerSizes": "toolbox.data.transforms:SmallerSizes",
        "WeakAugment": "toolbox.data.transforms:WeakAugment",
        "StrongAugment": "toolbox.data.transforms:StrongAugment",
        "TwoViews": "toolbox.data.transforms:TwoViews",
        "PhotometricDistortion": "toolbox.data.transforms:PhotometricDistortion",
        "BlurAndNoise": "toolbox.data.transforms:BlurAndNoise",
    },
    "metric": {
        "FID": "toolbox.metrics.fid:FID",
        "KID": "toolbox.metrics.kid:KID",
        "InceptionScore": "toolbox.metrics.inception_score:InceptionScore",
        "PrecisionRecall": "toolbox.metrics.precision_recall:PrecisionRecall",
        "IntraFID": "toolbox.metrics.intra_fid:IntraFID",
        "ClassifierAccuracy": "toolbox.metrics.classifier:ClassifierAccuracy",
        "ClusterConsistency": "toolbox.metrics.cluster_consistency:ClusterConsistency",
        "RPrecision": "toolbox.metrics.captions:RPrecision",
        "ClipScore": "toolbox.metrics.captions:ClipScore",
        "LabelSilhouette": "toolbox.metrics.silhouette:LabelSilhouette",
        "JudgedShare": "toolbox.metrics.judged:JudgedShare",
        "AnswersKept": "toolbox.metrics.judged:AnswersKept",
        "MaskAgreement": "toolbox.metrics.mask_agreement:MaskAgreement",
    },
    "component": {"FirstAvailable": "toolbox.models.first_available:first_available"},
}


@hookimpl
def plugin_info() -> dict[str, Any]:
    """The toolbox itself."""
    return dict(
        name="toolbox",
        title="the core",
        summary="base networks, data, metrics and training that papers share",
        api_version=PLUGIN_API_VERSION,
    )


@hookimpl
def register_components(register: Callable[[str, str, str], None]) -> None:
    """Everything in COMPONENTS."""
    for kind, names in COMPONENTS.items():
        for name, address in names.items():
            register(kind, name, address)


@hookimpl
def configs() -> dict[str, Path]:
    """The ready-made configs, ``toolbox/<name>``."""
    folder = linked_folder(Path(__file__).parent / "configs")
    return {file.stem: file for pattern in CONFIGS for file in sorted(folder.glob(pattern))}
