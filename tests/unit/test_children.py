"""What stands in the workspaces, as digests: the same from a watch as from an answer, and never an old one."""

from __future__ import annotations

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientorg.api.meta import (
    ANNOTATION_BLUEPRINT_DIGEST,
    ANNOTATION_OWNER_UID,
    FIELD_MANAGER,
    LABEL_COMPONENT,
    LABEL_MANAGED_BY,
    LABEL_ORG_ID,
)
from clientorg.control.children import Children, Item, NamespaceView, digest_of_item, digest_of_manifest
from clientorg.domain.workspace import NAMESPACE_KEY, PlanTemplate
from tests.unit.strategies import NOW, Json, json_documents, org, plan_spec

ORG = org()
NAMESPACE = ORG.namespace
PORTAL = ("ConfigMap", "portal")
OUR_LABELS = {LABEL_MANAGED_BY: FIELD_MANAGER, LABEL_COMPONENT: "workspace", LABEL_ORG_ID: ORG.org_id}
OUR_FIELDS: Json = {"f:metadata": {"f:labels": {}}, "f:data": {"f:a": {}}}

EVERYTHING = PlanTemplate(
    plan_spec(
        network={"allowIngressFrom": ["ingress"], "allowInternet": True},
        access={"agency": [{"name": "agency"}], "support": [{"name": "support"}]},
    )
).render(org(admins=[{"name": "yuki", "kind": "User", "role": "Full"}, {"name": "all", "kind": "Group", "role": "x"}]))


def served(manifest: Json, version: int = 1, **metadata: object) -> Json:
    """An object as the API server returns it: with what it adds to every one."""
    return {
        **manifest,
        "metadata": {
            **manifest["metadata"],
            "uid": "6b4b9d0e-0000-4000-8000-00000000000f",
            "resourceVersion": str(version),
            "creationTimestamp": NOW,
            "managedFields": [
                {
                    "manager": FIELD_MANAGER,
                    "operation": "Apply",
                    "apiVersion": manifest["apiVersion"],
                    "time": NOW,
                    "fieldsType": "FieldsV1",
                    "fieldsV1": OUR_FIELDS,
                }
            ],
            **metadata,
        },
    }


def item_of(manifest: Json) -> Item:
    """The same, as an informer decodes it."""
    return msgspec.json.decode(orjson.dumps(manifest), type=Item)


def config_map(name: str = "portal", version: int = 1, labels: Json | None = None, **data: str) -> Json:
    """A ConfigMap of the workspace."""
    metadata = {"name": name, "namespace": NAMESPACE, "labels": OUR_LABELS if labels is None else labels}
    return served({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}, version)


def from_blueprint(version: int = 1, digest: str = "d1", fields: Json | None = None, **metadata: object) -> Json:
    """A ConfigMap that we applied from a plan's blueprint."""
    manifest = config_map("welcome", version, {**OUR_LABELS, LABEL_COMPONENT: "blueprint"}, a="b")
    manifest["metadata"]["annotations"] = {ANNOTATION_BLUEPRINT_DIGEST: digest}
    manifest["metadata"]["managedFields"][0]["fieldsV1"] = fields or OUR_FIELDS
    manifest["metadata"] |= metadata
    return manifest


def namespace(version: int = 1, owner: str | None = ORG.uid, deleting: bool = False) -> Json:
    """The namespace of the workspace."""
    metadata: Json = {"name": NAMESPACE, "labels": {LABEL_ORG_ID: ORG.org_id, "kubernetes.io/metadata.name": NAMESPACE}}
    if owner is not None:
        metadata["annotations"] = {ANNOTATION_OWNER_UID: owner}
    if deleting:
        metadata["deletionTimestamp"] = NOW
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata, "status": {"phase": "Active"}}
    return served({**manifest, "spec": {"finalizers": ["kubernetes"]}}, version)


class Watched:
    """Children, and which namespaces were reported as changed since one last asked."""

    def __init__(self) -> None:
        self.changes: list[str] = []
        self.children = Children(self.changes.append)

    def put(self, manifest: Json) -> bool:
        """An object is heard of; whether that was reported."""
        self.children.put(manifest["kind"], item_of(manifest))
        return self.reported()

    def reported(self) -> bool:
        """Whether a change was reported since."""
        found = bool(self.changes)
        assert set(self.changes) <= {NAMESPACE}
        self.changes.clear()
        return found


@pytest.fixture
def watched() -> Watched:
    """Nothing seen yet."""
    return Watched()


