"""The contracts. A third-party author reads these files first.

Generator       latents, condition -> images
Invertible      a generator's images -> latents
Discriminator   images, condition -> logits
PromptLearner   index or latents -> token embeddings
Clusterer       features -> clusters
Metric          real and generated images -> number
Objective       turn -> loss
Conditioner     -> what to draw
Augment         images -> images, for discriminators
Choice          -> which layers move in a step
Latents         -> what images are made of in training, where not of the prior
FeatureExtractor  images -> vectors
Segmenter       images -> parts, a pixel at a time
"""

from toolbox.interfaces.augment import Augment
from toolbox.interfaces.choice import Choice, Choosing
from toolbox.interfaces.clusterer import Clusterer, Features
from toolbox.interfaces.conditioner import Conditioner, Request
from toolbox.interfaces.discriminator import Discriminator
from toolbox.interfaces.draws import RowGenerator, Rows, draw_rows, normal_rows, uniform_rows, whole_rows
from toolbox.interfaces.extractor import FeatureExtractor
from toolbox.interfaces.generator import Generator
from toolbox.interfaces.invertible import Invertible
from toolbox.interfaces.latents import Latents
from toolbox.interfaces.metric import Metric
from toolbox.interfaces.objective import Objective
from toolbox.interfaces.prompt_learner import PromptLearner
from toolbox.interfaces.sample import Condition, Record, Sample, TextCodes, concatenate, from_bytes, moved
from toolbox.interfaces.segmenter import Segmenter
from toolbox.interfaces.turn import Turn

__all__ = [
    "Augment",
    "Choice",
    "Choosing",
    "Clusterer",
    "Condition",
    "Conditioner",
    "Discriminator",
    "FeatureExtractor",
    "Features",
    "Generator",
    "Invertible",
    "Latents",
    "Metric",
    "Objective",
    "PromptLearner",
    "Record",
    "Request",
    "RowGenerator",
    "Rows",
    "Sample",
    "Segmenter",
    "TextCodes",
    "Turn",
    "concatenate",
    "draw_rows",
    "from_bytes",
    "moved",
    "normal_rows",
    "uniform_rows",
    "whole_rows",
]
