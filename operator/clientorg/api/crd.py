"""The CustomResourceDefinitions, generated from the models. `python -m clientorg.api.crd crds/` writes them."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from clientorg.api.base import ApiModel, Json
from clientorg.api.clientorg import ClientOrg
from clientorg.api.meta import CATEGORY, GROUP, VERSION
from clientorg.api.orgapproval import OrgApproval
from clientorg.api.orgplan import OrgPlan
from clientorg.api.pointtransaction import PointTransaction
from clientorg.api.quotapool import QuotaPool
from clientorg.api.schema import structural_schema
from clientorg.api.subscription import Subscription
from clientorg.api.usagereport import UsageReport

MAX_CRD_BYTES = 256 * 1024
"""Below the limit of `kubectl apply`'s last-applied annotation, so that a plain apply works."""

_READY = '.status.conditions[?(@.type=="Ready")]'


@dataclass(frozen=True)
class Column:
    """One column of `kubectl get`; a priority above 0 shows it with `-o wide` only."""

    name: str
    json_path: str
    type: str = "string"
    priority: int = 0
    description: str = ""

    def to_dict(self) -> Json:
        """The column as a CRD spells it."""
        out: Json = {"name": self.name, "type": self.type, "jsonPath": self.json_path}
        if self.description:
            out["description"] = self.description
        if self.priority:
            out["priority"] = self.priority
        return out


@dataclass(frozen=True)
class Kind:
    """A kind and how kubectl knows it."""

    model: type[ApiModel]
    plural: str
    short_names: tuple[str, ...]
    columns: tuple[Column, ...]
    selectable_fields: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The kind's name, for example `ClientOrg`."""
        return self.model.__name__

    @property
    def crd_name(self) -> str:
        """Name of the CustomResourceDefinition."""
        return f"{self.plural}.{GROUP}"


_READY_COLUMN = Column("Ready", f"{_READY}.status")
_REASON_COLUMN = Column("Reason", f"{_READY}.reason", description="Why the object is or is not Ready.")
_MESSAGE_COLUMN = Column("Message", f"{_READY}.message", priority=1)
_AGE_COLUMN = Column("Age", ".metadata.creationTimestamp", "date")

KINDS: tuple[Kind, ...] = (
    Kind(
        ClientOrg,
        "clientorgs",
        ("corg",),
        (
            Column("State", ".status.state"),
            _READY_COLUMN,
            _REASON_COLUMN,
            Column("Plan", ".spec.planRef.name"),
            Column("Used/Granted", ".status.licenseSummary", description="Licenses used and granted."),
            Column("Balance", ".status.points.balance", "integer", description="Points; below zero is owed."),
            Column("Display Name", ".spec.displayName", priority=1),
            Column("Standing", ".status.standing[0]", description="How the client stands.", priority=1),
            Column("Purge After", ".status.deactivation.purgeAfter", "string", priority=1),
            Column("Org ID", ".status.orgID", priority=1),
            Column("Workspace", ".status.workspace.namespace", priority=1),
            _MESSAGE_COLUMN,
            _AGE_COLUMN,
        ),
        (
            ".spec.poolRef.name",
            ".spec.planRef.name",
            ".spec.contact.email",
            ".spec.industry",
            ".status.state",
            ".status.orgID",
            ".status.workspace.namespace",
        ),
    ),
    Kind(
        QuotaPool,
        "quotapools",
        ("qpool",),
        (
            _READY_COLUMN,
            _REASON_COLUMN,
            Column("Clients", ".status.clients", "integer"),
            Column("Pending", ".status.pendingClients", "integer", description="Clients that wait for licenses."),
            Column("Allocated/Total", ".status.licenseSummary"),
            Column("Points", ".status.points.balance", "integer", description="Points that the agency has."),
            _MESSAGE_COLUMN,
            _AGE_COLUMN,
        ),
    ),
    Kind(
        OrgPlan,
        "orgplans",
        ("oplan",),
        (
            _READY_COLUMN,
            _REASON_COLUMN,
            Column("Clients", ".status.clients", "integer"),
            Column("Blueprint", ".status.blueprint.progress", description="Workspaces that have it, of all."),
            _MESSAGE_COLUMN,
            _AGE_COLUMN,
        ),
    ),
    Kind(
        OrgApproval,
        "orgapprovals",
        ("oappr",),
        (
            Column("Client", ".spec.clientRef.name"),
            Column("Decision", ".spec.decision"),
            Column("By", ".spec.approvedBy"),
            _READY_COLUMN,
            _REASON_COLUMN,
            Column("Why", ".spec.reason", priority=1),
            _MESSAGE_COLUMN,
            _AGE_COLUMN,
        ),
        (".spec.clientRef.name", ".spec.clientUID", ".spec.decision"),
    ),
    Kind(
        PointTransaction,
        "pointtransactions",
        ("ptx",),
        (
            Column("Kind", ".spec.kind"),
            Column("From", ".spec.from"),
            Column("To", ".spec.to"),
            Column("Amount", ".spec.amount", "integer"),
            Column("Period", ".spec.period"),
            Column("Phase", ".status.phase"),
            _REASON_COLUMN,
            Column("Entry", ".status.entry", "integer", priority=1),
            Column("Why", ".spec.reason", priority=1),
            _MESSAGE_COLUMN,
            _AGE_COLUMN,
        ),
        (
            ".spec.kind",
            ".spec.from",
            ".spec.to",
            ".spec.period",
            ".status.phase",
            ".status.orgID",
            ".status.pool",
        ),
    ),
    Kind(
        Subscription,
        "subscriptions",
        ("csub",),
        (
            Column("Client", ".spec.clientRef.name"),
            Column("Order", ".spec.order.id"),
            Column("Type", ".spec.type"),
            Column("State", ".status.state"),
            Column("Renews", ".status.renewalDate", description="When the next term begins by itself."),
            Column("Expires", ".status.expiryDate", description="When it ends, where it does not renew by itself."),
            Column("Licenses", ".status.licenseSummary"),
            _READY_COLUMN,
            _REASON_COLUMN,
            Column("Term", ".status.term.number", "integer", priority=1),
            Column("Unpaid Since", ".status.unpaidSince", priority=1),
            _MESSAGE_COLUMN,
            _AGE_COLUMN,
        ),
        (".spec.clientRef.name", ".spec.order.id", ".spec.type", ".status.state"),
    ),
    Kind(
        UsageReport,
        "usagereports",
        ("usage",),
        (
            Column("Client", ".status.client"),
            _READY_COLUMN,
            _REASON_COLUMN,
            Column("Source", ".spec.source"),
            Column("Observed", ".spec.observedTime", "date"),
            Column("Org ID", ".spec.orgID", priority=1),
            _MESSAGE_COLUMN,
            _AGE_COLUMN,
        ),
        (".spec.orgID", ".spec.source"),
    ),
)


