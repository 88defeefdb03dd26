"""GitHub's webhooks about deployments, in the form its documentation gives them, signed as it signs them."""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from bot.domain.events import CI
from bot.domain.routing import GitHubRule, Routing, ServiceRule
from bot.services import ending
from bot.services.ci import CiDesk
from bot.services.github import GitHubDesk
from bot.services.ports import Ports
from bot.storage.database import Database
from bot.web import CiHooks, WebServer, application
from bot.web.ci_hooks import GITHUB_PATH
from tests.integration.test_ci_hooks import Workspace, kinds
from tests.integration.test_hooks import ready
from tests.makers import ANA, BEN, CHANNEL, ListedLibrary, make_checklist, make_ports, start

SECRET = "It's a Secret to Everybody"
RULE = GitHubRule(
    repository="acme/*",
    environment="prod*",
    service="storefront",
    deploy_to="production",
    channel=CHANNEL,
    lead=BEN,
    leads={"ana-on-github": ANA},
)
#: Cut from the example of the event `deployment`; the URLs that are not used are left out.
DEPLOYMENT: dict[str, Any] = {
    "action": "created",
    "deployment": {
        "url": "https://api.github.com/repos/acme/shop/deployments/145988746",
        "id": 145988746,
        "node_id": "MDEwOkRlcGxveW1lbnQxNDU5ODg3NDY=",
        "sha": "f95f852bd8fca8fcc58a9a2d6c842781e32a215e",
        "ref": "v1.4.2",
        "task": "deploy",
        "payload": {},
        "original_environment": "production",
        "environment": "production",
        "description": None,
        "creator": {"login": "Ana-on-GitHub", "id": 21031067, "type": "User", "site_admin": False},
        "created_at": "2019-05-15T15:20:53Z",
        "updated_at": "2019-05-15T15:20:53Z",
        "statuses_url": "https://api.github.com/repos/acme/shop/deployments/145988746/statuses",
    },
    "repository": {"id": 186853002, "full_name": "Acme/shop", "html_url": "https://github.com/acme/shop"},
    "sender": {"login": "Ana-on-GitHub", "id": 21031067},
}


def status(state: str, description: str = "", **changed: Any) -> dict[str, Any]:
    """The event `deployment_status`."""
    told = {
        "id": 209916254,
        "state": state,
        "creator": {"login": "github-actions[bot]", "type": "Bot"},
        "description": description,
        "environment": "production",
        "target_url": "https://github.com/acme/shop/actions/runs/7",
        "log_url": "https://github.com/acme/shop/actions/runs/7",
        "environment_url": "",
    }
    return {**DEPLOYMENT, "deployment_status": told, **changed}


@pytest.fixture
def ports(database: Database) -> Ports:
    library = ListedLibrary(routing=Routing(github=(RULE,)), production=make_checklist())
    return replace(make_ports(database), library=library)


@pytest.fixture
async def client(ports: Ports) -> AsyncIterator[httpx.AsyncClient]:
    desk = CiDesk(ports, Workspace(), patience=0.05)
    hooks = CiHooks(ports=ports, token="", github_secret=SECRET, ci=desk, github=GitHubDesk(ports, desk))
    server = WebServer(application(readiness=ready, bolt=None, ci=hooks), host="127.0.0.1", port=0)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{await server.start()}") as client:
        yield client
    await server.stop()


async def sends(
    client: httpx.AsyncClient,
    event: str,
    payload: Any,
    *,
    delivery: str = "",
    secret: str = SECRET,
    **headers: str,
) -> httpx.Response:
    """As GitHub does it."""
    body = json.dumps(payload).encode()
    given = {
        "Content-Type": "application/json",
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": delivery or str(uuid.uuid4()),
        "X-Hub-Signature-256": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(),
    }
    return await client.post(GITHUB_PATH, content=body, headers={**given, **headers})


async def test_a_ping_is_answered_and_other_events_are_left_alone(client: httpx.AsyncClient) -> None:
    assert (await sends(client, "ping", {"zen": "Keep it logically awesome."})).json() == {"done": ["pong"]}
    assert (await sends(client, "push", {})).json() == {"done": ["push is not for us"]}


