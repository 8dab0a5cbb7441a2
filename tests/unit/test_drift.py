"""Is what stands in the cluster what we want there? (FEATURES X1; DESIGN section 3)"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from clientorg.api.meta import ANNOTATION_OWNER, ANNOTATION_OWNER_UID, FIELD_MANAGER, LABEL_MANAGED_BY, LABEL_ORG_ID
from clientorg.domain.drift import content_of, digest, has_foreign_fields, includes, matches, stable_digest
from tests.unit.strategies import Json, json_documents, json_values

DEFAULT_DENY: Json = {"spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}}
EVERYBODY: Json = {"from": [{"namespaceSelector": {}}]}


# -- to the letter -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "same"),
    [
        ({"spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}}, True),
        ({"spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": []}}, True),
        ({"spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [EVERYBODY]}}, False),
        ({"spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "egress": [{}]}}, False),
        ({"spec": {"podSelector": {"matchLabels": {"app": "x"}}, "policyTypes": ["Ingress", "Egress"]}}, False),
        ({"spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}, False),
        ({"spec": {"podSelector": {}, "policyTypes": ["Egress", "Ingress"]}}, False),
        ({"spec": {"podSelector": {}}}, False),
        ({"spec": {"policyTypes": ["Ingress", "Egress"]}}, False),
        ({}, False),
        ({**DEFAULT_DENY, "data": {"a": "b"}}, False),
    ],
    ids=[
        "as wanted",
        "an empty list is no list",
        "a rule that lets everybody in",
        "a rule that lets everything out",
        "a selector that spares pods",
        "one direction less",
        "another order",
        "no policy types",
        "no selector",
        "nothing",
        "a field of another kind",
    ],
)
def test_any_change_of_a_default_deny_policy_is_drift(found: Json, same: bool) -> None:
    assert matches(DEFAULT_DENY, found) is same


@pytest.mark.parametrize("empty", [{}, {"podSelector": {}}, {"from": [{"podSelector": {}}]}])
def test_empty_selector_is_not_an_absent_one(empty: Json) -> None:
    """An empty one selects everything, an absent one nothing."""
    assert not matches({"peer": empty}, {})
    assert not matches({}, {"peer": empty})
    assert not matches({"peer": empty}, {"peer": None})


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"hard": {"cpu": "0.5"}}, {"hard": {"cpu": "500m"}}),
        ({"hard": {"memory": "1024Mi"}}, {"hard": {"memory": "1Gi"}}),
        ({"hard": {"pods": "50"}}, {"hard": {"pods": 50}}),
        ({"port": 53}, {"port": 53}),
        ({"a": None}, {}),
        ({"a": []}, {}),
        ({}, {"a": []}),
    ],
)
def test_another_spelling_of_the_same_is_no_drift(wanted: Json, found: Json) -> None:
    assert matches(wanted, found)
    assert matches(found, wanted)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"hard": {"cpu": "1"}}, {"hard": {"cpu": "2"}}),
        ({"hard": {"cpu": "1"}}, {"hard": {"cpu": "1", "pods": "9"}}),
        ({"hard": {"cpu": "1", "pods": "9"}}, {"hard": {"cpu": "1"}}),
        ({"a": "text"}, {"a": "other"}),
        ({"a": "text"}, {"a": ["text"]}),
        ({"a": {"b": 1}}, {"a": [1]}),
        ({"a": {"b": 1}}, {"a": "b"}),
        ({"a": [1, 2]}, {"a": [1]}),
        ({"a": [1]}, {"a": [1, 2]}),
        ({"a": [1]}, {"a": 1}),
        ({"a": False}, {}),
        ({"a": ""}, {}),
    ],
)
def test_anything_more_or_less_is_drift(wanted: Json, found: Json) -> None:
    assert not matches(wanted, found)
    assert not matches(found, wanted)


@given(json_values)
def test_everything_matches_itself(value: Any) -> None:
    assert matches(value, value)
    assert includes(value, value)


@given(json_values, json_values)
def test_matching_does_not_depend_on_the_side(one: Any, other: Any) -> None:
    assert matches(one, other) == matches(other, one)


@given(json_values, json_values)
def test_what_matches_is_also_included(one: Any, other: Any) -> None:
    if matches(one, other):
        assert includes(one, other)


# -- by inclusion --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "found", "there"),
    [
        ({"replicas": 1}, {"replicas": 1, "revisionHistoryLimit": 10}, True),
        ({"replicas": 1}, {"replicas": 2}, False),
        ({"replicas": 1}, {}, False),
        ({"template": {"spec": {}}}, {"template": {"spec": {"dnsPolicy": "ClusterFirst"}}}, True),
        ({"template": {}}, {}, True),
        ({"template": {"a": 1}}, {}, False),
        ({"ports": [{"port": 80}]}, {"ports": [{"port": 80, "protocol": "TCP"}]}, True),
        ({"ports": [{"port": 80}]}, {"ports": [{"port": 80}, {"port": 81}]}, False),
        ({"ports": [{"port": 80}]}, {"ports": []}, False),
        ({"ports": []}, {}, True),
        ({"cpu": "0.5"}, {"cpu": "500m"}, True),
        ({"a": None}, {"a": 1}, True),
        ({"a": {}}, {"a": 1}, False),
        ({"a": []}, {"a": {}}, False),
    ],
)
def test_blueprint_object_may_have_more_than_the_blueprint_says(wanted: Json, found: Json, there: bool) -> None:
    assert includes(wanted, found) is there


@given(json_documents, json_documents)
def test_document_includes_each_part_of_itself(one: Json, more: Json) -> None:
    assert includes(one, {**more, **one})


# -- what we decide of an object -----------------------------------------------------------------------------------


def test_content_is_all_outside_of_metadata_and_status() -> None:
    manifest = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "x"}, "spec": {"a": 1}, "status": {}}

    assert content_of("ResourceQuota", manifest) == {"spec": {"a": 1}}


def test_of_a_namespace_only_our_labels_and_annotations_count() -> None:
    """The cluster and others add theirs, and may."""
    ours = {LABEL_MANAGED_BY: FIELD_MANAGER, LABEL_ORG_ID: "x", "pod-security.kubernetes.io/enforce": "baseline"}
    owner = {ANNOTATION_OWNER: "a/b", ANNOTATION_OWNER_UID: "u"}
    manifest = {
        "metadata": {
            "labels": {**ours, "kubernetes.io/metadata.name": "x", "team": "blue"},
            "annotations": {**owner, "scheduler.alpha/node-selector": "y"},
        },
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    }

    assert content_of("Namespace", manifest) == {"labels": ours, "annotations": owner}
    assert content_of("Namespace", {"metadata": {}}) == {"labels": {}, "annotations": {}}


@pytest.mark.parametrize(
    ("found", "automount"), [({"automountServiceAccountToken": False}, False), ({}, True), ({"secrets": []}, True)]
)
def test_of_a_service_account_only_its_token_counts(found: Json, automount: bool) -> None:
    assert content_of("ServiceAccount", found) == {"automountServiceAccountToken": automount}


# -- digests -------------------------------------------------------------------------------------------------------


@given(json_documents)
def test_digest_does_not_depend_on_the_order_of_fields(document: Json) -> None:
    reversed_document = dict(reversed(document.items()))

    assert digest(document) == digest(reversed_document)
    assert stable_digest(document) == stable_digest(reversed_document)


@given(json_documents, json_documents)
def test_digest_tells_documents_apart(one: Json, other: Json) -> None:
    if one != other:
        assert digest(one) != digest(other)
        assert stable_digest(one) != stable_digest(other)


def test_digest_of_a_blueprint_object_is_the_same_in_every_process() -> None:
    """It stands in an annotation: another one would have every blueprint object written anew after an upgrade."""
    assert stable_digest({"b": [1, "ü"], "a": None}) == "de24be95d02f0df7"


# -- who owns what -------------------------------------------------------------------------------------------------


def fields_of(manager: str, *fields: str, subresource: str = "", operation: str = "Update") -> Json:
    """An entry of managedFields."""
    entry = {"manager": manager, "operation": operation, "fieldsV1": {f"f:{name}": {} for name in fields}}
    return entry | ({"subresource": subresource} if subresource else {})


@pytest.mark.parametrize(
    ("entries", "foreign"),
    [
        ([], False),
        ([fields_of(FIELD_MANAGER, "spec", "metadata", operation="Apply")], False),
        ([fields_of("kubectl-edit", "spec")], True),
        ([fields_of("kubectl-edit", "data")], True),
        ([fields_of("kubectl-label", "metadata")], False),
        ([fields_of("kube-controller-manager", "status", subresource="status")], False),
        ([fields_of("kube-controller-manager", "status")], False),
        ([fields_of("kubectl-edit", "metadata", "spec")], True),
        ([fields_of("horizontal-pod-autoscaler", "spec", subresource="scale")], False),
        ([{"manager": "old"}], False),
    ],
    ids=[
        "none",
        "ours",
        "spec",
        "data",
        "a label",
        "status",
        "status in the main resource",
        "both",
        "a scale",
        "no fields",
    ],
)
def test_field_of_ours_in_other_hands_is_noticed(entries: list[Json], foreign: bool) -> None:
    assert has_foreign_fields({"metadata": {"managedFields": entries}}, FIELD_MANAGER) is foreign


def test_object_without_managed_fields_has_no_foreign_ones() -> None:
    assert not has_foreign_fields({}, FIELD_MANAGER)
    assert not has_foreign_fields({"metadata": {}}, FIELD_MANAGER)
