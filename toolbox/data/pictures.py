"""Picture files to RGB arrays: decoding without surprises, and one fixed way to resize."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

RESIZE = "centre-crop,pillow-lanczos"  # antialiased; part of every fingerprint where sizes differ
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF", "PPM")  # Pillow's names; PPM is PGM too
MOST_PIXELS = 2**26  # 8192 x 8192, which are 200 MB as RGB
MOST_BYTES = 2**28  # of a file
_BAND = 2**22  # pixels that are converted at once
_MOST_SCANS = 200  # of a JPEG; progressive ones have about ten, and each costs a pass over all pixels
_DEEP_GREY = ("I", "I;16", "I;16B", "I;16L", "I;16N")
_PLAIN = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")

# tags of EXIF and TIFF
_ORIENTATION = 0x0112
_BITS = 0x0102
_ZERO_IS = 0x0106  # 0: white, 1: black

Color = str | tuple[int, int, int]


def open_picture(source: bytes | Path, formats: tuple[str, ...] = FORMATS) -> Pillow.Image:
    """A picture file with its header read: what all of the toolbox opens pictures with.

    Pillow goes by a file's content, not its name, and some of its readers start programs (PostScript named
    .png starts Ghostscript) or have no bounds; so only some formats are tried, in any process.

    Args:
        source: the file's bytes, or its path.
        formats: which of ``FORMATS`` to try.

    Raises:
        FileNotFoundError: when it is missing.
        ValueError: for a torn or foreign file, and for more than ``MOST_PIXELS`` or ``MOST_BYTES``.
    """
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    if size > MOST_BYTES:
        raise ValueError(f"it has {size:,} bytes, more than {MOST_BYTES:,}")
    try:
        opened = Pillow.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=formats)
    except UnidentifiedImageError:
        raise ValueError(f"it is no picture of the kinds that are read: {', '.join(formats)}") from None
    except Exception as error:  # a torn picture raises almost anything
        raise ValueError(_reason(error)) from None
    if opened.width * opened.height > MOST_PIXELS:
        opened.close()
        raise ValueError(f"it has {opened.width} x {opened.height} pixels, more than {MOST_PIXELS:,}")
    return opened


def decode(source: bytes | Path, name: str, background: Color | None = None) -> NDArray[np.uint8]:
    """uint8 (H, W, 3) RGB of a picture file.

    Grey becomes three equal channels, palettes are looked up, 16-bit grey keeps its upper 8 bits, and the
    camera's rotation (EXIF) is applied. Transparent pixels are laid over ``background``.

    Args:
        source: the file's bytes, or its path.
        name: what to call it in errors.
        background: colour name or RGB triple; None refuses pictures with transparent pixels.

    Raises:
        FileNotFoundError: when the file is missing.
        ValueError: for a torn or foreign file, for values whose range is unknown (floats, 32-bit integers),
            and for transparent pixels without a background.
    """
    from PIL import ImageOps

    with _readable(name), open_picture(source) as opened:
        _check_scans(opened)
        unclear = _unclear(opened)
        if not unclear:
            ImageOps.exif_transpose(opened, in_place=True)
            opened.load()
    if unclear:
        raise ValueError(f"{name} {unclear}: save it with 8 bits a channel, as RGB or grey")
    return _in_bands(opened, name, background)


def _in_bands(picture: Pillow.Image, name: str, background: Color | None) -> NDArray[np.uint8]:
    """The pixels as RGB, some rows at a time: conversions would hold several copies of a large picture."""
    width, height = picture.size
    rows = max(1, _BAND // max(width, 1))
    if height <= rows:
        return np.array(_to_rgb(picture, name, background))
    pixels = np.empty((height, width, 3), dtype=np.uint8)
    for top in range(0, height, rows):
        below = min(top + rows, height)
        band = picture.crop((0, top, width, below))
        pixels[top:below] = np.asarray(_to_rgb(band, name, background))
    return pixels


def picture_shape(source: bytes | Path, name: str, stored: bool = False) -> tuple[int, int]:
    """(height, width) of what :func:`decode` gives, without converting it.

    Args:
        source: the file's bytes, or its path.
        name: what to call it in errors.
        stored: as stored, before the camera's rotation; then only the header is read.

    Raises:
        FileNotFoundError: when the file is missing.
        ValueError: for a torn or foreign file.
    """
    with _readable(name), open_picture(source) as opened:
        width, height = opened.size
        turned = not stored and opened.getexif().get(_ORIENTATION, 1) >= 5  # by a quarter
    return (width, height) if turned else (height, width)


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """Whatever is raised inside becomes a ValueError that names the picture."""
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:  # a torn picture raises almost anything
        raise ValueError(
            f"{name} is not a readable picture ({_reason(error)}): the file is torn or of another kind; "
            f"fetch it anew or remove it"
        ) from None


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _check_scans(opened: Pillow.Image) -> None:
    if opened.format not in ("JPEG", "MPO"):
        return
    file = opened.fp  # type: ignore[attr-defined]
    start = file.tell()
    file.seek(0)
    scans = file.read().count(b"\xff\xda")
    file.seek(start)
    if scans > _MOST_SCANS:
        raise ValueError(f"a JPEG of {scans} scans")


def _unclear(opened: Pillow.Image) -> str:
    """What makes the colours of a picture unclear, else ''. Pillow would guess, and turn most of it black."""
    tags = getattr(opened, "tag_v2", {})  # of TIFFs
    if opened.mode == "F":
        return "holds floats, whose range it does not say"
    if opened.mode == "I" and opened.format not in ("PNG", "PPM"):  # theirs are 16-bit
        return "holds 32-bit or signed integers, whose range it does not say"
    if opened.mode in _DEEP_GREY and tags:
        bits, zero_is = tags.get(_BITS, (16,)), tags.get(_ZERO_IS, 1)
        if tuple(bits) != (16,) or zero_is != 1:
            return f"is a grey TIFF of {bits[0]} bits where 0 is {'black' if zero_is else 'white'}"
    if opened.mode not in _PLAIN + _DEEP_GREY:
        return f"is in {opened.mode} colours"
    return ""


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
    values = np.asarray(picture).clip(0, 65535)
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
