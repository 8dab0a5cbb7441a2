"""The chart, rendered by Helm: the same objects as manifests/, and every value does what its description says."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from charts import generate, values
from clientorg.control.runtime import connect
from clientorg.control.settings import Settings
from clientorg.errors import ConfigurationError
from tests.controlplane.modules import find
from tests.controlplane.toolchain import find_kubectl
from tests.support.helm import CHART, RELEASE, Helm, HelmError
from tests.support.install import NAMESPACE, ROOT

Json = dict[str, Any]
Key = tuple[str, str, str, str]

EVERYTHING: Json = {
    "namespace.create": True,
    "monitoring.serviceMonitor.create": True,
    "monitoring.prometheusRule.create": True,
    "monitoring.dashboards.create": True,
}
MINIMAL: Json = {
    "namespace.create": True,
    "replicas": 1,
    "podDisruptionBudget.create": False,
    "resources.requests.memory": "96Mi",
}
FLAVORS = {"manifests": {"namespace.create": True}, "overlays/production": EVERYTHING, "overlays/minimal": MINIMAL}
LEASE_TIMES = {"leaseRetrySeconds": 2, "renewDeadlineSeconds": 10, "leaseSeconds": 15}
DIGEST = "sha256:" + 64 * "a"


@pytest.fixture(scope="module")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Helm without a cluster."""
    return Helm.of(tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="module")
def render(helm: Helm) -> Callable[..., dict[Key, Json]]:
    """Renders the chart; returns its objects by kind and name, without the hook of `helm test`."""

    def render(values: Json | None = None, **options: Any) -> dict[Key, Json]:
        return by_key(document for document in helm.render(values, **options) if not is_hook(document))

    return render


def is_hook(document: Json) -> bool:
    """Whether Helm makes the object only for a moment."""
    return "helm.sh/hook" in document["metadata"].get("annotations", {})


def by_key(documents: Any) -> dict[Key, Json]:
    """Objects by what identifies them."""
    found: dict[Key, Json] = {}
    for document in documents:
        metadata = document["metadata"]
        key = (document["apiVersion"], document["kind"], metadata.get("namespace", ""), metadata["name"])
        assert key not in found, f"{key} is there twice"
        found[key] = document
    return found


def kustomized(folder: str) -> dict[Key, Json]:
    """The objects of a kustomization, as kubectl builds it."""
    kubectl = find_kubectl(find("kubernetes").version)
    done = subprocess.run(
        [kubectl, "kustomize", ROOT / folder], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return by_key(yaml.safe_load_all(done.stdout))


def comparable(document: Json) -> Json:
    """The object without its labels, and without what only Helm reads."""
    metadata = {key: value for key, value in document["metadata"].items() if key != "labels"}
    annotations = {k: v for k, v in metadata.pop("annotations", {}).items() if not k.startswith("helm.sh/")}
    return {**document, "metadata": metadata | ({"annotations": annotations} if annotations else {})}


def one(objects: dict[Key, Json], kind: str, name: str = "clientorg-operator") -> Json:
    """The one object of that kind and name."""
    (found,) = (document for key, document in objects.items() if (key[1], key[3]) == (kind, name))
    return found


def container(objects: dict[Key, Json]) -> Json:
    """The operator's container."""
    (found,) = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    return dict(found)


def settings_of(container: Json) -> dict[str, str]:
    """The operator's settings in the environment of its container."""
    return {
        item["name"].removeprefix("CLIENTORG_").lower(): item["value"]
        for item in container["env"]
        if item["name"].startswith("CLIENTORG_") and "value" in item
    }


# -- the same as manifests/ -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", FLAVORS)
def test_chart_and_kustomization_make_the_same_objects(folder: str, render: Callable[..., dict[Key, Json]]) -> None:
    ours, theirs = render(FLAVORS[folder]), kustomized(folder)

    assert set(ours) == set(theirs)
    for key, document in ours.items():
        assert comparable(document) == comparable(theirs[key]), key


def test_every_object_is_labeled_and_knows_its_release(render: Callable[..., dict[Key, Json]]) -> None:
    for key, document in render(EVERYTHING | {"commonLabels": {"team": "platform"}}).items():
        labels = document["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == RELEASE, key
        assert labels["team"] == "platform", key


def test_image_and_version_are_the_ones_of_the_project(render: Callable[..., dict[Key, Json]]) -> None:
    from clientorg import __version__

    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == __version__
    assert container(render())["image"] == f"ghcr.io/clientorg/clientorg-operator:{__version__}"
    assert f"clientorg-operator:{__version__}" in chart["annotations"]["artifacthub.io/images"]


# -- made from other files ------------------------------------------------------------------------------------------


def test_made_files_are_current() -> None:
    assert generate.main(["--check"]) == 0, "run `make crds` and commit"


def test_every_value_is_described() -> None:
    """A value without a description is in no README; groups are described by their members."""
    described = {value.path for value in values.documented()}

    def leaves(tree: Json, path: str = "") -> set[str]:
        found = set()
        for name, value in tree.items():
            here = f"{path}{name}"
            inner = isinstance(value, dict) and value and here not in described
            found |= leaves(value, f"{here}.") if inner else {here}
        return found

    assert leaves(values.defaults()) == described


# -- lint and schema ------------------------------------------------------------------------------------------------


def test_lint_is_clean(helm: Helm) -> None:
    said = helm.run("lint", "--strict", CHART)
    assert "0 chart(s) failed" in said
    assert not {"[WARNING]", "[ERROR]"} & set(said.split()), said


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"replica": 3}, "replica"),
        ({"replicas": "two"}, "replicas"),
        ({"image.digest": "sha256:short"}, "digest"),
        ({"image.pullPolicy": "Sometimes"}, "pullPolicy"),
        ({"settings.logLevl": "DEBUG"}, "logLevl"),
        ({"settings.logLevel": "LOUD"}, "logLevel"),
        ({"settings.concurrency": 0}, "concurrency"),
        ({"settings.identity": "me"}, "identity"),
        ({"settings.leaderElection": False}, "leaderElection"),
        ({"settings.leaseName": "mine"}, "leaseName"),
        ({"settings.devClock": "/tmp/now"}, "devClock"),
        ({"crds.keep": "yes"}, "keep"),
        ({"networkPolicy.enabled": True}, "enabled"),
        ({"extraEnv": ["A=1"]}, "extraEnv"),
        ({"podLabels.tier": 1}, "podLabels"),
    ],
    ids=lambda case: case if isinstance(case, str) else "",
)
def test_wrong_value_is_refused_with_its_name(wrong: Json, named: str, helm: Helm) -> None:
    with pytest.raises(HelmError) as refused:
        helm.render(wrong)
    assert named in str(refused.value)
    assert "schema" in str(refused.value)


