"""Picture files to RGB arrays: decoding without surprises, and one fixed way to resize."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

RESIZE = "centre-crop,pillow-lanczos"  # antialiased; part of every fingerprint where sizes differ
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
_DEEP_GREY = ("I", "I;16", "I;16B", "I;16L", "I;16N")

_ORIENTATION = 0x0112  # EXIF's tag

Color = str | tuple[int, int, int]


def decode(source: bytes | Path, name: str, background: Color | None = None) -> NDArray[np.uint8]:
    """uint8 (H, W, 3) RGB of a picture file.

    Grey becomes three equal channels, palettes are looked up, 16-bit grey keeps its upper 8 bits, and the
    camera's rotation (EXIF) is applied. Transparent pixels are laid over ``background``.

    Args:
        source: the file's bytes, or its path.
        name: what to call it in errors.
        background: colour name or RGB triple; None refuses pictures with transparent pixels.

    Raises:
        ValueError: for a torn or foreign file, or for transparent pixels without a background.
    """
    from PIL import ImageOps

    try:
        with Pillow.open(io.BytesIO(source) if isinstance(source, bytes) else source) as opened:
            picture = ImageOps.exif_transpose(opened)
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, Pillow.DecompressionBombError) as error:
        raise ValueError(
            f"{name} is not a readable picture ({error}): the file is torn or of another kind; "
            f"fetch it anew or remove it"
        ) from None
    return np.array(_to_rgb(picture, name, background))


def picture_shape(file: Path) -> tuple[int, int]:
    """(height, width) of what :func:`decode` gives, without decoding."""
    with Pillow.open(file) as opened:
        width, height = opened.size
        turned = opened.getexif().get(_ORIENTATION, 1) >= 5  # by a quarter
    return (width, height) if turned else (height, width)


def _to_rgb(picture: Pillow.Image, name: str, background: Color | None) -> Pillow.Image:
    if picture.mode in _DEEP_GREY:
        return _upper_bits(picture).convert("RGB")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layered = picture.convert("RGBA")
    if layered.getchannel("A").getextrema() == (255, 255):
        return layered.convert("RGB")
    if background is None:
        raise ValueError(
            f"{name} has transparent pixels: say what lies under them, for example background='white'"
        )
    return Pillow.alpha_composite(Pillow.new("RGBA", layered.size, background), layered).convert("RGB")


def _upper_bits(picture: Pillow.Image) -> Pillow.Image:
    # Pillow's own convert() clips 16-bit values at 255, which turns most of the picture white.
    values = np.asarray(picture).astype(np.int64).clip(0, 65535)
    return Pillow.fromarray((values >> 8).astype(np.uint8))


def resize(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The largest centred square of a uint8 (H, W, 3) image, at ``size`` x ``size`` pixels (Lanczos)."""
    height, width = image.shape[:2]
    if (height, width) == (size, size):
        return image
    side = min(height, width)
    left = (width - side) // 2
    top = (height - side) // 2
    square = np.ascontiguousarray(image[top : top + side, left : left + side])
    return np.array(Pillow.fromarray(square).resize((size, size), Pillow.Resampling.LANCZOS))


def resize_name(shape: tuple[int, ...], size: int) -> str:
    """What a fingerprint says of resizing images of ``shape`` (H, W) to ``size``: '' when nothing changes."""
    return "" if tuple(shape) == (size, size) else RESIZE


def encode_png(image: NDArray[np.uint8]) -> bytes:
    """The PNG file of a uint8 image, (H, W) or (H, W, 3); as grey or palette where that loses nothing."""
    if image.ndim == 3 and (image == image[:, :, :1]).all():
        image = image[:, :, 0]
    picture = Pillow.fromarray(image)
    if image.ndim == 3 and picture.getcolors(256) is not None:
        picture = _as_palette(image)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _as_palette(image: NDArray[np.uint8]) -> Pillow.Image:
    colors, codes = np.unique(image.reshape(-1, 3), axis=0, return_inverse=True)
    picture = Pillow.fromarray(codes.reshape(image.shape[:2]).astype(np.uint8))
    picture.putpalette(colors.tobytes())
    return picture
