"""The small Diffusion Autoencoder that is shipped with the toolbox: 32-pixel drawn portraits."""

from __future__ import annotations

from pathlib import Path

from toolbox.models.diffae import DiffAE
from toolbox.weights.card import read_card, read_with_card

WEIGHTS = Path(__file__).parent / "embedded" / "diffae_portraits.safetensors"
_PREFIX = "networks.generator."


class EmbeddedDiffAE(DiffAE):
    """Averaged autoencoder of ``configs/diffae_portraits.py``, trained on DrawnPortraits at 32 pixels.

    It stands in for a published one where there is no network: what is measured on it says nothing about
    faces. The card beside the weights says how it was trained and how exactly it inverts held-out portraits.
    It is a release file: ``toolbox.load_generator`` opens it as well.

    Args:
        pretrained: load the shipped weights; False gives random ones.
        steps, train_steps, inversion_steps, clip: as in :class:`DiffAE`.

    Raises:
        WeightsError: when the weights are not those that the card describes.
    """

    def __init__(
        self,
        pretrained: bool = True,
        steps: int = 20,
        train_steps: int | None = None,
        inversion_steps: int = 50,
        clip: bool = True,
    ) -> None:
        trained = dict(read_card(WEIGHTS)["config"]["model"]["networks"]["generator"])
        del trained["type"]
        rendering = dict(steps=steps, train_steps=train_steps, inversion_steps=inversion_steps, clip=clip)
        super().__init__(**(trained | rendering))
        if pretrained:
            tensors, _ = read_with_card(WEIGHTS)
            self.load_state_dict({key.removeprefix(_PREFIX): value for key, value in tensors.items()})
