"""README.md and values.schema.json of the chart, made from the comments and defaults of values.yaml."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, get_args

import yaml

from clientorg.control.settings import Settings

from .templates import CHART

Json = dict[str, Any]

_DESCRIPTION: Final = re.compile(r"^(?P<indent> *)# -- (?P<text>.*)$")
_KEY: Final = re.compile(r"^(?P<indent> *)(?P<key>\w+):")
CHARTS_OWN: Final = frozenset(
    {
        *("kubeconfig", "context", "identity", "health_address", "metrics_address", "lease_namespace"),
        "lease_name",  # the Role for the Lease names it, so that with another no pod would ever lead
        "leader_election",  # without it a pod refuses to run
        "dev_clock",  # without its file a pod refuses to run; for development
    }
)
"""Settings that the chart or the pod decides."""

_RULES: Final[dict[str, Json]] = {
    "replicas": {"minimum": 0, "maximum": 5},
    "image.repository": {"minLength": 1},
    "image.digest": {"pattern": "^(sha256:[0-9a-f]{64})?$"},
    "image.pullPolicy": {"enum": ["", "Always", "IfNotPresent", "Never"]},
    "serviceAccount.name": {"pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 63},
    "terminationGracePeriodSeconds": {"minimum": 1},
    "podDisruptionBudget.maxUnavailable": {"type": ["integer", "string"]},
    "monitoring.serviceMonitor.interval": {"pattern": "^[0-9]+(ms|s|m|h)$"},
    **{
        name: {"items": {"type": "object"}}
        for name in ("extraEnv", "extraEnvFrom", "extraVolumes", "extraVolumeMounts", "tolerations", "imagePullSecrets")
    },
    "extraArgs": {"items": {"type": "string"}},
    **{
        name: {"additionalProperties": {"type": "string"}}
        for name in ("commonLabels", "commonAnnotations", "podLabels", "podAnnotations", "nodeSelector")
    },
}
_OPEN: Final = {
    *("resources", "podSecurityContext", "securityContext", "startupProbe", "livenessProbe", "readinessProbe"),
    *("affinity", "labels", "annotations"),
}
"""Kubernetes' own objects, which the API server checks."""

README_HEAD: Final = """\
<!-- Made from values.yaml by `make crds`. Do not edit. -->
# clientorg-operator

{description}. The operator, its CRDs, rights, admission policies, alerts and dashboards.

```sh
helm install clientorg charts/clientorg-operator --namespace clientorg-system --create-namespace
helm test clientorg --namespace clientorg-system
```

It renders the same objects as [manifests](../../manifests), apart from labels; tests compare the two. There is one
operator in a cluster, for all agencies: names of its objects are fixed, and a second release is refused by Helm because
the first owns them. It needs Kubernetes {kube} and Helm 3.18 or 4.

- **CRDs** are templates, so that `helm upgrade` upgrades them. With `crds.keep` (the default) they, and so all clients
  with their workspaces and data, outlive `helm uninstall`; a later install under the same release name and namespace
  takes them over.
- **A digest** pins the image: `--set image.digest=sha256:…`.
- **Namespaces of agencies** and what is in them is not the chart's: see the [documentation](../../docs/index.md).
- **Upgrading, rolling back, uninstalling**: [docs/howto/upgrade.md](../../docs/howto/upgrade.md). Client data is
  untouched by all three.

## Values

| Key | Default | What it is |
|---|---|---|
"""


@dataclass(frozen=True)
class Value:
    """A documented value: its path with dots, its default, its description."""

    path: str
    default: Any
    description: str


def defaults() -> Json:
    """values.yaml."""
    loaded: Json = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    return loaded


def documented() -> Iterator[Value]:
    """The documented values, in the order of the file. Raises ValueError for a comment that stands before no key."""
    tree, path, said = defaults(), list[tuple[int, str]](), ""
    for line in (CHART / "values.yaml").read_text(encoding="utf-8").splitlines():
        if description := _DESCRIPTION.match(line):
            said = description["text"]
        elif key := _KEY.match(line):
            indent = len(key["indent"])
            path = [part for part in path if part[0] < indent] + [(indent, key["key"])]
            if said:
                names = [name for _, name in path]
                yield Value(".".join(names), _at(tree, names), said)
                said = ""
        elif said:
            raise ValueError(f"values.yaml: a comment stands before no key: {said!r}")


def _at(tree: Any, names: list[str]) -> Any:
    for name in names:
        tree = tree[name]
    return tree


def readme() -> str:
    """README.md of the chart."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    kube = chart["kubeVersion"].removeprefix(">=").removesuffix(".0-0") + " or newer"
    head = README_HEAD.format(description=chart["description"], kube=kube)
    rows = (
        f"| `{value.path}` | `{json.dumps(value.default, ensure_ascii=False)}` | {value.description} |"
        for value in documented()
    )
    return head + "\n".join(rows) + "\n"


def schema() -> str:
    """values.schema.json: types from the defaults, what else is known from _RULES, and the operator's settings."""
    descriptions = {value.path: value.description for value in documented()}
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Values of the chart clientorg-operator",
        **_object(defaults(), (), descriptions),
    }
    document["properties"]["global"] = {"type": "object", "description": "Of a parent chart; not used"}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _object(tree: Json, path: tuple[str, ...], descriptions: dict[str, str]) -> Json:
    properties = {name: _value(default, (*path, name), descriptions) for name, default in tree.items()}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _value(default: Any, path: tuple[str, ...], descriptions: dict[str, str]) -> Json:
    name = ".".join(path)
    about = {"description": descriptions[name]} if name in descriptions else {}
    if name == "settings":
        return {"type": "object", **about, "additionalProperties": False, "properties": _settings()}
    if isinstance(default, dict):
        is_open = not default or path[-1] in _OPEN
        base = {"type": "object"} if is_open else _object(default, path, descriptions)
    else:
        kinds: dict[type, str] = {bool: "boolean", int: "integer", str: "string", list: "array"}
        base = {"type": kinds[type(default)]}
    return {**base, **about, **_RULES.get(name, {})}


def _settings() -> Json:
    """What the operator's settings may be, from the settings themselves."""
    found = Settings.model_json_schema()["properties"]
    properties = {}
    for name, field in Settings.model_fields.items():
        if name in CHARTS_OWN:
            continue
        own = {key: value for key, value in found[name].items() if key not in ("title", "default")}
        own.pop("anyOf", None)
        if get_args(field.annotation) and "enum" not in own and "type" not in own:
            own["type"] = "string"
        words = name.split("_")
        properties[words[0] + "".join(word.capitalize() for word in words[1:])] = own
    return properties
