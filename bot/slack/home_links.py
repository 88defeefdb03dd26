"""Where a home's deployments, boxes and alerts stand in Slack."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from bot.domain.deployment import Deployment
from bot.slack.blocks.home import Links, Place
from bot.slack.mrkdwn import plain
from bot.storage.posts import Post


def links_to(
    messages: Sequence[Post],
    deployments: Mapping[int, Deployment],
    link: Callable[[Post], str | None],
) -> Links:
    """The links of these messages of these deployments; of several alerts of a trigger the newest."""
    cards: dict[int, str] = {}
    places: dict[int, list[Place]] = {}
    alerts: dict[tuple[int, int], str] = {}
    for post in messages:
        if post.kind == "card":
            found = link(post)
            if found is not None:
                cards[post.deployment_id] = found
        elif post.kind == "alert":
            found = link(post)
            if found is not None:
                alerts[post.deployment_id, post.content["fired"]] = found
        elif post.deployment_id in deployments:
            place = _place(deployments[post.deployment_id], post, link(post))
            places.setdefault(post.deployment_id, []).append(place)
    return Links(cards=cards, places=places, alerts=alerts)


def _place(deployment: Deployment, post: Post, link: str | None) -> Place:
    title = "Rollback steps"
    if post.kind == "section":
        title = plain(deployment.checklist.sections[post.content["section"]].title)
    title = title or plain(deployment.checklist.title)
    if post.content["parts"] > 1:
        title = f"{title} ({post.content['part']} of {post.content['parts']})"
    return Place(
        post_id=post.id,
        first=post.content["first"],
        last=post.content["last"],
        title=title,
        link=link,
    )
