"""backup and restore: what of a file is created again, and how (DESIGN section 3)."""

from __future__ import annotations

from typing import Any

import pytest

from clientorg.api.meta import ANNOTATION_CONFIRM_DELETION, ANNOTATION_RESTORE, ANNOTATION_RESTORED_DECISION
from clientorg.cli.backupfile import backed_up, restored
from clientorg.cli.backupflow import AT_ONCE, _batches
from clientorg.domain.identity import org_id, restored_org_id
from clientorg.errors import InputError
from tests.unit.cli_builders import client, granted, pool

Json = dict[str, Any]

ORG_ID = "7k2m9q4xta"
STATUS = granted(visitors=500) | {"orgID": ORG_ID, "deactivation": {"since": "2026-11-01T00:00:00Z"}, "pending": {}}


def transaction(name: str, created: str, kind: str = "TopUp", **status: Any) -> Json:
    """A movement of points."""
    metadata = {"name": name, "namespace": "agency", "creationTimestamp": created, "uid": f"uid-{name}"}
    spec = {"kind": kind, "from": "pool/tokyo", "to": "org/acme", "amount": 5}
    document = {"apiVersion": "clientorg.dev/v1alpha1", "kind": "PointTransaction", "metadata": metadata, "spec": spec}
    return document | ({"status": status} if status else {})


def listed(*items: Json) -> Json:
    """As `kubectl get -o yaml` writes several."""
    return {"apiVersion": "v1", "kind": "List", "items": list(items)}


def test_client_is_made_anew_with_what_it_remembers() -> None:
    annotations = {ANNOTATION_CONFIRM_DELETION: "acme", "team": "blue"}
    before = client(status=STATUS, metadata={"annotations": annotations, "finalizers": ["clientorg.dev/workspace"]})

    (one,) = restored([before])

    assert one.manifest["metadata"] == {
        "name": "acme",
        "namespace": "agency",
        "annotations": {"team": "blue", ANNOTATION_RESTORE: ORG_ID},
    }
    assert one.manifest["spec"] == before["spec"]
    assert one.status is not None
    assert one.status["deactivation"] == STATUS["deactivation"]
    assert one.status["licenses"] == STATUS["licenses"]
    assert not one.status.keys() & {"conditions", "observedGeneration", "state", "pending"}


@pytest.mark.parametrize(
    ("item", "org"),
    [
        (client(status=STATUS), ORG_ID),
        # Velero keeps the label that the operator sets, and no status.
        (client(status={}, metadata={"labels": {"clientorg.dev/org-id": ORG_ID}}), ORG_ID),
        # Restored before, and lost again before an operator had seen it.
        (client(metadata={"annotations": {ANNOTATION_RESTORE: ORG_ID}}), ORG_ID),
        (client(), None),
        (client(metadata={"labels": {"clientorg.dev/org-id": "not one"}}), None),
    ],
)
def test_org_id_is_taken_from_wherever_the_backup_has_it(item: Json, org: str | None) -> None:
    (one,) = restored([item])

    assert one.org_id == org
    assert (one.manifest["metadata"].get("annotations") or {}).get(ANNOTATION_RESTORE) == org


def approval(uid: str, **annotations: str) -> Json:
    """A decision on the client acme."""
    metadata = {"name": "yes", "namespace": "agency", "creationTimestamp": "2026-11-02T09:00:00Z", "uid": "u-yes"}
    spec = {"clientRef": {"name": "acme"}, "clientUID": uid, "decision": "Approve", "approvedBy": "owner"}
    status = {"observedGeneration": 1, "conditions": []}
    document = {"apiVersion": "clientorg.dev/v1alpha1", "kind": "OrgApproval", "metadata": metadata, "spec": spec}
    return document | {"metadata": metadata | {"annotations": annotations}, "status": status}


def test_decision_is_restored_as_a_record_of_when_it_was_made() -> None:
    acme = client(status=STATUS)
    _, one = restored([approval(acme["metadata"]["uid"]), acme])

    assert one.manifest["metadata"]["annotations"] == {ANNOTATION_RESTORED_DECISION: "2026-11-02T09:00:00Z"}
    assert one.manifest["spec"]["approvedBy"] == "owner"
    assert one.decides_on == "acme"
    assert one.status is None


def test_decision_on_a_former_client_of_the_name_is_none_on_this_one() -> None:
    _, one = restored([approval("of-the-former"), client(status=STATUS)])

    assert one.decides_on is None
    assert one.manifest["spec"]["clientUID"] == "of-the-former"


def test_decision_that_is_restored_again_keeps_its_time() -> None:
    (one,) = restored([approval("u", **{ANNOTATION_RESTORED_DECISION: "2025-01-01T00:00:00Z"})])

    assert one.manifest["metadata"]["annotations"] == {ANNOTATION_RESTORED_DECISION: "2025-01-01T00:00:00Z"}


def test_objects_are_created_in_an_order_that_they_can_be_used_in() -> None:
    """Transactions in the order in which they came; what is not ours is left out."""
    late, early = transaction("b", "2026-11-02T00:00:00Z"), transaction("c", "2026-11-01T00:00:00Z", "Charge")
    stranger = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}

    found = restored([listed(late, early, client(), stranger), pool(), None])

    assert [(one.kind, one.name) for one in found] == [
        ("QuotaPool", "tokyo"),
        ("ClientOrg", "acme"),
        ("PointTransaction", "c"),
        ("PointTransaction", "b"),
    ]
    assert [one.is_the_operators for one in found] == [False, False, True, False]


def test_only_transactions_without_status_are_created_one_by_one() -> None:
    posted = [transaction(f"p{n}", "2026-11-01T00:00:00Z", phase="Posted") for n in range(AT_ONCE + 2)]
    open_ = [transaction(f"q{n}", "2026-11-02T00:00:00Z") for n in range(3)]

    sizes = [len(batch) for _, batch in _batches(restored([listed(*posted, *open_)]))]

    assert sizes == [AT_ONCE, 2, 1, 1, 1]


@pytest.mark.parametrize(
    ("documents", "words"),
    [
        ([], "no object"),
        ([listed()], "no object"),
        (["text"], "not a list of Kubernetes objects"),
        ([client() | {"apiVersion": "clientorg.dev/v9"}], "apiVersion is clientorg.dev/v9"),
        ([client() | {"metadata": {"name": "acme"}}], "lacks name, namespace or spec"),
    ],
)
def test_what_is_no_backup_is_said_to_be_none(documents: list[object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        restored(documents)


def test_backup_is_the_object_without_who_wrote_which_field() -> None:
    item = client(metadata={"managedFields": [{"manager": "x"}]})

    kept = backed_up(item)

    assert "managedFields" not in kept["metadata"]
    assert restored([kept]) == restored([item])


def test_org_id_that_could_not_be_one_is_not_taken_over() -> None:
    assert restored_org_id(org_id("some-uid")) == org_id("some-uid")
    assert restored_org_id("UPPERCASE1") is None
    assert restored_org_id("short") is None
    assert restored_org_id(None) is None