def test_schema_knows_every_setting_that_is_not_the_charts_own() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    known = set(schema["properties"]["settings"]["properties"])
    assert {snake(name) for name in known} == set(Settings.model_fields) - values.CHARTS_OWN


def snake(name: str) -> str:
    """A setting's name in Python, from its name in the chart."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)


def bounds(schema: Json) -> list[Any]:
    """The outermost values that a setting may have."""
    if "enum" in schema:
        return list(schema["enum"])
    if schema["type"] == "boolean":
        return [True, False]
    if schema["type"] == "string":
        return ["http://collector:4318/v1/traces"]
    least = schema["minimum"] if "minimum" in schema else schema["exclusiveMinimum"] + 0.001
    return [least, schema.get("maximum", 1_000_000)]


def test_no_setting_keeps_the_pod_from_starting(
    render: Callable[..., dict[Key, Json]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Helm lets through, the operator takes in a pod; here it then misses the pod's token only."""
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    schema = json.loads((CHART / "values.schema.json").read_text())
    offered = {name: bounds(about) for name, about in schema["properties"]["settings"]["properties"].items()}
    offered |= {name: [default] for name, default in LEASE_TIMES.items()}  # which must fit together: the next test
    for turn in range(max(map(len, offered.values()))):
        given = {name: found[turn % len(found)] for name, found in offered.items()}
        settings = Settings.model_validate(settings_of(container(render({"settings": given}))))
        with pytest.raises(ConfigurationError, match="credentials"):
            asyncio.run(connect(settings))


@pytest.mark.parametrize(
    "times",
    [{"leaseRetrySeconds": 10}, {"leaseRetrySeconds": 9.5}, {"leaseSeconds": 10}, {"leaseSeconds": 10.5}]
    + [{"renewDeadlineSeconds": seconds} for seconds in (2, 2.5, 14.5, 15)]
    + [{"leaseSeconds": 60, "renewDeadlineSeconds": 40, "leaseRetrySeconds": 5}],
    ids=str,
)
def test_helm_and_operator_agree_on_the_times_of_the_election(
    times: Json, render: Callable[..., dict[Key, Json]]
) -> None:
    """So the defaults in the template are those of the operator."""
    try:
        Settings.model_validate({snake(name): value for name, value in times.items()})
    except ValidationError:
        with pytest.raises(HelmError, match="must be below"):
            render({"settings": times})
    else:
        render({"settings": times})


