"""The toy CLIPs that are shipped with the toolbox, and their features."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from toolbox.models import clip_text
from toolbox.models.clip import Clip
from toolbox.models.clip_features import ClipFeatures
from toolbox.models.clip_weights import load_strictly, read_state_dict

FOLDER = Path(__file__).parent / "embedded"
ARCHITECTURE = FOLDER / "clip_embedded_architecture.json"
WEIGHTS = FOLDER / "clip_embedded.safetensors"
VIT = FOLDER / "clip_embedded_vit.safetensors"
CARD = FOLDER / "clip_embedded.json"
WORDS = FOLDER / "clip_embedded_words.json"  # ids of the tokens that occur in its captions
PORTRAITS = FOLDER / "clip_portraits.safetensors"
PORTRAIT_WORDS = FOLDER / "clip_portraits_words.json"
TOKEN_TABLE = "token_embedding.weight"


class EmbeddedClip(Clip):
    """The toy CLIP that is shipped with the toolbox: 32-pixel images, CLIP's vocabulary, a few MB.

    It knows the embedded data only (emoji and Fashion-MNIST, ``weights/clip_embedded.json``) and stands in
    for a real CLIP where there is no network: results with it say nothing about a real one.

    Args:
        pretrained: load the shipped weights; False gives random ones, for training it anew.
        frozen: as in :class:`Clip`.
        resize: as in :class:`Clip`; antialiased by default, since images are often larger than 32 pixels.
        crop: as in :class:`Clip`.
    """

    short_name = "toy-clip"  # of metrics
    words_file = WORDS

    def __init__(
        self, pretrained: bool = True, frozen: bool = True, resize: str = "antialias", crop: bool = False
    ) -> None:
        super().__init__(str(ARCHITECTURE), WEIGHTS if pretrained else None, resize, frozen, crop=crop)

    @cached_property
    def _words(self) -> Tensor:
        """Words of its captions alone: all other rows of the token table are as drawn, and mean nothing."""
        seen = torch.zeros(len(self._token_table()), dtype=torch.bool)
        seen[_ids(self.words_file)] = True
        return clip_text.word_mask(self.tokenizer.decoder, self._piece, len(seen)) & seen


class EmbeddedViT(EmbeddedClip):
    """The toy CLIP with a vision transformer in place of its image encoder: for networks that tap its blocks.

    6 blocks of 4 x 4 tokens on 32-pixel images, 321,792 numbers, trained into the space of
    :class:`EmbeddedClip`'s text encoder. Both have quick-GELU here, as OpenAI's: codes of texts differ from
    EmbeddedClip's by half a percent, so encode texts and images with the same of the two.

    Args:
        pretrained: load the shipped image encoder; False gives a random one. The text encoder is loaded
            always.
        frozen, resize: as in :class:`EmbeddedClip`.
    """

    def __init__(self, pretrained: bool = True, frozen: bool = True, resize: str = "antialias") -> None:
        architecture = json.loads(ARCHITECTURE.read_text(encoding="utf-8"))
        vision = dict(image_size=32, patch_size=8, layers=6, width=64, head_width=16)
        Clip.__init__(self, {**architecture, "quick_gelu": True, "vision_cfg": vision}, None, resize, frozen)
        state = {key: value for key, value in read_state_dict(WEIGHTS).items() if "visual." not in key}
        image = read_state_dict(VIT) if pretrained else self.model.visual.state_dict()
        state |= {f"visual.{key.removeprefix('visual.')}": value for key, value in image.items()}
        load_strictly(self.model, state, str(VIT), self.architecture, quick_gelu=True)


class PortraitClip(EmbeddedClip):
    """A toy CLIP of drawn portraits: their styles, hair, hats and mouths, in pictures and in words.

    :class:`EmbeddedClip` trained on, on :class:`toolbox.data.drawn.DrawnPortraits` in seven styles. It stands
    in for a real CLIP where portraits are adapted to another style and there is no network, and knows nothing
    else any more: results with it say nothing about a real one. ``clip_portraits.json`` says what it can do.

    Args:
        pretrained: load the shipped weights; False gives those of EmbeddedClip, from which they were trained.
        frozen, resize, crop: as in :class:`EmbeddedClip`.
    """

    short_name = "toy-portrait-clip"
    words_file = PORTRAIT_WORDS

    def __init__(
        self, pretrained: bool = True, frozen: bool = True, resize: str = "antialias", crop: bool = False
    ) -> None:
        super().__init__(True, frozen, resize, crop)
        self.architecture = self.short_name  # not EmbeddedClip's: ClipFeatures and messages are named by it
        if pretrained:
            state = self.model.state_dict()
            changed = read_state_dict(PORTRAITS)
            rows = changed.pop(TOKEN_TABLE)  # of the words in its captions; all other rows are as they were
            state[TOKEN_TABLE][_ids(self.words_file)] = rows.to(state[TOKEN_TABLE].dtype)
            load_strictly(self.model, state | changed, str(PORTRAITS), self.architecture, quick_gelu=False)


def _ids(path: Path) -> list[int]:
    ids: list[int] = json.loads(path.read_text(encoding="utf-8"))
    return ids


class EmbeddedClipFeatures(ClipFeatures):
    """Features of the shipped toy CLIP: the stand-in where there is no network.

    Distances measured with it (``fid[toy-clip,...]``) compare runs on the embedded data with each other, and
    with nothing else.

    Args:
        layer: 'pooled' (384 numbers, mean over the last feature map) or 'embedding' (the space shared with
            texts).
        normalize: scale features to unit length.
    """

    def __init__(self, layer: str = "pooled", normalize: bool = False) -> None:
        name = "toy-clip" if layer == "pooled" else f"toy-clip-{layer}"
        super().__init__(EmbeddedClip(), layer, normalize, name)