async def test_a_deployment_created_on_github_is_started_and_followed_to_the_end(
    client: httpx.AsyncClient, ports: Ports
) -> None:
    answer = (await sends(client, "deployment", DEPLOYMENT)).json()
    assert answer["done"] == ["started"], answer
    assert (answer["deployment"]["name"], answer["deployment"]["version"]) == ("storefront-1", "v1.4.2")
    assert answer["deployment"]["lead"] == ANA
    for state, said in (
        ("queued", "queued changes nothing"),
        ("in_progress", "noted as deploying"),
        ("success", "noted as deployed"),
        ("inactive", "inactive changes nothing"),
    ):
        assert (await sends(client, "deployment_status", status(state))).json()["done"] == [said]
    async with ports.database.read() as tx:
        state_ = await ports.deployments.get(tx, 1)
    assert state_ is not None
    assert state_.aftermath.deployed is not None
    assert state_.aftermath.deployed.by == CI
    assert state_.phase.open  # whether it went well, people and checks say
    assert [kind for kind, _ in await kinds(ports)] == [
        "deployment.started",
        "deployment.linked",
        "deployment.linked",
        "deployment.reported",
        "deployment.reported",
    ]


async def test_a_delivery_that_is_sent_again_changes_nothing(client: httpx.AsyncClient, ports: Ports) -> None:
    first = await sends(client, "deployment", DEPLOYMENT, delivery="72d3162e")
    again = await sends(client, "deployment", DEPLOYMENT, delivery="72d3162e")
    assert again.json() == first.json()
    failed = [await sends(client, "deployment_status", status("failure"), delivery="e8") for _ in range(2)]
    assert failed[0].json() == failed[1].json()
    assert [kind for kind, _ in await kinds(ports)].count("trigger.fired") == 1
    # Somebody presses “Redeliver” after a new guid was given: the same deployment is known.
    assert (await sends(client, "deployment", DEPLOYMENT)).json()["done"] == ["known already"]


async def test_a_status_that_overtakes_its_deployment_starts_it(
    client: httpx.AsyncClient, ports: Ports
) -> None:
    answer = await sends(client, "deployment_status", status("in_progress"))
    assert answer.json()["deployment"]["name"] == "storefront-1"
    assert (await sends(client, "deployment", DEPLOYMENT)).json()["done"] == ["known already"]
    assert [kind for kind, _ in await kinds(ports)].count("deployment.started") == 1


async def test_a_failure_raises_an_alert(client: httpx.AsyncClient, ports: Ports) -> None:
    await sends(client, "deployment", DEPLOYMENT)
    await sends(client, "deployment_status", status("error", "the runner was lost"))
    async with ports.database.read() as tx:
        state_ = await ports.deployments.get(tx, 1)
    assert state_ is not None
    assert [trigger.finding["said"] for trigger in state_.aftermath.raised] == ["the runner was lost"]


async def test_our_own_status_that_comes_back_is_known_as_ours(
    client: httpx.AsyncClient, ports: Ports
) -> None:
    await sends(client, "deployment", DEPLOYMENT)
    ours = status("failure", "Deploybot: aborted: not today (storefront-1, event 9)")
    assert (await sends(client, "deployment_status", ours)).json()["done"] == ["our own status, come back"]
    assert "trigger.fired" not in [kind for kind, _ in await kinds(ports)]


async def test_the_payload_of_the_deployment_may_say_service_and_version(
    client: httpx.AsyncClient, ports: Ports
) -> None:
    library = ListedLibrary(
        routing=Routing(github=(replace(RULE, service="", deploy_to=""),)), production=make_checklist()
    )
    object.__setattr__(ports, "library", library)
    payload = json.dumps({"service": "checkout", "version": "2026.11"})
    changed = {**DEPLOYMENT, "deployment": {**DEPLOYMENT["deployment"], "payload": payload}}
    told = (await sends(client, "deployment", changed)).json()["deployment"]
    assert (told["service"], told["version"], told["environment"]) == ("checkout", "2026.11", "production")


