"""Messages a deployment is shown in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class PlannedPost:
    """A message to be owned from now on."""

    #: `card` for the root of the thread; everything else is a reply.
    kind: str
    #: Unique for its kind within the deployment.
    key: str
    #: What the drawing needs besides the deployment's state; JSON values only.
    content: Mapping[str, Any] = field(default_factory=dict)