# -- digests -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("child", EVERYTHING, ids=lambda child: f"{child.kind}/{child.name}")
def test_digest_is_the_same_rendered_answered_and_watched(child: object) -> None:
    """So that a settled system writes nothing, also after a restart (FEATURES X1)."""
    assert isinstance(child, type(EVERYTHING[0]))
    manifest = served(child.manifest(ORG))
    if child.kind == "Namespace":
        manifest["metadata"]["labels"]["kubernetes.io/metadata.name"] = child.name
        manifest |= {"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
    if child.kind == "ResourceQuota":
        manifest["status"] = {"hard": manifest["spec"]["hard"], "used": {"pods": "3"}}

    assert digest_of_manifest(manifest) == child.digest
    assert digest_of_item(child.kind, item_of(manifest)) == child.digest


@pytest.mark.parametrize("child", EVERYTHING, ids=lambda child: f"{child.kind}/{child.name}")
def test_child_is_in_order_by_what_is_watched_alone(child: object, watched: Watched) -> None:
    assert isinstance(child, type(EVERYTHING[0]))
    watched.put(served(child.manifest(ORG)))

    assert watched.children.is_in_order(NAMESPACE, child.key, child.digest)


@given(
    st.sampled_from(["ResourceQuota", "LimitRange", "NetworkPolicy", "ConfigMap", "RoleBinding"]),
    st.fixed_dictionaries(
        {},
        optional={
            "spec": json_documents,
            "data": json_documents,
            "binaryData": json_documents,
            "immutable": st.booleans(),
            "subjects": st.lists(json_documents, max_size=2),
            "roleRef": json_documents,
        },
    ),
)
def test_digest_of_any_content_is_the_same_answered_and_watched(kind: str, content: Json) -> None:
    manifest = served({"apiVersion": "v1", "kind": kind, "metadata": {"name": "x", "namespace": NAMESPACE}, **content})

    assert digest_of_item(kind, item_of(manifest)) == digest_of_manifest(manifest)


@pytest.mark.parametrize("automount", [True, False, None])
def test_service_account_without_a_word_mounts_its_token(automount: bool | None) -> None:
    manifest = served({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}})
    if automount is not None:
        manifest["automountServiceAccountToken"] = automount
    same_as = {**manifest, "automountServiceAccountToken": automount is not False}

    assert digest_of_item("ServiceAccount", item_of(manifest)) == digest_of_manifest(same_as)


# -- seeing --------------------------------------------------------------------------------------------------------


def test_first_sight_and_every_change_of_content_is_reported(watched: Watched) -> None:
    assert watched.put(config_map(version=1, a="b"))
    assert not watched.put(config_map(version=2, a="b")), "a change outside of the content, for example of status"
    assert watched.put(config_map(version=3, a="c"))
    assert watched.children.keys(NAMESPACE) == {PORTAL}


def test_old_event_changes_nothing(watched: Watched) -> None:
    watched.put(config_map(version=5, a="new"))
    seen = watched.children.digest(NAMESPACE, PORTAL)

    assert not watched.put(config_map(version=4, a="old"))
    assert not watched.put(config_map(version=5, a="new"))
    assert watched.children.digest(NAMESPACE, PORTAL) == seen


def test_own_write_is_known_before_its_event_and_is_not_reported(watched: Watched) -> None:
    answer = config_map(version=7, a="b")
    value = watched.children.record(NAMESPACE, answer)

    assert not watched.put(answer)
    assert not watched.put(config_map(version=6, a="older"))
    assert watched.children.is_in_order(NAMESPACE, PORTAL, value)


def test_label_of_ours_that_was_taken_away_or_forged_is_a_change(watched: Watched) -> None:
    """The informers select by it: without its labels an object would drop out of sight."""
    watched.put(config_map(version=1, a="b"))
    wanted = watched.children.digest(NAMESPACE, PORTAL)
    assert wanted is not None

    assert watched.put(config_map(version=2, labels={**OUR_LABELS, LABEL_COMPONENT: "blueprint"}, a="b"))
    assert not watched.children.is_in_order(NAMESPACE, PORTAL, wanted)
    assert watched.put(config_map(version=3, labels={**OUR_LABELS, LABEL_ORG_ID: "another"}, a="b"))
    assert not watched.children.is_in_order(NAMESPACE, PORTAL, wanted)
    assert watched.put(config_map(version=4, labels={**OUR_LABELS, "team": "blue"}, a="b")), "back in order"
    assert watched.children.is_in_order(NAMESPACE, PORTAL, wanted), "others may add labels"


