"""What the paper prints in Tables V and VI: IoU in percent, on CelebAMask-HQ's test part.

Means are over the 14 parts without the background; a part that no cluster was matched to counts 0.
"""

from __future__ import annotations

PARTS = (
    "skin",
    "nose",
    "eye glasses",
    "eye",
    "brow",
    "ear",
    "teeth",
    "upper lip",
    "lower lip",
    "hair",
    "hat",
    "earring",
    "neck",
    "cloth",
)

# Table VI. Rows of RepurposeGAN are quoted from its own paper; its lips and teeth are one part, 'mouth'.
_AS_PRINTED = {
    "UFGS (KLiSH), K = 26": "82.2 76.0 25.7 50.4 60.2 50.3 32.1 52.2 51.0 76.5 0.0 0.0 70.1 34.0",
    "UFGS (AHC), K = 26": "62.0 19.3 27.6 62.6 30.6 49.3 0.0 47.1 60.3 80.5 0.1 11.0 34.6 27.2",
    "LSE, 1 annotation": "83.8 81.7 1.9 72.9 51.0 45.6 32.7 64.8 68.2 69.0 0.6 1.7 68.8 16.1",
    "LSE, 10 annotations": "89.3 85.5 25.7 72.2 61.4 58.9 60.5 70.1 74.2 85.2 6.3 11.5 74.7 43.6",
    "RepurposeGAN, 1 annotation (quoted)": "- 76 - 58 - - - - - - - - - -",
    "RepurposeGAN, 10 annotations (quoted)": "90 85 - 75 68 37 - - - 84 - - 73 16",
}
PER_PART: dict[str, tuple[float | None, ...]] = {
    name: tuple(None if value == "-" else float(value) for value in line.split())
    for name, line in _AS_PRINTED.items()
}
MOUTH = {"RepurposeGAN, 1 annotation (quoted)": 71, "RepurposeGAN, 10 annotations (quoted)": 87}

# Table V: (annotated images, parts with the background, mean IoU, its deviation or None, quoted).
MEANS: dict[str, tuple[int, int, float, float | None, bool]] = {
    "UFGS (KLiSH)": (0, 15, 47.2, None, False),
    "UFGS (AHC)": (0, 15, 36.6, None, False),
    "LSE, 1 annotation": (1, 15, 47.1, 2.8, False),
    "LSE, 10 annotations": (10, 15, 58.5, 0.9, False),
    "RepurposeGAN": (10, 9, 68.0, None, True),
    "DatasetGAN": (16, 8, 70.0, None, True),
}
