"""Writes what of the chart is made from other files: `python -m charts.generate`, part of `make crds`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import yaml

from clientorg.api.crd import KINDS

from . import values
from .templates import CHART, HEAD, ROOT, templates

_MARK = "  # artifacthub.io/crds and crdsExamples are written by `make crds`.\n"
_MADE = HEAD.partition("{source}")[0].replace("{{{{", "{{")


def dashboards() -> str:
    """The kustomization beside the dashboards, which lists them."""
    names = sorted(path.name for path in (CHART / "dashboards").glob("*.json"))
    maps = [
        {
            "name": f"clientorg-dashboard-{name.removesuffix('.json')}",
            "namespace": "clientorg-system",
            "files": [name],
            "options": {"disableNameSuffixHash": True, "labels": {"grafana_dashboard": "1"}},
        }
        for name in names
    ]
    document = {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component", "configMapGenerator": maps}
    head = "# Made from the files beside it by `make crds`. Do not edit.\n"
    return head + yaml.safe_dump(document, sort_keys=False)


def chart_yaml() -> str:
    """Chart.yaml, with what Artifact Hub shows of the CRDs."""
    text = (CHART / "Chart.yaml").read_text(encoding="utf-8").partition(_MARK)[0]
    crds = [
        {
            "kind": kind.name,
            "version": "v1alpha1",
            "name": kind.crd_name,
            "displayName": kind.name,
            "description": (kind.model.__doc__ or "").strip().splitlines()[0],
        }
        for kind in KINDS
    ]
    quickstart = ROOT / "examples" / "quickstart"
    examples = [
        document
        for path in sorted(quickstart.glob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
        if document["kind"] in {kind.name for kind in KINDS}
    ][:3]
    out = text + _MARK
    for key, value in (("crds", crds), ("crdsExamples", examples)):
        body = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=110)
        out += f"  artifacthub.io/{key}: |\n" + "".join(f"    {line}\n" for line in body.splitlines())
    return out


def files() -> dict[Path, str]:
    """Every file that is made: its path and text."""
    return {
        **templates(),
        CHART / "dashboards" / "kustomization.yaml": dashboards(),
        CHART / "Chart.yaml": chart_yaml(),
        CHART / "README.md": values.readme(),
        CHART / "values.schema.json": values.schema(),
    }


def main(arguments: list[str] | None = None) -> int:
    """Write the files, or with --check compare them; exit status 1: one differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file would change")
    check = parser.parse_args(arguments).check
    wanted = files()
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    left = [
        path
        for path in (CHART / "templates").rglob("*.yaml")
        if path not in wanted and path.read_text(encoding="utf-8").startswith(_MADE)
    ]
    for path in stale if not check else ():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[path], encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT)}", file=sys.stderr)
    for path in left if not check else ():
        path.unlink()
        print(f"removed {path.relative_to(ROOT)}", file=sys.stderr)
    if check and (stale or left):
        names = ", ".join(str(path.relative_to(ROOT)) for path in (*stale, *left))
        print(f"differs from its sources: {names}; run `make crds` and commit", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