def test_nothing_that_is_not_there_is_in_order(watched: Watched) -> None:
    assert watched.children.digest(NAMESPACE, PORTAL) is None
    assert not watched.children.is_in_order(NAMESPACE, PORTAL, 0)
    assert watched.children.keys(NAMESPACE) == set()
    assert watched.children.blueprint_keys(NAMESPACE) == frozenset()


def test_content_that_was_accepted_once_is_in_order_everywhere(watched: Watched) -> None:
    """The server adds a default that we do not render: fetched and compared once, not for each client."""
    watched.put(config_map(version=1, a="b"))
    found = watched.children.digest(NAMESPACE, PORTAL)
    assert found is not None
    assert not watched.children.is_in_order(NAMESPACE, PORTAL, 42)
    watched.children.accept(42, found)

    assert watched.children.is_in_order(NAMESPACE, PORTAL, 42)
    watched.put(config_map(version=2, a="drifted"))
    assert not watched.children.is_in_order(NAMESPACE, PORTAL, 42)


# -- going ---------------------------------------------------------------------------------------------------------


def test_deleted_object_is_dropped_and_reported(watched: Watched) -> None:
    sink = watched.children.sink("ConfigMap")
    sink.put(item_of(config_map(version=1, a="b")))
    watched.reported()
    sink.drop(item_of(config_map(version=2, a="b")))

    assert watched.reported()
    assert watched.children.digest(NAMESPACE, PORTAL) is None


def test_late_deletion_does_not_drop_what_was_made_anew(watched: Watched) -> None:
    watched.children.record(NAMESPACE, config_map(version=9, a="b"))
    watched.children.sink("ConfigMap").drop(item_of(config_map(version=8, a="b")))

    assert not watched.reported()
    assert watched.children.keys(NAMESPACE) == {PORTAL}


def test_deletion_of_what_was_never_seen_is_nothing(watched: Watched) -> None:
    watched.children.sink("ConfigMap").drop(item_of(config_map(version=8, a="b")))

    assert not watched.reported()


def test_own_deletion_is_known_before_its_event_and_is_not_reported(watched: Watched) -> None:
    watched.put(config_map(version=1, a="b"))
    watched.children.forget(NAMESPACE, PORTAL)

    assert not watched.reported()
    assert watched.children.keys(NAMESPACE) == set()


def test_complete_list_drops_what_it_does_not_name(watched: Watched) -> None:
    """Also an object that lost the label which the list selects by."""
    sink = watched.children.sink("ConfigMap")
    sink.begin()
    for name in ("a", "b"):
        sink.put(item_of(config_map(name, version=1)))
    sink.sweep(1)
    watched.reported()
    watched.children.record(NAMESPACE, config_map("young", version=30))
    watched.put(namespace(version=2))
    watched.reported()
    sink.begin()
    sink.put(item_of(config_map("b", version=1)))
    sink.sweep(20)

    assert watched.reported()
    assert watched.children.keys(NAMESPACE) == {("ConfigMap", "b"), ("ConfigMap", "young"), NAMESPACE_KEY}


def test_list_that_was_cut_short_drops_nothing_and_the_next_begins_anew(watched: Watched) -> None:
    sink = watched.children.sink("ConfigMap")
    for name in ("a", "b"):
        sink.put(item_of(config_map(name, version=1)))
    sink.sweep(1)
    sink.begin()
    sink.put(item_of(config_map("a", version=1)))
    sink.begin()
    sink.put(item_of(config_map("b", version=1)))
    sink.sweep(5)

    assert watched.children.keys(NAMESPACE) == {("ConfigMap", "b")}


def test_what_is_watched_after_a_list_is_not_taken_for_listed(watched: Watched) -> None:
    sink = watched.children.sink("ConfigMap")
    sink.sweep(1)
    sink.put(item_of(config_map("a", version=2)))
    sink.begin()
    sink.sweep(3)

    assert watched.children.keys(NAMESPACE) == set()


# -- the namespace -------------------------------------------------------------------------------------------------


def test_namespace_is_seen_with_its_owner_and_its_end(watched: Watched) -> None:
    assert watched.put(namespace(version=1))
    assert watched.children.namespace(NAMESPACE) == NamespaceView(
        NAMESPACE, "6b4b9d0e-0000-4000-8000-00000000000f", ORG.uid, deleting=False
    )
    assert watched.put(namespace(version=2, deleting=True))
    view = watched.children.namespace(NAMESPACE)
    assert view is not None
    assert view.deleting
    assert watched.put(namespace(version=3, owner=None))
    view = watched.children.namespace(NAMESPACE)
    assert view is not None
    assert view.owner_uid is None


