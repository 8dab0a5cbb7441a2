"""Brings one workspace to what is wanted, writing only what differs (DESIGN sections 2.11 and 3)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from clientorg.api.conditions import STALLING_REASONS, Reason
from clientorg.api.meta import (
    ANNOTATION_BLUEPRINT_DIGEST,
    ANNOTATION_OWNER,
    ANNOTATION_OWNER_UID,
    FIELD_MANAGER,
    LABEL_ORG_ID,
)
from clientorg.cluster.resources import (
    BLUEPRINT_RESOURCES,
    NAMESPACES,
    WORKSPACE_RESOURCES,
    Resource,
    resource_of,
)
from clientorg.cluster.rest import Api, Json
from clientorg.control.children import ChildKey, Children
from clientorg.domain.access import Grant
from clientorg.domain.drift import content_of, has_foreign_fields, includes, is_applied_by, matches
from clientorg.domain.workspace import CORE_CHILDREN, NAMESPACE_KEY, Child, Org, grant_child, own_labels
from clientorg.errors import (
    AlreadyExistsError,
    ApiError,
    ClientOrgError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
)

logger = logging.getLogger(__name__)


@dataclass
class WorkspaceError(ClientOrgError):
    """A workspace that could not be brought to what is wanted.

    Attributes:
        reason: for the condition WorkspaceReady; whether it stalls follows from it.
        message: what is wrong and what to do.
        retry_after_seconds: what the server asked to wait.
    """

    reason: Reason
    message: str
    retry_after_seconds: float = 0.0

    def __str__(self) -> str:
        return self.message


class Applier:
    """Applies and deletes the objects of workspaces."""

    def __init__(self, api: Api, children: Children) -> None:
        self._api = api
        self._children = children

    async def try_out(self, org: Org, wanted: Sequence[Child]) -> None:
        """Ask the server about objects of a blueprint that are not there as wanted, without writing any of them.

        Raises:
            WorkspaceError: one of them would be refused.
        """
        if self._children.namespace(org.namespace) is None:
            return
        todo = [
            self._try_child(org, child)
            for child in wanted
            if not self._children.is_in_order(org.namespace, child.key, child.digest)
        ]
        _raise_worst(await asyncio.gather(*todo, return_exceptions=True))

    async def _try_child(self, org: Org, wanted: Child) -> None:
        resource = resource_of({"apiVersion": wanted.api_version, "kind": wanted.kind})
        try:
            await self._refuse_to_adopt(resource, org, wanted)
            await self._api.apply(resource, org.namespace, wanted.manifest(org), dry_run=True)
        except ApiError as error:
            raise _problem(wanted, error) from error

    async def ensure(
        self,
        org: Org,
        wanted: Sequence[Child],
        *,
        forced: bool = False,
        recorded: Collection[ChildKey] = (),
        keeps_blueprint: bool = False,
    ) -> int:
        """Bring the workspace to `wanted`, whose first item is the namespace. Returns how many objects were written.

        Args:
            forced: look at every object itself, also those that seem in order.
            recorded: what our records say that we made from a blueprint; what is not wanted of it is deleted.
            keeps_blueprint: leave what is from a blueprint as it is.

        Raises:
            WorkspaceError: something could not be applied; everything else was.
        """
        namespace, *rest = wanted
        written = int(await self._ensure_namespace(org, namespace))
        todo = [self._ensure_child(org, child) for child in rest if not self._is_settled(org, child, forced=forced)]
        keep = {child.key for child in rest}
        seen = self._children.blueprint_keys(org.namespace)
        stale = self._children.keys(org.namespace) & CORE_CHILDREN
        if not keeps_blueprint:
            stale |= seen
            todo += [self._delete_recorded(org, key) for key in set(recorded) - seen - keep]
        todo += [self._delete_child(org, key) for key in stale - keep]
        if not todo:
            return written
        outcomes = await asyncio.gather(*todo, return_exceptions=True)
        _raise_worst(outcomes)
        return written + sum(bool(outcome) for outcome in outcomes)

    def _is_settled(self, org: Org, child: Child, *, forced: bool) -> bool:
        if child.is_handed_over:
            return child.key in self._children.keys(org.namespace)
        return not forced and self._children.is_in_order(org.namespace, child.key, child.digest)

    async def granted(self, org: Org) -> Grant | None:
        """What the client grants the provider. None only where no workspace was seen yet: before anybody is let into
        one that stands, its own word is looked for, or it is given its first.

        Raises:
            WorkspaceError: it could not be read.
        """
        if self._children.grant(org.namespace) is None and self._children.namespace(org.namespace) is not None:
            await self._ensure_child(org, grant_child(org))
        return self._children.grant(org.namespace)

    async def _ensure_namespace(self, org: Org, wanted: Child) -> bool:
        """The namespace exists and is ours. POST, not apply: apply would adopt a stranger's namespace."""
        seen = self._children.namespace(org.namespace)
        if seen is not None:
            if seen.owner_uid != org.uid and org.is_restored:
                return await self._take_over(org, wanted)
            self._check_owner(org, seen.owner_uid, seen.deleting)
            return not self._children.is_in_order(org.namespace, NAMESPACE_KEY, wanted.digest) and (
                await self._ensure_child(org, wanted)
            )
        try:
            answer = await self._api.create(NAMESPACES, None, wanted.manifest(org))
        except AlreadyExistsError:
            if org.is_restored:
                return await self._take_over(org, wanted)
            answer = await self._get(NAMESPACES, org, wanted)
            metadata = answer["metadata"]
            owner = (metadata.get("annotations") or {}).get(ANNOTATION_OWNER_UID)
            self._check_owner(org, owner, "deletionTimestamp" in metadata)
            self._children.record(org.namespace, answer)
            return await self._ensure_child(org, wanted)
        except ApiError as error:
            raise _problem(wanted, error) from error
        self._children.accept(wanted.digest, self._children.record(org.namespace, answer))
        return True

    async def _take_over(self, org: Org, wanted: Child) -> bool:
        """The namespace that the client had before it was lost, or that came from the same backup, is its own again.

        By all that only the operator writes on it (policies/namespace-marks.yaml): the Org ID, and whose it was.
        """
        found = await self._get(NAMESPACES, org, wanted)
        metadata = found["metadata"]
        labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
        was_its_own = (labels.get(LABEL_ORG_ID), annotations.get(ANNOTATION_OWNER)) == (
            org.org_id,
            f"{org.agency}/{org.name}",
        )
        owner = org.uid if was_its_own else annotations.get(ANNOTATION_OWNER_UID)
        self._check_owner(org, owner, "deletionTimestamp" in metadata)
        self._children.record(org.namespace, found)
        return await self._ensure_child(org, wanted)

    def _check_owner(self, org: Org, owner_uid: str | None, deleting: bool) -> None:
        if owner_uid != org.uid:
            raise WorkspaceError(
                Reason.NAMESPACE_CONFLICT,
                f"namespace {org.namespace} exists and is not this client's (its annotation {ANNOTATION_OWNER_UID} is "
                f"{owner_uid or 'not set'}); it is left alone. Delete or rename that namespace, then annotate the "
                "client with clientorg.dev/reconcile-requested-at=<now>",
            )
        if deleting:
            raise WorkspaceError(
                Reason.APPLY_FAILED,
                f"namespace {org.namespace} is being deleted; the workspace is built anew when it is gone",
            )

    async def _ensure_child(self, org: Org, wanted: Child) -> bool:
        """One object is as wanted. Returns whether it was written."""
        resource = resource_of({"apiVersion": wanted.api_version, "kind": wanted.kind})
        namespace = org.namespace
        try:
            if wanted.is_handed_over:
                self._children.record(namespace, await self._hand_over(resource, org, wanted))
                return True
            if self._children.digest(namespace, wanted.key) is not None:
                found = await self._get(resource, org, wanted)
                value = self._children.record(namespace, found)
                if _is_as_wanted(org, wanted, found):
                    self._children.accept(wanted.digest, value)
                    return False
            elif wanted.is_blueprint:
                await self._refuse_to_adopt(resource, org, wanted)
            answer = await self._apply(resource, org, wanted)
            if (
                not _is_as_wanted(org, wanted, answer)
                and not wanted.is_blueprint
                and has_foreign_fields(answer, FIELD_MANAGER)
            ):
                # Apply leaves alone what others added; in our own objects that would leave a hole open.
                manifest = wanted.manifest(org)
                manifest["metadata"]["resourceVersion"] = answer["metadata"]["resourceVersion"]
                answer = await self._api.replace(resource, namespace, manifest)
            self._children.accept(wanted.digest, self._children.record(namespace, answer))
        except ApiError as error:
            raise _problem(wanted, error) from error
        return True

    async def _hand_over(self, resource: Resource, org: Org, wanted: Child) -> Json:
        """Made if it is not there. POST, not apply: what the client has written is never written over."""
        try:
            return await self._api.create(resource, org.namespace, wanted.manifest(org))
        except AlreadyExistsError:
            return await self._get(resource, org, wanted)

    async def _refuse_to_adopt(self, resource: Resource, org: Org, wanted: Child) -> None:
        """An object of that name that we never applied is the client's own: to take it over would lose what is in it,
        and to prune it later all of it."""
        try:
            found = await self._get(resource, org, wanted)
        except NotFoundError:
            return
        if not is_applied_by(found, FIELD_MANAGER):
            raise WorkspaceError(
                Reason.NAME_TAKEN,
                f"{wanted.kind} {wanted.name} is there and the client's own; it is left alone. Rename it in the plan's "
                "blueprint, or have the client delete it",
            )

    async def _apply(self, resource: Resource, org: Org, wanted: Child) -> Json:
        manifest = wanted.manifest(org)
        try:
            return await self._api.apply(resource, org.namespace, manifest)
        except InvalidError:
            if wanted.kind != "RoleBinding":
                raise
        await self._api.delete(resource, org.namespace, wanted.name)  # a roleRef cannot be changed, only made anew
        return await self._api.apply(resource, org.namespace, manifest)

    async def _get(self, resource: Resource, org: Org, wanted: Child) -> Json:
        return await self._api.get(resource, org.namespace if resource.namespaced else None, wanted.name)

    async def _delete_recorded(self, org: Org, key: ChildKey) -> bool:
        """Remove an object that we made and do not see as ours: the client may have taken our labels off it, which
        changes nothing, or have put its own in the place of ours, which stays."""
        kind, name = key
        resource = _RESOURCES[kind]
        try:
            found = await self._api.get(resource, org.namespace, name)
            if not is_applied_by(found, FIELD_MANAGER) or "deletionTimestamp" in found["metadata"]:
                return False
            uid = found["metadata"]["uid"]
            await self._api.delete(resource, org.namespace, name, uid=uid, propagation="Background")
        except (NotFoundError, ConflictError):
            return False  # gone, or another one since, which is not ours
        except ApiError as error:
            raise WorkspaceError(*_explain(f"{kind} {name}", error)) from error
        return True

    async def _delete_child(self, org: Org, key: ChildKey) -> bool:
        """Remove an object that is ours by name and not wanted any more."""
        kind, name = key
        try:
            await self._api.delete(_RESOURCES[kind], org.namespace, name, propagation="Background")
        except NotFoundError:
            pass
        except ApiError as error:
            raise WorkspaceError(*_explain(f"{kind} {name}", error)) from error
        self._children.forget(org.namespace, key)
        return True

    async def delete_namespace(self, org: Org) -> str | None:
        """Delete the workspace with everything in it. None when it is gone, which is asked of the server; else what is
        in the way, as the namespace's conditions tell.

        A namespace of that name that is not this client's is left alone and counts as gone.
        """
        try:
            found = await self._api.get(NAMESPACES, None, org.namespace)
        except NotFoundError:
            self._children.forget(org.namespace, NAMESPACE_KEY)
            return None
        metadata = found["metadata"]
        if (metadata.get("annotations") or {}).get(ANNOTATION_OWNER_UID) != org.uid:
            logger.warning("namespace %s is not this client's; it is left alone", org.namespace)
            return None
        if "deletionTimestamp" not in metadata:
            try:
                await self._api.delete(NAMESPACES, None, org.namespace, uid=metadata["uid"])
            except NotFoundError:
                return None
            except ConflictError:
                return ""  # another of that name since; look again
        conditions = (found.get("status") or {}).get("conditions") or ()
        return "; ".join(item["message"] for item in conditions if item.get("status") == "True")


