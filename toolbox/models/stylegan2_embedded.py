"""The small StyleGAN2-ADA that is shipped with the toolbox: 64-pixel drawn portraits."""

from __future__ import annotations

from pathlib import Path

from toolbox.models.stylegan2 import StyleGAN2Generator
from toolbox.weights.card import read_card, read_with_card

WEIGHTS = Path(__file__).parent / "embedded" / "stylegan2_portraits.safetensors"
_PREFIX = "networks.generator."


class EmbeddedStyleGAN2(StyleGAN2Generator):
    """Averaged generator of ``configs/stylegan2_ada_portraits.py``, trained on DrawnPortraits.

    It stands in for a published generator where there is no network: what is measured on it says nothing
    about faces. The card beside the weights says how it was trained and what was measured. It is a release
    file: ``toolbox.load_generator`` opens it as well.

    Args:
        pretrained: load the shipped weights; False gives random ones.
        noise_mode: as in :class:`StyleGAN2Generator`.

    Raises:
        WeightsError: when the weights are not those that the card describes.
    """

    def __init__(self, pretrained: bool = True, noise_mode: str = "auto") -> None:
        trained = dict(read_card(WEIGHTS)["config"]["model"]["networks"]["generator"])
        del trained["type"]
        super().__init__(**trained, noise_mode=noise_mode)
        if pretrained:
            tensors, _ = read_with_card(WEIGHTS)
            self.load_state_dict({key.removeprefix(_PREFIX): value for key, value in tensors.items()})
