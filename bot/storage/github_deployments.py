"""Deployments of GitHub that belong to one of ours."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.storage.schema import github_deployments


async def add(tx: AsyncConnection, repository: str, number: int, *, deployment_id: int, at: datetime) -> None:
    """This one of GitHub is ours."""
    await tx.execute(
        insert(github_deployments).values(
            repository=repository.lower(), number=number, deployment_id=deployment_id, linked_at=at
        )
    )


async def ours(tx: AsyncConnection, repository: str, number: int) -> int | None:
    """The id of our deployment it belongs to, or None."""
    query = select(github_deployments.c.deployment_id).where(
        github_deployments.c.repository == repository.lower(), github_deployments.c.number == number
    )
    return (await tx.execute(query)).scalar_one_or_none()


async def theirs(tx: AsyncConnection, deployment_id: int) -> list[tuple[str, int]]:
    """(repository, GitHub's id) of every deployment of GitHub that belongs to ours."""
    query = select(github_deployments.c.repository, github_deployments.c.number).where(
        github_deployments.c.deployment_id == deployment_id
    )
    return [
        (row.repository, row.number) for row in await tx.execute(query.order_by(github_deployments.c.number))
    ]