def custom_resource_definition(kind: Kind) -> Json:
    """The CustomResourceDefinition of a kind."""
    schema = structural_schema(kind.model)
    schema["properties"] = {
        "apiVersion": {"type": "string", "description": f"Always {GROUP}/{VERSION}."},
        "kind": {"type": "string", "description": f"Always {kind.name}."},
        "metadata": {"type": "object"},
        **schema["properties"],
    }
    singular = kind.name.lower()
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": kind.crd_name, "labels": {"app.kubernetes.io/part-of": "clientorg-operator"}},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": singular,
                "shortNames": list(kind.short_names),
                "categories": [CATEGORY],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [column.to_dict() for column in kind.columns],
                    **(
                        {"selectableFields": [{"jsonPath": path} for path in kind.selectable_fields]}
                        if kind.selectable_fields
                        else {}
                    ),
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


class _Dumper(yaml.SafeDumper):
    """Plain YAML: no anchors, indented lists, so that diffs in review stay small."""

    def ignore_aliases(self, data: object) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def render(kind: Kind) -> str:
    """The CRD file of a kind.

    Raises:
        ValueError: the file is too large for a plain `kubectl apply`.
    """
    header = "# Generated from operator/clientorg/api by `make crds`. Do not edit.\n"
    text = header + yaml.dump(
        custom_resource_definition(kind), Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True
    )
    if len(text.encode()) > MAX_CRD_BYTES:
        raise ValueError(f"{kind.crd_name}: {len(text.encode())} bytes; keep a CRD below {MAX_CRD_BYTES}")
    return text


def main(argv: list[str] | None = None) -> int:
    """Write the CRD files, or with --check compare them. Exit status 1: a file differs."""
    parser = argparse.ArgumentParser(prog="python -m clientorg.api.crd", description=main.__doc__)
    parser.add_argument("folder", type=Path, help="where the files are, for example crds/")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file would change")
    arguments = parser.parse_args(argv)
    stale = []
    for kind in KINDS:
        path = arguments.folder / f"{kind.crd_name}.yaml"
        text = render(kind)
        if path.exists() and path.read_text() == text:
            continue
        stale.append(str(path))
        if not arguments.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            print(f"wrote {path}", file=sys.stderr)
    if arguments.check and stale:
        print(f"differs from the models: {', '.join(stale)}; run `make crds` and commit", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
