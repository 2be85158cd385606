"""The chart renders to objects that Kubernetes knows, and refuses values that would not run."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import helm_python as helm
import kubernetes_validate
import pytest
import yaml

CHART = Path(__file__).parents[2] / "deploy" / "helm" / "modelux"
VALUES: Mapping[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
KUBERNETES = "1.34"


def changed(path: str, value: object) -> dict[str, Any]:
    """The default values with one of them replaced; `path` is dotted."""
    values = copy.deepcopy(dict(VALUES))
    place: Any = values
    *parents, last = path.split(".")
    for each in parents:
        place = place.setdefault(each, {})
    place[last] = value
    return values


def render(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    with helm.Chart.load(str(CHART)) as chart:
        rendered = chart.render(dict(values), name="demo", namespace="prod")
    return [document for text in rendered.values() for document in yaml.safe_load_all(text) if document]


def containers(documents: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for document in documents:
        if document["kind"] in ("Deployment", "StatefulSet"):
            for container in document["spec"]["template"]["spec"]["containers"]:
                yield container["name"], container


def test_the_chart_lints() -> None:
    assert [m for m in helm.lint(str(CHART))["messages"] if m["severity"] > 1] == []


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(VALUES, id="defaults"),
        pytest.param(changed("bus.url", "postgresql"), id="the database as the bus"),
        pytest.param(
            changed(
                "components.proxy.ingress",
                {"enabled": True, "host": "llm.example.com", "tlsSecret": "llm-tls", "paths": ["/v1"]},
            ),
            id="with an ingress",
        ),
    ],
)
def test_every_object_is_valid(values: Mapping[str, Any]) -> None:
    documents = render(values)
    for document in documents:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
    assert {name for name, _ in containers(documents)} == {name.replace("_", "-") for name in VALUES["components"]}


def test_each_container_runs_its_service_locked_down() -> None:
    for name, container in containers(render(VALUES)):
        assert container["args"] == ["run", name.replace("-", "_")]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert "limits" in container["resources"]


def test_secrets_are_named_never_written() -> None:
    for _, container in containers(render(VALUES)):
        for variable in container["env"]:
            if variable["name"].endswith(("DATABASE_URL", "CLICKHOUSE_URL", "ENCRYPTION_KEY")):
                assert "value" not in variable
                assert "secretKeyRef" in variable["valueFrom"]


def test_a_component_takes_variables_from_secrets() -> None:
    named = {"MODELUX_EMBEDDING_API_KEY": {"existingSecret": "modelux-embedding", "key": "api-key"}}
    container = dict(containers(render(changed("components.embedding.secretEnv", named))))["embedding"]
    (variable,) = (each for each in container["env"] if each["name"] in named)
    assert variable["valueFrom"] == {"secretKeyRef": {"name": "modelux-embedding", "key": "api-key"}}


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        pytest.param("components.proxy.replicas", "2", "replicas", id="replicas as text"),
        pytest.param("components.proxy.replicas", -1, "replicas", id="replicas below zero"),
        pytest.param("components.proxy.replicsa", 2, "replicsa", id="unknown key"),
        pytest.param("database.existingSecret", "", "existingSecret", id="no secret named"),
        pytest.param("components.proxy.terminationGracePeriodSeconds", 60, "drainSeconds", id="grace below drain"),
        pytest.param("components.ingest.resources.limits.memory", "lots", "memory", id="bad memory unit"),
        pytest.param("image.tag", "latest", "tag", id="tag latest"),
        pytest.param("image.tag", "", "tag", id="empty tag"),
        pytest.param(
            "components.proxy.ingress", {"enabled": True, "host": "x.io", "paths": ["/v1"]}, "TLS", id="no TLS"
        ),
        pytest.param("bus.url", "kafka://", "bus", id="no brokers"),
    ],
)
def test_values_that_would_not_run_are_refused_by_name(path: str, value: object, named: str) -> None:
    with pytest.raises(Exception, match=named):
        render(changed(path, value))
