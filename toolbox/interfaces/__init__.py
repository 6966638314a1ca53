"""The contracts. A third-party author reads these files first.

Generator       latents, condition -> images
Discriminator   images, condition -> logits
PromptLearner   index or latents -> token embeddings
Clusterer       features -> clusters
Metric          real and generated images -> number
Objective       turn -> loss
Conditioner     -> what to draw
Augment         images -> images, for discriminators
FeatureExtractor  images -> vectors
Segmenter       images -> parts, a pixel at a time
"""

from toolbox.interfaces.clusterer import Clusterer
from toolbox.interfaces.discriminator import Discriminator
from toolbox.interfaces.draws import RowGenerator, Rows, draw_rows
from toolbox.interfaces.generator import Generator
from toolbox.interfaces.metric import Metric
from toolbox.interfaces.prompt_learner import PromptLearner
from toolbox.interfaces.records import Condition, Record, Sample, concatenate
from toolbox.interfaces.segmenter import Segmenter
from toolbox.interfaces.training import Augment, Conditioner, FeatureExtractor, Objective, Turn

__all__ = [
    "Augment",
    "Clusterer",
    "Condition",
    "Conditioner",
    "Discriminator",
    "FeatureExtractor",
    "Generator",
    "Metric",
    "Objective",
    "PromptLearner",
    "Record",
    "RowGenerator",
    "Rows",
    "Sample",
    "Segmenter",
    "Turn",
    "concatenate",
    "draw_rows",
]
