"""Templates of the chart that are made from manifests/ and crds/, so that both say the same.

Text is kept as it is, comments too; what changes is: Helm's braces are escaped, the operator's namespace and account
become the release's, labels and conditions are put in.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import yaml

ROOT: Final = Path(__file__).resolve().parents[1]
MANIFESTS: Final = ROOT / "manifests"
CHART: Final = ROOT / "charts" / "clientorg-operator"
HEAD: Final = "{{{{- /* Made from {source} by `make crds`. Do not edit. */ -}}}}\n"

_LABELS: Final = '{{- include "clientorg-operator.labels" . | nindent 4 }}'
_OWN_ANNOTATIONS: Final = '  {{- include "clientorg-operator.annotations" (list . dict) | nindent 2 }}\n'
_KEEP: Final = """\
  {{- if .Values.crds.keep }}
  annotations:
    helm.sh/resource-policy: keep
  {{- end }}
"""
_USERNAME: Final = "system:serviceaccount:clientorg-system:clientorg-operator"
_METADATA: Final = re.compile(r"^metadata:\n((?:  .*\n)+)", re.MULTILINE)
_BRACES: Final = re.compile(r"\{\{|\}\}")
_HANDMADE: Final = {"namespace.yaml", "serviceaccount.yaml", "deployment.yaml", "networkpolicy.yaml"}
_NEEDED: Final = {"rbac-operator.yaml", "rbac-workspace.yaml"}
"""Rights of the operator, and those that it binds in workspaces; the other files are roles for people and programs."""


def escaped(text: str) -> str:
    """The text with Helm's braces as literals: alerts have templates of their own, and CEL has maps of maps."""
    return _BRACES.sub(lambda braces: '{{ "' + braces[0] + '" }}', text)


def with_labels(document: str, labels: str, annotations: str) -> str:
    """The document with the chart's labels in place of its own, and annotations."""

    def replace(block: re.Match[str]) -> str:
        metadata = yaml.safe_load(block[1])
        assert set(metadata) <= {"name", "namespace", "labels"}, metadata
        lines = [f"  {key}: {metadata[key]}\n" for key in ("name", "namespace") if key in metadata]
        return "metadata:\n" + "".join(lines) + f"  labels:\n    {labels}\n" + annotations

    text, count = _METADATA.subn(replace, document, count=1)
    assert count == 1, document[:200]
    return text


def for_release(text: str) -> str:
    """The operator's namespace and account become the release's."""
    text = text.replace(_USERNAME, '{{ include "clientorg-operator.username" . }}')
    text = text.replace(
        "  - kind: ServiceAccount\n    name: clientorg-operator\n",
        "  - kind: ServiceAccount\n    name: {{ .Values.serviceAccount.name }}\n",
    )
    return re.sub(r"\bnamespace: clientorg-system\b", "namespace: {{ .Release.Namespace }}", text)


def template_of(source: Path, condition: str, labels: str = _LABELS, annotations: str = _OWN_ANNOTATIONS) -> str:
    """The template made from a file of manifests."""
    documents = re.split(r"^---\n", source.read_text(encoding="utf-8"), flags=re.MULTILINE)
    made = [for_release(with_labels(escaped(document), labels, annotations)) for document in documents]
    head = HEAD.format(source=source.relative_to(ROOT))
    return f"{head}{{{{- if .Values.{condition} }}}}\n" + "---\n".join(made) + "{{- end }}\n"


def templates() -> dict[Path, str]:
    """Every template that is made: its path and text."""
    folder = CHART / "templates"
    made = {
        folder / "crds" / source.name: template_of(source, "crds.install", annotations=_KEEP)
        for source in sorted((ROOT / "crds").glob("*.yaml"))
    }
    listed = yaml.safe_load((MANIFESTS / "kustomization.yaml").read_text(encoding="utf-8"))["resources"]
    for name in listed:
        source = MANIFESTS / name
        if name in _HANDMADE or source.is_dir():
            continue
        kind = "policies" if name.startswith("policies/") else "rbac" if name in _NEEDED else "roles"
        made[folder / name] = template_of(source, f"{kind}.create")
    rule = MANIFESTS / "components" / "monitoring" / "prometheusrule.yaml"
    own = (
        "{{- toYaml (merge (deepCopy .Values.monitoring.prometheusRule.labels)"
        ' (include "clientorg-operator.labels" . | fromYaml)) | nindent 4 }}'
    )
    made[folder / "prometheusrule.yaml"] = template_of(rule, "monitoring.prometheusRule.create", own)
    return made