_RESOURCES = {resource.kind: resource for resource in (*WORKSPACE_RESOURCES, *BLUEPRINT_RESOURCES)}


def _raise_worst(outcomes: Sequence[object]) -> None:
    """Raise the one problem to report of several, if there is any: what nobody foresaw, else what somebody has to mend,
    else what passes by itself."""

    def rank(problem: BaseException) -> int:
        if not isinstance(problem, WorkspaceError):
            return 0
        return 1 if problem.reason in STALLING_REASONS else 2

    problems = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    if problems:
        raise min(problems, key=rank)


def _is_as_wanted(org: Org, wanted: Child, found: Json) -> bool:
    labels = found["metadata"].get("labels") or {}
    if wanted.key != NAMESPACE_KEY and not own_labels(org.org_id, wanted.is_blueprint).items() <= labels.items():
        return False
    if wanted.is_blueprint:
        annotations = found["metadata"].get("annotations") or {}
        digest = (wanted.annotations or {}).get(ANNOTATION_BLUEPRINT_DIGEST)
        is_applied = annotations.get(ANNOTATION_BLUEPRINT_DIGEST) == digest
        return is_applied and includes(wanted.content, found, to_the_letter=wanted.kind == "ConfigMap")
    return matches(wanted.content, content_of(wanted.kind, found))


def _problem(wanted: Child, error: ApiError) -> WorkspaceError:
    reason, message, seconds = _explain(f"{wanted.kind} {wanted.name}", error)
    if wanted.is_blueprint and reason is Reason.WORKSPACE_REFUSED:
        reason = Reason.BLUEPRINT_INVALID
        message += "; correct spec.workspace.blueprint of the plan"
    return WorkspaceError(reason, message, seconds)


def _explain(what: str, error: ApiError) -> tuple[Reason, str, float]:
    seconds = error.retry_after_seconds or 0.0
    if isinstance(error, ForbiddenError):
        if "cannot " in error.message and "in API group" in error.message:
            return (
                Reason.FORBIDDEN,
                f"{what}: {error.message}; give the operator's ServiceAccount the ClusterRole clientorg-operator back",
                seconds,
            )
        return Reason.FORBIDDEN, f"{what}: {error.message}", seconds
    if isinstance(error, InvalidError):
        return Reason.WORKSPACE_REFUSED, f"{what}: {error.message}; correct the plan", seconds
    return Reason.APPLY_FAILED, f"{what}: {error.message}", seconds