def test_namespace_is_the_same_answered_and_watched(watched: Watched) -> None:
    watched.children.record(NAMESPACE, namespace(version=1))

    assert not watched.put(namespace(version=1))
    assert watched.children.keys(NAMESPACE) == {NAMESPACE_KEY}


def test_namespace_that_goes_takes_everything_with_it(watched: Watched) -> None:
    watched.put(namespace(version=1))
    watched.put(config_map(version=2, a="b"))
    watched.put(from_blueprint(version=3))
    watched.children.sink("Namespace").drop(item_of(namespace(version=4)))

    assert watched.reported()
    assert watched.children.namespace(NAMESPACE) is None
    assert watched.children.keys(NAMESPACE) == set()
    assert watched.children.blueprint_keys(NAMESPACE) == frozenset()


def test_complete_list_drops_namespaces_too(watched: Watched) -> None:
    sink = watched.children.sink("Namespace")
    sink.put(item_of(namespace(version=1)))
    sink.sweep(1)
    sink.begin()
    sink.sweep(2)

    assert watched.children.namespace(NAMESPACE) is None


# -- blueprints ----------------------------------------------------------------------------------------------------


def test_object_from_a_blueprint_is_told_by_the_fields_that_we_own(watched: Watched) -> None:
    watched.put(from_blueprint(version=1))

    assert watched.children.blueprint_keys(NAMESPACE) == {("ConfigMap", "welcome")}


def test_labels_and_annotations_alone_make_no_blueprint_object(watched: Watched) -> None:
    """A client may write both; what is not from the blueprint must not be deleted as if it were."""
    forged = from_blueprint(version=1, managedFields=[{"manager": "kubectl", "operation": "Update", "fieldsV1": {}}])
    watched.put(forged)
    assert watched.children.blueprint_keys(NAMESPACE) == frozenset()
    watched.children.record(NAMESPACE, {**forged, "metadata": {**forged["metadata"], "resourceVersion": "2"}})
    assert watched.children.blueprint_keys(NAMESPACE) == frozenset()


@pytest.mark.parametrize(
    "entry",
    [
        {"manager": FIELD_MANAGER, "operation": "Update", "fieldsV1": {}},
        {"manager": FIELD_MANAGER, "operation": "Apply", "subresource": "status", "fieldsV1": {}},
        {"manager": "helm", "operation": "Apply", "fieldsV1": {}},
    ],
)
def test_only_an_apply_of_ours_makes_a_blueprint_object(watched: Watched, entry: Json) -> None:
    watched.put(from_blueprint(managedFields=[entry]))

    assert watched.children.blueprint_keys(NAMESPACE) == frozenset()


def test_our_own_objects_are_never_taken_for_blueprint_ones(watched: Watched) -> None:
    """We own their fields as well."""
    watched.put(config_map("portal", version=1, a="b"))

    assert watched.children.blueprint_keys(NAMESPACE) == frozenset()


def test_what_others_add_to_a_blueprint_object_is_no_change(watched: Watched) -> None:
    watched.put(from_blueprint(version=1))
    added = from_blueprint(version=2)
    added["data"]["theirs"] = "x"
    added["status"] = {"replicas": 3}
    added["metadata"]["managedFields"].append({"manager": "hpa", "operation": "Update", "fieldsV1": {"f:spec": {}}})

    assert not watched.put(added)


@pytest.mark.parametrize(
    "changed",
    [
        from_blueprint(version=2, fields={"f:metadata": {"f:labels": {}}}),
        from_blueprint(version=2, digest="d2"),
        from_blueprint(version=2, annotations={}),
        from_blueprint(version=2, labels={**OUR_LABELS, LABEL_COMPONENT: "workspace"}),
        from_blueprint(version=2, labels={LABEL_ORG_ID: ORG.org_id}),
    ],
    ids=["a field was taken over", "another blueprint", "the mark is gone", "a forged label", "labels gone"],
)
def test_field_or_mark_of_ours_that_was_taken_over_is_a_change(watched: Watched, changed: Json) -> None:
    watched.put(from_blueprint(version=1))

    assert watched.put(changed)


def test_blueprint_object_has_one_digest_answered_and_watched(watched: Watched) -> None:
    value = watched.children.record(NAMESPACE, from_blueprint(version=1))
    other = Watched()
    other.put(from_blueprint(version=1))

    assert other.children.digest(NAMESPACE, ("ConfigMap", "welcome")) == value
