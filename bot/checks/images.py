"""Images: what format and size they really have, and what re-encoding would save."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass

from bot.checks.kind import Broken

#: WebP quality of the trial; the trial is lossy, as Lighthouse's `modern-image-formats` is.
QUALITY = 80
#: A saving below this is not worth a word (Lighthouse's `modern-image-formats`).
LEAST_SAVING = 8192
#: Larger pictures are not decoded: a bomb of 40 megapixels takes 160 MB.
MOST_PIXELS = 40_000_000
#: Formats a re-encoding is tried for; WebP and AVIF are what it would become.
_OLD_FORMATS = frozenset({"JPEG", "PNG", "BMP", "GIF", "TIFF", "MPO"})


@dataclass(frozen=True, kw_only=True)
class Weighed:
    """An image and what it would weigh as WebP."""

    format: str
    width: int
    height: int
    now_bytes: int
    #: As WebP; None where that was not tried (modern format, animation, too large).
    webp_bytes: int | None

    @property
    def saving_share(self) -> float:
        """The share of its bytes that WebP would save; 0 where that is not worth a word."""
        if self.webp_bytes is None or self.now_bytes - self.webp_bytes < LEAST_SAVING:
            return 0.0
        return 1 - self.webp_bytes / self.now_bytes


def weigh(content: bytes, *, quality: int = QUALITY) -> Weighed | None:
    """Decode an image and encode it again as WebP; None for what is no raster image.

    Takes tens of milliseconds for a photograph: call it in a thread. Raises Broken where Pillow is missing.
    """
    try:
        from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 - optional extra
    except ImportError:
        raise Broken("Pillow is not installed: pip install 'deploybot[images]'") from None
    try:
        with Image.open(io.BytesIO(content)) as image:
            form, (width, height) = image.format or "", image.size
            trial: int | None = None
            still = getattr(image, "n_frames", 1) == 1 or form == "MPO"
            if form in _OLD_FORMATS and still and width * height <= MOST_PIXELS:
                transparent = "A" in image.getbands() or "transparency" in image.info
                encoded = io.BytesIO()
                image.convert("RGBA" if transparent else "RGB").save(encoded, "WEBP", quality=quality)
                trial = encoded.tell()
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return Weighed(format=form, width=width, height=height, now_bytes=len(content), webp_bytes=trial)


def dimensions(content: bytes) -> tuple[int, int] | None:
    """Width and height by the first bytes of a PNG, WebP, GIF, JPEG or ICO; None for anything else."""
    try:
        return _dimensions(content)
    except (struct.error, IndexError):
        return None  # it breaks off


def _dimensions(content: bytes) -> tuple[int, int] | None:
    if content[:8] == b"\x89PNG\r\n\x1a\n" and content[12:16] == b"IHDR":
        return struct.unpack(">II", content[16:24])
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return _webp(content)
    if content[:6] in (b"GIF87a", b"GIF89a"):
        return struct.unpack("<HH", content[6:10])
    if content[:4] == b"\x00\x00\x01\x00" and len(content) >= 22:
        count = struct.unpack("<H", content[4:6])[0]
        sizes = [content[6 + 16 * n] or 256 for n in range(count) if len(content) > 6 + 16 * n]
        return (max(sizes), max(sizes)) if sizes else None
    return _jpeg(content) if content[:2] == b"\xff\xd8" else None


def is_svg(content: bytes) -> bool:
    """Whether it is a drawing, which has every size."""
    return b"<svg" in content[:1024]


def _webp(content: bytes) -> tuple[int, int] | None:
    if len(content) < 30:
        return None
    match content[12:16]:
        case b"VP8X":
            return (
                int.from_bytes(content[24:27], "little") + 1,
                int.from_bytes(content[27:30], "little") + 1,
            )
        case b"VP8L":
            bits = int.from_bytes(content[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 ":
            width, height = struct.unpack("<HH", content[26:30])
            return width & 0x3FFF, height & 0x3FFF
    return None


def _jpeg(content: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 < len(content) and content[at] == 0xFF:
        marker, length = content[at + 1], struct.unpack(">H", content[at + 2 : at + 4])[0]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", content[at + 5 : at + 9])
            return width, height
        at += 2 + length
    return None
