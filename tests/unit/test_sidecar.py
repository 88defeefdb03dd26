"""The sidecar: what is bound, what is missing, and every mistake named at once with its place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from bot.checklists.binding import BoundChecklist, Kinds, bind
from bot.checklists.markdown import parse
from bot.checklists.sidecar import read_sidecar
from bot.checks.catalogue import Catalogue
from bot.checks.kind import Context, Kind, Params, seconds
from bot.domain.check import Observation, Secret
from bot.domain.errors import SidecarUnusable

CHECKLIST = """# Go live
## Before
### Web
- [ ] Home page answers
- [ ] API answers <!-- id: api -->
- [ ] Somebody looked at it

## Rollback Plan
### Rollback Steps
1. Restore the previous version
2. Verify rollback
"""
HOME, API, LOOKED = "before/web/home-page-answers", "before/web/api", "before/web/somebody-looked-at-it"

GOOD = f"""
version: 1
vars:
  base_url: {{env: SHOP_URL, example: https://shop.example.com}}
  limit_ms: 300
secrets:
  token: {{env: SHOP_TOKEN}}
environments:
  production: {{vars: {{base_url: https://shop.example.com}}, forbid: [composite]}}
  staging: {{}}
allow: ["${{vars.base_url}}"]
presets:
  page: {{kind: http, url: "${{vars.base_url}}/", timeout: 5s}}
items:
  {HOME}:
    text: Home page answers
    check: {{use: page, expect: {{status: 200}}, fail: {{ms: "> 500"}}, samples: {{count: 3, every: 1s, fail_when: 2}}}}
    freshness: 1h
  {API}:
    text: API answers
    all:
      - {{id: no-token, kind: http, url: "${{vars.base_url}}/me", expect: {{status: [401, 403]}}}}
      - {{id: token, kind: http, url: "${{vars.base_url}}/me", bearer: {{secret: token}}, expect: {{status: 200}}}}
    human: A person reads the answer.
  {LOOKED}:
    text: Somebody looked at it
    human: Only a person can look.
"""


def bound(
    tmp_path: Path,
    yaml: str = GOOD,
    *,
    environment: str = "production",
    process: Mapping[str, str] | None = None,
    kinds: Kinds | None = None,
) -> BoundChecklist:
    """What a sidecar binds."""
    path = tmp_path / "golive.yaml"
    path.write_text(yaml, encoding="utf-8")
    checklist = parse(CHECKLIST, name="golive").checklist
    return bind(
        read_sidecar(path),
        checklist,
        kinds or Catalogue(),
        duration=seconds,
        environment=environment,
        process=process or {},
    )


class Look(Kind[Params]):
    """Has no rules of its own."""

    name = "look"
    about = "Looks."
    params = Params
    values: ClassVar[Mapping[str, str]] = {"seen": "how much was seen"}

    async def observe(self, params: Params, context: Context) -> Observation:
        """Nothing."""
        return Observation(values={"seen": 0})


class Looks:
    """A catalogue of one kind."""

    def get(self, name: str) -> Kind[Any] | None:
        """It."""
        return Look() if name == "look" else None

    def nearest(self, name: str) -> str | None:
        """It."""
        return "look"


def problems(
    tmp_path: Path, yaml: str, *, environment: str = "production", kinds: Kinds | None = None
) -> tuple[str, ...]:
    """Everything that is wrong with it."""
    with pytest.raises(SidecarUnusable) as caught:
        bound(tmp_path, yaml, environment=environment, kinds=kinds)
    return caught.value.problems


def test_variables_secrets_presets_and_defaults_are_filled_in(tmp_path: Path) -> None:
    found = bound(tmp_path, process={"SHOP_TOKEN": "hunter22"})
    home = found.bindings[HOME]
    (check,) = home.checks
    assert check.params.url == "https://shop.example.com/"
    assert (check.timeout, check.attempts) == (5.0, 2)
    assert check.samples is not None and check.samples.fail_when == 2
    assert home.freshness.total_seconds() == 3600
    token = found.bindings[API].checks[1]
    assert isinstance(token.params.bearer, Secret)
    assert "hunter22" not in repr(found)
    assert found.allow == ("https://shop.example.com",)
    assert found.bindings[LOOKED].human == "Only a person can look."
    assert not found.bindings[LOOKED].automatic


def test_an_unset_variable_or_secret_leaves_the_item_waiting_and_says_how_to_set_it(tmp_path: Path) -> None:
    found = bound(tmp_path, environment="staging")
    assert found.bindings[HOME].missing == ("vars.base_url (environments/staging/vars or $SHOP_URL)",)
    assert found.bindings[API].missing == (
        "vars.base_url (environments/staging/vars or $SHOP_URL)",
        "secrets.token ($SHOP_TOKEN)",
    )
    assert found.allow == ()
    found = bound(tmp_path, environment="staging", process={"SHOP_URL": "https://s", "SHOP_TOKEN": "x"})
    assert found.bindings[API].missing == ()


def test_a_required_variable_that_is_unset_is_an_error_at_start_up(tmp_path: Path) -> None:
    yaml = GOOD.replace("version: 1", "version: 1\nrequire: [vars.base_url, secrets.token, vars.nope]")
    assert problems(tmp_path, yaml, environment="staging") == (
        "require: vars.base_url is not set in staging: set it by environments/staging/vars or $SHOP_URL",
        "require: secrets.token is not set in staging: set it by $SHOP_TOKEN",
        "require: “vars.nope” is not declared; write vars.name or secrets.name",
    )


def test_every_mistake_is_named_at_once_with_its_place_and_what_was_meant(tmp_path: Path) -> None:
    yaml = f"""
version: 1
vars: {{base_url: https://shop.example.com}}
items:
  {HOME}:
    text: Home page answered
    check: {{kind: http, ulr: "${{vars.base_url}}", expect: {{statsu: 200}}}}
  {API}:
    text: API answers
    all:
      - {{kind: htpp, url: x}}
      - {{id: a, kind: http, url: "${{vars.bas_url}}"}}
      - {{id: a, kind: http, url: "${{vars.base_url}}", bearer: {{secret: tokn}}, expect: {{status: "> "}}}}
      - {{id: a, kind: http, url: "${{vars.base_url}}"}}
  before/web/home-page-answer:
    text: x
    human: y
"""
    found = problems(tmp_path, yaml)
    told = "\n".join(found)
    assert f"items/{HOME}: the item now reads “Home page answers”" in told
    assert f"items/{HOME}/check: unknown key “ulr” (did you mean “url”?)" in told
    assert f"items/{HOME}/check: “url” is missing" in told
    assert f"items/{API}/all/0: there is no kind “htpp” (did you mean “http”?)" in told
    assert f"items/{API}/all/1: ${{vars.bas_url}} is not declared (did you mean “vars.base_url”?)" in told
    assert f"items/{API}/all: two checks have the id “a”" in told
    assert f"items/{API}/all/2: secret “tokn” is not declared" in told
    assert f"items/{API}/all/2/expect/status: '> ' compares with nothing" in told
    assert (
        f"items/before/web/home-page-answer: the checklist has no such item (did you mean “{HOME}”?)" in told
    )


def test_a_check_that_asserts_nothing_is_an_error(tmp_path: Path) -> None:
    yaml = f"""
version: 1
items:
  {HOME}: {{text: Home page answers, check: {{kind: look, warn: {{seen: "> 3"}}}}}}
"""
    (told,) = problems(tmp_path, yaml, kinds=Looks())
    assert told == f"items/{HOME}/check: it asserts nothing: add expect or fail with one of seen"


def test_a_rule_about_what_is_not_observed_is_an_error(tmp_path: Path) -> None:
    yaml = f"""
version: 1
items:
  {HOME}: {{text: Home page answers, check: {{kind: look, fail: {{sen: "> 3"}}}}}}
"""
    (told,) = problems(tmp_path, yaml, kinds=Looks())
    assert told == f"items/{HOME}/check: look observes no “sen” (did you mean “seen”?)"


def test_a_composite_cannot_be_made_of_itself_or_of_what_has_no_checks(tmp_path: Path) -> None:
    yaml = f"""
version: 1
items:
  {HOME}: {{text: Home page answers, check: {{kind: composite, of: [{API}]}}}}
  {API}: {{text: API answers, check: {{kind: composite, of: [{HOME}, before/web/nothing]}}}}
"""
    told = "\n".join(problems(tmp_path, yaml))
    assert f"items/{HOME}: it is made of itself" in told
    assert f"items/{API}: “before/web/nothing” has no checks" in told


def test_a_forbidden_kind_is_skipped_in_that_environment_alone(tmp_path: Path) -> None:
    yaml = GOOD.replace(
        f"  {LOOKED}:\n    text: Somebody looked at it\n",
        f"  {LOOKED}:\n    text: Somebody looked at it\n    check: {{kind: composite, of: [{HOME}]}}\n",
    )
    assert bound(tmp_path, yaml).bindings[LOOKED].forbidden == "composite checks are forbidden in production"
    assert bound(tmp_path, yaml, environment="staging").bindings[LOOKED].forbidden == ""


@pytest.mark.parametrize(
    ("yaml", "said"),
    [
        ("version: 1\nversion: 1\n", "line 2: a key stands there twice"),
        ("version: 1\nitems: [", "it is no YAML"),
        ("- a\n", "begin with `version: 1`"),
        ("version: 2\n", "version: must be 1"),
        ("version: 1\nitmes: {}\n", "the file: unknown key “itmes” (did you mean “items”?)"),
        ("version: 1\nvars: {x: {about: y}}\n", "give a default, or an example"),
        ("version: 1\nitems: [a]\n", "items: must be a mapping"),
        ("version: 1\ncommands: [make]\n", "'make' is no absolute path"),
        ("version: 1\nsecrets: {x: plain}\n", "secrets/x"),
        (f"version: 1\nitems: {{{HOME}: {{text: x}}}}\n", "needs check or all"),
    ],
)
def test_a_form_that_is_wrong_is_named(tmp_path: Path, yaml: str, said: str) -> None:
    assert said in "\n".join(problems(tmp_path, yaml))


def test_a_secret_cannot_be_written_into_the_file(tmp_path: Path) -> None:
    yaml = GOOD.replace("bearer: {secret: token}", "bearer: hunter22")
    told = "\n".join(problems(tmp_path, yaml))
    assert "bearer: must be a secret, written as {secret: name}" in told
    assert "hunter22" not in told


def test_a_rollback_step_takes_checks_as_an_item_does_with_the_same_guard(tmp_path: Path) -> None:
    step = "rollback/verify-rollback"
    check = 'check: {kind: http, url: "${vars.base_url}/health", expect: {status: 200}}'
    found = bound(tmp_path, f"{GOOD}  {step}:\n    text: Verify rollback\n    {check}\n")
    assert found.bindings[step].checks[0].kind == "http"
    (said,) = problems(tmp_path, f"{GOOD}  {step}:\n    text: Verify it\n    {check}\n")
    assert said.startswith(f"items/{step}: the item now reads “Verify rollback”")
    (said,) = problems(tmp_path, f"{GOOD}  rollback/verify-rollbak:\n    text: x\n    {check}\n")
    assert "did you mean" in said
    assert step in said


@pytest.mark.parametrize("name", ["x" * 41, "error rate", "errors@fast", "fehlerquote-ü"])
def test_a_signal_has_a_short_plain_name(tmp_path: Path, name: str) -> None:
    watched = '{trigger: Errors rise, series: {kind: http, url: "${vars.base_url}/"}}'
    yaml = f"{GOOD}watch:\n  signals:\n    {name}: {watched}\n"
    [problem] = problems(tmp_path, yaml)
    said = "is no name of a signal; use up to 40 letters, digits, - and _"
    assert problem == f"watch/signals: '{name}' {said}"
