"""Environment variables in every place they are written down."""

from __future__ import annotations

import base64
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.checks.environments import (
    Environment,
    Unreadable,
    compare,
    fits,
    from_dotenv,
    from_manifests,
    from_names,
    is_placeholder,
)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("int", ["0", "-5", "+12"], ["", "1.5", "ten", "1 "]),
        ("float", ["1.5", ".5", "-1e-3", "7"], ["", "1,5", "nan?"]),
        ("bool", ["true", "0", "Off", "YES"], ["maybe", "2"]),
        (
            "url",
            ["https://a.b/c", "postgresql://u:p@h/d", "file:///x"],
            ["a.b", "mailto:x@y", "http://", "http://[x"],
        ),
        ("json", ["{}", "[1]", '"x"'], ["{", "x"]),
        ("path", ["/etc/x"], ["etc/x", ""]),
        ("email", ["a@b.c"], ["a@b", "a b@c.d"]),
        ("str", ["anything"], []),
        (r"sk_live_\w+", ["sk_live_x1"], ["sk_test_x1", "x sk_live_x1"]),
    ],
)
def test_values_fit_their_type(kind: str, good: list[str], bad: list[str]) -> None:
    assert all(fits(value, kind) for value in good)
    assert not any(fits(value, kind) for value in bad)


@pytest.mark.parametrize(
    "value",
    ["changeme", "CHANGE_ME_NOW", "<your-key>", "your-api-key", "${SECRET}", "{{ key }}", "TODO", "xxxx", "***",
     "replace_me", "example", "https://example.com/hook", "postgresql://app:changeme@db/shop", "placeholder", "[API KEY]"],
)  # fmt: skip
def test_placeholders_are_known(value: str) -> None:
    assert is_placeholder(value)


@pytest.mark.parametrize(
    "value",
    ["sk_live_4eC39HqLyjWDarjtT1zdp7dc", "https://shop.example-store.com", "postgresql://app:k3y@db/shop", "true",
     "exchange", "production", "mytopic", "unexpected", "s3://bucket", "", "info"],
)  # fmt: skip
def test_ordinary_values_are_no_placeholders(value: str) -> None:
    assert not is_placeholder(value)


def test_a_dotenv_file_is_read() -> None:
    text = (
        '# comment\n\nPLAIN=value\nexport EXPORTED = spaced \nQUOTED="a # b \\" c" # comment\n'
        'SINGLE=\'x"y\'\nEMPTY=\nCOMMENTED= # nothing\nHASH=a#b\nKEY="-----BEGIN\nabc\n-----END"\nLAST=1\nnonsense\n'
    )
    assert from_dotenv(text).values == {
        "PLAIN": "value",
        "EXPORTED": "spaced",
        "QUOTED": 'a # b \\" c',
        "SINGLE": 'x"y',
        "EMPTY": "",
        "COMMENTED": "",
        "HASH": "a#b",
        "KEY": "-----BEGIN\nabc\n-----END",
        "LAST": "1",
    }


@given(
    st.dictionaries(
        st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True),
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
        min_size=1,
        max_size=5,
    )
)
def test_what_a_shell_would_read_is_read(values: dict[str, str]) -> None:
    simple = {name: value.replace("'", "") for name, value in values.items()}
    text = "\n".join(f"{name}='{value}'" for name, value in simple.items())
    assert from_dotenv(text).values == simple


def test_a_shell_agrees() -> None:
    text = "A=plain\nB='two words'\nC=\"quoted # not a comment\"\nD=x # comment\n"
    script = f'set -a\n{text}\nprintf \'%s|\' "$A" "$B" "$C" "$D"'
    said = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    assert said.split("|")[:-1] == list(from_dotenv(text).values.values())


def test_an_endpoint_may_tell_names_or_states_and_no_values() -> None:
    assert from_names(["A", "B"]).values == {"A": None, "B": None}
    told = from_names({"A": True, "B": "set", "C": "missing", "D": False, "E": None, "F": "Invalid"})
    assert set(told.values) == {"A", "B", "F"}
    assert told.invalid == {"F"}
    for data in ({"A": "postgresql://u:p@h/d"}, {"A": 5}, "A", [1], None):
        with pytest.raises(Unreadable) as caught:
            from_names(data)
        assert "u:p" not in str(caught.value)


_DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  template:
    spec:
      initContainers: [{name: wait, env: [{name: INIT, value: x}]}]
      containers:
        - name: app
          envFrom: [{configMapRef: {name: settings}, prefix: CFG_}, {secretRef: {name: keys}}]
          env:
            - {name: PORT, value: "8080"}
            - {name: LEVEL, valueFrom: {configMapKeyRef: {name: settings, key: level}}}
            - {name: GONE, valueFrom: {configMapKeyRef: {name: settings, key: nothing}}}
            - {name: TOKEN, valueFrom: {secretKeyRef: {name: elsewhere, key: token}}}
            - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
---
kind: ConfigMap
metadata: {name: settings}
data: {level: info, mode: "on"}
---
kind: Secret
metadata: {name: keys}
data: {API_KEY: %s}
stringData: {OTHER: plain}
""" % base64.b64encode(b"k3y").decode()  # noqa: UP031


def test_a_containers_environment_is_put_together() -> None:
    found = from_manifests([_DEPLOYMENT])
    assert found.values == {
        "CFG_level": "info",
        "CFG_mode": "on",
        "API_KEY": "k3y",
        "OTHER": "plain",
        "PORT": "8080",
        "LEVEL": "info",
        "TOKEN": None,
        "POD": None,
    }
    assert not found.unresolved


def test_a_reference_to_what_is_not_there_is_told() -> None:
    found = from_manifests([_DEPLOYMENT.split("---\nkind: Secret", maxsplit=1)[0]])
    assert found.unresolved == ["Secret keys"]


def test_several_containers_need_a_name() -> None:
    """False green: set in the worker, missing in the application."""
    second = _DEPLOYMENT.split("---", maxsplit=1)[0].replace("{name: shop}", "{name: worker}")
    with pytest.raises(Unreadable, match="shop/app, worker/app"):
        from_manifests([_DEPLOYMENT, second])
    assert "PORT" in from_manifests([_DEPLOYMENT, second], workload="worker").values
    with pytest.raises(Unreadable, match="none"):
        from_manifests([_DEPLOYMENT], container="other")
    with pytest.raises(Unreadable, match="no YAML"):
        from_manifests(["a: [b"])


def test_other_workloads_and_lists_are_read() -> None:
    job = """
kind: List
items:
  - kind: CronJob
    metadata: {name: nightly}
    spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: job, env: [{name: A, value: 1}]}]}}}}}
"""
    assert from_manifests([job]).values == {"A": "1"}
    pod = "kind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, env: [{name: B}]}]}\n"
    assert from_manifests([pod]).values == {"B": None}
    assert from_manifests(["kind: ConfigMap\nmetadata: {name: c}\ndata: {C: x}\n"]).values == {"C": "x"}


def test_a_comparison_names_names_only() -> None:
    environment = Environment(
        values={"A": "1", "B": "", "C": "x", "D": "changeme", "E": None, "EXTRA": "s3cret", "PATH": "/bin"}
    )
    names = {"A": "int", "B": "str", "C": "int", "D": "", "E": "url", "F": ""}
    found = compare(environment, names, ignore=["PA*"])
    assert found.missing == ["B", "F"]
    assert found.unparsable == ["C"]
    assert found.placeholder == ["D"]
    assert found.unchecked == ["E"]
    assert found.unlisted == ["EXTRA"]
    assert "s3cret" not in repr(found)
