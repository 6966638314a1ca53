"""Turn a run of configs/clip_embedded_vit.py into the shipped files: float16 weights and a card.

python tools/train.py configs/clip_embedded_vit.py --work-dir runs/clip_embedded_vit
python tools/ship_embedded_vit.py runs/clip_embedded_vit
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).resolve().parent))

from ship_embedded_clip import LIMITS, _card, _half, _sha256, retrieval, zero_shot

from toolbox.data.embedded import EmbeddedEmoji, EmbeddedFashion
from toolbox.models.clip_embedded import VIT, EmbeddedViT
from toolbox.training.checkpoints import latest_checkpoint, read_checkpoint

PREFIX = "networks.clip.model.visual."


def main(run: Path) -> None:
    """Write weights and card, with what was measured on the parts that training did not see."""
    torch.set_num_threads(1)
    checkpoint = latest_checkpoint(run)
    if checkpoint is None:
        raise SystemExit(f"{run} holds no checkpoint: is it a run's folder?")
    contents = read_checkpoint(checkpoint)
    named = contents["state_dict"].items()
    state = {key.removeprefix(PREFIX): _half(value) for key, value in named if key.startswith(PREFIX)}
    save_file(state, VIT)
    VIT.chmod(0o644)  # safetensors writes files for their owner only
    environment = json.loads((run / "environment.json").read_text(encoding="utf-8"))
    card = _card(environment, contents["meta"]["iter"], state)
    clip = EmbeddedViT()
    metrics = {
        "fashion zero-shot": zero_shot(clip, EmbeddedFashion("test"), "a photo of a {}"),
        "emoji category zero-shot": zero_shot(clip, EmbeddedEmoji("test"), "an emoji of {}"),
        **retrieval(clip, EmbeddedEmoji("test")),
    }
    card |= dict(
        name=VIT.stem,
        weights=VIT.name,
        architecture="image encoder of EmbeddedViT; the text encoder is EmbeddedClip's",
        sha256=_sha256(VIT),
        trained=card["trained"] | dict(config="configs/clip_embedded_vit.py"),
        limits=LIMITS,
        selection="One run, its settings not tuned.",
        metrics={name: round(float(value), 4) for name, value in metrics.items()},
    )
    VIT.with_suffix(".json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(card["metrics"], indent=2))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