async def test_the_one_people_started_already_is_linked_and_another_version_is_refused(
    client: httpx.AsyncClient, ports: Ports
) -> None:
    await start(ports, version="v1.4.2")
    answer = await sends(client, "deployment", DEPLOYMENT)
    assert answer.json()["done"] == ["linked to the one under way"]
    other = {**DEPLOYMENT["deployment"], "id": 2, "ref": "v1.5.0"}
    second = {**DEPLOYMENT, "deployment": other}
    refused = await sends(client, "deployment", second, delivery="9")
    assert refused.status_code == 409
    assert refused.json()["deployment"]["version"] == "v1.4.2"
    await ending.abort(ports, 1, user=ANA, reason="not today", delivery="abort")
    again = await sends(client, "deployment", second, delivery="9")  # “Redeliver” has the same guid
    assert again.json()["done"] == ["started"]


@pytest.mark.parametrize(
    "routing",
    [
        Routing(github=(replace(RULE, team="TNOWHERE01"),)),
        Routing(github=(RULE,), services=(ServiceRule(service="store*", team="TNOWHERE01"),)),
    ],
    ids=["of the repository", "of the service"],
)
async def test_a_rule_names_the_workspace(client: httpx.AsyncClient, ports: Ports, routing: Routing) -> None:
    assert isinstance(ports.library, ListedLibrary)
    ports.library.rules = routing
    answer = await sends(client, "deployment", DEPLOYMENT)
    assert answer.status_code == 422
    assert "not in the workspace TNOWHERE01" in answer.json()["error"]
    async with ports.database.read() as tx:
        assert await ports.deployments.all_open(tx) == []


async def test_a_repository_without_a_rule_is_none_of_ours(client: httpx.AsyncClient, ports: Ports) -> None:
    foreign = {**DEPLOYMENT, "repository": {"full_name": "other/shop"}}
    answer = await sends(client, "deployment", foreign)
    assert answer.json() == {
        "deployment": None,
        "done": ["services.yaml has no rule for other/shop in production"],
    }
    answer = await sends(client, "deployment_status", {**status("success"), **foreign})
    assert answer.json()["done"] == ["no deployment of ours"]


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Hub-Signature-256": ""},
        {"X-Hub-Signature-256": "sha256="},
        {"X-Hub-Signature-256": "sha256=" + "0" * 64},
        {"X-Hub-Signature-256": "sha1=" + "0" * 40},
        {"X-Hub-Signature-256": "sha256=ÿ"},
    ],
)
async def test_what_is_not_signed_with_the_secret_is_not_read(
    client: httpx.AsyncClient, ports: Ports, headers: dict[str, str]
) -> None:
    encoded = {name: value.encode().decode("latin-1") for name, value in headers.items()}
    body = json.dumps(DEPLOYMENT).encode()
    given = {"X-GitHub-Event": "deployment", "X-GitHub-Delivery": "1", **encoded}
    answer = await client.post(
        GITHUB_PATH, content=body, headers=[(n.encode(), v.encode("latin-1")) for n, v in given.items()]
    )
    assert answer.status_code == 401
    assert "DEPLOYBOT_GITHUB_WEBHOOK_SECRET" in answer.json()["error"]
    assert (await sends(client, "deployment", DEPLOYMENT, secret="another")).status_code == 401
    async with ports.database.read() as tx:
        assert await ports.deployments.ids(tx) == []


async def test_the_signature_is_that_of_githubs_documentation(client: httpx.AsyncClient) -> None:
    """The vector of "Validating webhook deliveries": this secret, the body `Hello, World!`."""
    answer = await client.post(
        GITHUB_PATH,
        content=b"Hello, World!",
        headers={
            "X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
            "X-GitHub-Event": "ping",
        },
    )
    assert answer.json() == {"done": ["pong"]}


async def test_rubbish_that_is_signed_is_refused_in_a_sentence(client: httpx.AsyncClient) -> None:
    rubbish: tuple[Any, ...] = (
        None,
        [],
        {},
        {"deployment": 7},
        {"deployment": {"id": "x"}, "repository": []},
    )
    for payload in rubbish:
        answer = await sends(client, "deployment", payload)
        assert answer.status_code == 400, payload
        assert answer.json()["problems"]
