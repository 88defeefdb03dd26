"""Builds what browsers load: scripts and styles without comments, each under the hash of its content."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Scripts from the ones that import nothing to the entry: a name must be known before it is imported.
_SCRIPTS = ("panels.js", "search.js", "chart.js", "live.js", "main.js")
ENTRY = "main.js"
_TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".png": "image/png",
    ".webp": "image/webp",
    ".json": "application/json",
}


@dataclass(frozen=True, kw_only=True)
class Assets:
    """A build."""

    #: Name in the source → name with the hash.
    names: dict[str, str]
    #: Name with the hash → content.
    files: dict[str, bytes]
    #: As Vite writes it.
    manifest: dict[str, Any]

    @staticmethod
    def content_type(name: str) -> str:
        """Of a file by its name."""
        return _TYPES.get(Path(name).suffix, "application/octet-stream")


def build(folder: Path) -> Assets:
    """Everything in a folder."""
    names: dict[str, str] = {}
    files: dict[str, bytes] = {}
    manifest: dict[str, Any] = {}

    def put(name: str, content: bytes) -> None:
        stem, _, end = name.rpartition(".")
        names[name] = f"{stem}-{hashlib.sha256(content).hexdigest()[:10]}.{end}"
        files[names[name]] = content

    for image in sorted((folder / "images").iterdir()):
        put(image.name, image.read_bytes())
    put("shop.css", minified_style((folder / "shop.css").read_text()).encode())
    for name in _SCRIPTS:
        code = (folder / name).read_text()
        static = re.findall(r'from "\./([\w.]+)"', code)
        dynamic = re.findall(r'import\("\./([\w.]+)"\)', code)
        for other in [*static, *dynamic]:
            code = code.replace(f'"./{other}"', f'"./{names[other]}"')
        put(name, minified_script(code).encode())
        manifest[name] = {"file": f"assets/{names[name]}", "src": name, "imports": static}
        manifest[name] |= {"isEntry": True, "dynamicImports": dynamic} if name == ENTRY else {}
    return Assets(names=names, files=files, manifest=manifest)


def minified_script(code: str) -> str:
    """Without comments that are lines, and without indentation; it does not parse, so nothing else."""
    lines = (line.strip() for line in code.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))


def minified_style(code: str) -> str:
    """Without comments and space that means nothing."""
    code = re.sub(r"/\*.*?\*/", "", code, flags=re.DOTALL)
    return re.sub(r"\s*([{};,])\s*", r"\1", re.sub(r"\s+", " ", code)).replace(": ", ":").strip()