# -- values ---------------------------------------------------------------------------------------------------------


def test_settings_become_the_operators_environment(render: Callable[..., dict[Key, Json]]) -> None:
    given = {"logLevel": "DEBUG", "auditSeconds": 1000000, "poolIntervalSeconds": 0.25, "clientMetrics": True}
    settings = settings_of(container(render({"settings": given})))

    read = Settings.model_validate(settings)
    assert (read.log_level, read.audit_seconds, read.pool_interval_seconds) == ("DEBUG", 1e6, 0.25)
    assert read.client_metrics is True
    assert settings["audit_seconds"] == "1000000"


def test_digest_pins_the_image(render: Callable[..., dict[Key, Json]]) -> None:
    assert container(render({"image.digest": DIGEST}))["image"] == f"ghcr.io/clientorg/clientorg-operator@{DIGEST}"
    both = {"image.digest": DIGEST, "image.tag": "1.2.3"}
    assert container(render(both))["image"].endswith(f":1.2.3@{DIGEST}")


def test_another_namespace_and_account_reach_roles_and_policies(render: Callable[..., dict[Key, Json]]) -> None:
    objects = render({"serviceAccount.name": "other", "rbac.create": True}, namespace="elsewhere")
    text = json.dumps(list(objects.values()))

    assert "clientorg-system" not in text
    assert "system:serviceaccount:elsewhere:other" in text
    assert one(objects, "ServiceAccount", "other")["metadata"]["namespace"] == "elsewhere"
    (subject,) = one(objects, "ClusterRoleBinding")["subjects"]
    assert subject == {"kind": "ServiceAccount", "name": "other", "namespace": "elsewhere"}
    assert one(objects, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"] == "other"


@pytest.mark.parametrize(
    ("switch", "kinds"),
    [
        ("crds.install", {"CustomResourceDefinition"}),
        ("policies.create", {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}),
        ("podDisruptionBudget.create", {"PodDisruptionBudget"}),
        ("networkPolicy.create", {"NetworkPolicy"}),
        ("serviceAccount.create", {"ServiceAccount"}),
    ],
)
def test_switch_turns_its_objects_off_and_nothing_else(
    switch: str, kinds: set[str], render: Callable[..., dict[Key, Json]]
) -> None:
    every, fewer = render(), render({switch: False})
    assert {key[1] for key in set(every) - set(fewer)} == kinds
    assert not {key[1] for key in fewer} & kinds


def test_roles_for_people_and_the_operators_own_are_switched_apart(render: Callable[..., dict[Key, Json]]) -> None:
    def roles(values: Json) -> set[str]:
        return {key[3] for key in render(values) if key[1] == "ClusterRole"}

    def written_in(*files: str) -> set[str]:
        documents = (each for file in files for each in yaml.safe_load_all((ROOT / "manifests" / file).read_text()))
        return {each["metadata"]["name"] for each in documents if each["kind"] == "ClusterRole"}

    assert roles({"roles.create": False}) == written_in("rbac-operator.yaml", "rbac-workspace.yaml")
    assert {"clientorg-agency-owner", "clientorg-approver"} <= roles({"rbac.create": False})
    assert "clientorg-operator" not in roles({"rbac.create": False})


def test_crds_are_kept_unless_somebody_says_otherwise(render: Callable[..., dict[Key, Json]]) -> None:
    def kept(objects: dict[Key, Json]) -> set[str | None]:
        crds = [document for key, document in objects.items() if key[1] == "CustomResourceDefinition"]
        return {crd["metadata"].get("annotations", {}).get("helm.sh/resource-policy") for crd in crds}

    assert kept(render()) == {"keep"}
    assert kept(render({"crds.keep": False})) == {None}


def test_extras_reach_the_pod(render: Callable[..., dict[Key, Json]]) -> None:
    objects = render(
        {
            "extraEnv": [{"name": "OTEL_EXPORTER_OTLP_HEADERS", "value": "a=b"}],
            "extraEnvFrom": [{"secretRef": {"name": "proxy"}}],
            "extraArgs": ["--log-format=plain"],
            "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
            "extraVolumeMounts": [{"name": "ca", "mountPath": "/ca"}],
            "podLabels": {"tier": "control", "app.kubernetes.io/name": "stolen"},
            "podAnnotations": {"note": "x"},
            "nodeSelector": {"pool": "system"},
            "tolerations": [{"key": "system", "operator": "Exists"}],
            "affinity": {"nodeAffinity": {}},
            "priorityClassName": "system-cluster-critical",
            "imagePullSecrets": [{"name": "registry"}],
            "image.pullPolicy": "Always",
            "terminationGracePeriodSeconds": 90,
        }
    )
    template, it = one(objects, "Deployment")["spec"]["template"], container(objects)
    pod = template["spec"]

    assert {"name": "OTEL_EXPORTER_OTLP_HEADERS", "value": "a=b"} in it["env"]
    assert it["envFrom"] == [{"secretRef": {"name": "proxy"}}]
    assert (it["args"], it["imagePullPolicy"]) == (["--log-format=plain"], "Always")
    assert [mount["name"] for mount in it["volumeMounts"]] == [volume["name"] for volume in pod["volumes"]]
    assert template["metadata"]["labels"] == {"app.kubernetes.io/name": "clientorg-operator", "tier": "control"}
    assert template["metadata"]["annotations"] == {"note": "x"}
    assert (pod["nodeSelector"], pod["affinity"]) == ({"pool": "system"}, {"nodeAffinity": {}})
    assert pod["tolerations"] == [{"key": "system", "operator": "Exists"}]
    assert pod["priorityClassName"] == "system-cluster-critical"
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert pod["terminationGracePeriodSeconds"] == 90


def test_spread_may_be_replaced_and_finds_its_pods(render: Callable[..., dict[Key, Json]]) -> None:
    own = [{"maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}]
    pod = one(render({"topologySpreadConstraints": own}), "Deployment")["spec"]["template"]["spec"]
    labels = {"matchLabels": {"app.kubernetes.io/name": "clientorg-operator"}}
    assert pod["topologySpreadConstraints"] == [{**own[0], "labelSelector": labels}]


def test_monitoring_takes_the_labels_that_a_prometheus_selects_by(render: Callable[..., dict[Key, Json]]) -> None:
    labels = {"release": "kube-prometheus-stack"}
    objects = render(
        EVERYTHING
        | {"monitoring.serviceMonitor.labels": labels, "monitoring.prometheusRule.labels": labels}
        | {"monitoring.serviceMonitor.interval": "10s"}
    )
    for kind in ("ServiceMonitor", "PrometheusRule"):
        assert labels.items() <= one(objects, kind)["metadata"]["labels"].items()
    (endpoint,) = one(objects, "ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["interval"] == "10s"
    selected = one(objects, "ServiceMonitor")["spec"]["selector"]["matchLabels"].items()
    assert selected <= one(objects, "Service", "clientorg-operator-metrics")["metadata"]["labels"].items()


def test_metrics_may_be_kept_for_one_scraper(render: Callable[..., dict[Key, Json]]) -> None:
    peers = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    rules = one(render({"networkPolicy.metricsFrom": peers}), "NetworkPolicy")["spec"]["ingress"]
    assert [([port["port"] for port in rule["ports"]], rule.get("from")) for rule in rules] == [
        (["health"], None),
        (["metrics"], peers),
    ]


def test_each_dashboard_is_a_config_map_of_its_own(helm: Helm, tmp_path: Path) -> None:
    """With one more than those there are: braces in it, as Grafana writes them, are no template."""
    import shutil

    copy = tmp_path / "chart"
    shutil.copytree(CHART, copy)
    (copy / "dashboards" / "probe.json").write_text('{"legendFormat": "{{namespace}}"}\n')
    objects = by_key(helm.render({"monitoring.dashboards.create": True}, chart=copy))
    names = {path.stem for path in (copy / "dashboards").glob("*.json")}

    assert {key[3] for key in objects if key[1] == "ConfigMap"} == {f"clientorg-dashboard-{name}" for name in names}
    probe = one(objects, "ConfigMap", "clientorg-dashboard-probe")
    assert json.loads(probe["data"]["probe.json"]) == {"legendFormat": "{{namespace}}"}
    assert probe["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_helm_test_asks_the_metrics_service(helm: Helm) -> None:
    (pod,) = (document for document in helm.render() if is_hook(document))
    (it,) = pod["spec"]["containers"]
    assert it["command"] == ["python", "-m", "handlers.health"]
    assert it["args"][0] == f"http://clientorg-operator-metrics.{NAMESPACE}:8081/metrics"
    assert pod["metadata"]["labels"]["app.kubernetes.io/name"] != "clientorg-operator"  # or the Service selected it
    assert not any(is_hook(document) for document in helm.render({"tests.create": False}))
