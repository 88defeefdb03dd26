"""Contract output: what pgBackRest and restic print, after their published documentation.

`pgbackrest info --output=json` (2.45) and `restic snapshots --json` (0.14 without, 0.17 with a summary).
"""

from __future__ import annotations

import json
from datetime import datetime


def pgbackrest_info(
    *backups: tuple[datetime, int], stanza: str = "shop", error: bool = False, code: int = 0
) -> str:
    """A stanza with these full backups of time and size; the last of them is damaged where `error` is."""
    return json.dumps(
        [
            {
                "archive": [{"database": {"id": 1, "repo-key": 1}, "id": "15-1", "max": "0A", "min": "01"}],
                "backup": [
                    {
                        "archive": {"start": "000000010000000000000003", "stop": "000000010000000000000003"},
                        "backrest": {"format": 5, "version": "2.45"},
                        "database": {"id": 1, "repo-key": 1},
                        "error": error and number == len(backups),
                        "info": {"delta": 1, "repository": {"delta": 1, "size": 1}, "size": size},
                        "label": f"{at:%Y%m%d-%H%M%S}F",
                        "prior": None,
                        "reference": None,
                        "timestamp": {"start": int(at.timestamp()) - 60, "stop": int(at.timestamp())},
                        "type": "full",
                    }
                    for number, (at, size) in enumerate(backups, 1)
                ],
                "cipher": "none",
                "db": [{"id": 1, "repo-key": 1, "system-id": 7147741414128675215, "version": "15"}],
                "name": stanza,
                "repo": [{"cipher": "none", "key": 1, "status": {"code": code, "message": "ok"}}],
                "status": {
                    "code": code,
                    "lock": {"backup": {"held": False}},
                    "message": "ok" if not code else "no valid backups",
                },
            }
        ]
    )


def restic_snapshots(*snapshots: tuple[datetime, int | None], paths: tuple[str, ...] = ("/srv/data",)) -> str:
    """Snapshots of time and size, times with nanoseconds as Go writes them; one path each, in turn."""
    return json.dumps(
        [
            {
                "time": f"{at:%Y-%m-%dT%H:%M:%S}.793330587Z",
                "tree": "2273ffe083d4ab64b0c232751e6d747438418027264b8f8639f60a79b407d631",
                "paths": [paths[number % len(paths)]],
                "hostname": "db-1",
                "username": "root",
                "id": f"{number:08x}403c58d321d1cfff0b09ef2ee4df07d82c1568a0d984cee4360ab84a",
                "short_id": f"{number:08x}",
                **({} if size is None else {"summary": {"total_bytes_processed": size}}),
            }
            for number, (at, size) in enumerate(snapshots)
        ]
    )
