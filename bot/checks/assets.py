"""What makes the text files of a page heavier than they need be: no compression, no minification."""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping

#: Content encodings browsers undo.
COMPRESSED = frozenset({"gzip", "x-gzip", "deflate", "br", "zstd"})
#: Formats that are compressed already, by the end of their content type.
_TEXT = re.compile(r"^text/|javascript|json|xml|wasm|font/(?:ttf|otf)|x-font-(?:ttf|otf)|svg", re.IGNORECASE)

#: What counts as not minified, and from how many bytes on (Lighthouse's `unminified-javascript`: 10 % and
#: 2048 bytes; `unminified-css`: 5 %). One share for both: this estimate sees less than a parser does.
UNMINIFIED_SHARE, UNMINIFIED_BYTES = 0.10, 2048

# Only where a line begins: `"*/*"` inside minified code opens no comment.
_BLOCK_COMMENT = re.compile(
    r"^[ \t]*/\*(?!!)(?:(?!@license|@preserve|@cc_on|\*/).)*\*/", re.DOTALL | re.MULTILINE
)
_LINE_COMMENT = re.compile(r"^[ \t]*//(?!#).*\n?", re.MULTILINE)
_INDENTATION = re.compile(r"^[ \t]+|[ \t]+$|\n(?=\n)", re.MULTILINE)


def is_text(content_type: str) -> bool:
    """Whether a content type is worth compressing."""
    return _TEXT.search(content_type.partition(";")[0].strip()) is not None


def is_compressed(headers: Mapping[str, str]) -> bool:
    """Whether an answer came compressed."""
    codings = headers.get("content-encoding", "").casefold().split(",")
    return any(coding.strip() in COMPRESSED for coding in codings)


def superfluous_bytes(code: str) -> int:
    """Bytes of comments, indentation and empty lines: what a minifier takes out at the very least.

    Licence comments stay, as minifiers leave them. It does not parse: spaces inside strings that begin a
    line count too, so that only a large share means anything.
    """
    kept = _BLOCK_COMMENT.sub("", code)
    kept = _LINE_COMMENT.sub("", kept)
    kept = _INDENTATION.sub("", kept)
    return len(code.encode()) - len(kept.encode())


def is_unminified(code: str) -> bool:
    """Whether a script or style looks as written by people."""
    saved = superfluous_bytes(code)
    return saved >= UNMINIFIED_BYTES and saved >= UNMINIFIED_SHARE * len(code.encode())


def gzipped(content: bytes) -> int:
    """Bytes after gzip at its strongest: comparable between releases whatever the server does."""
    return len(gzip.compress(content, compresslevel=9, mtime=0))


def kilobytes(count: float) -> str:
    """Bytes as people read them: `12.3 kB`, `1.20 MB`."""
    return f"{count / 1_000_000:.2f} MB" if count >= 1_000_000 else f"{count / 1000:.1f} kB"
