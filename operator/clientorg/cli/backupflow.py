"""How `backup` and `restore` go about it."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from clientorg.cli.backupfile import KINDS, Restored, backed_up, restored
from clientorg.cli.options import DryRun, Target
from clientorg.cli.outfile import Destination
from clientorg.cli.session import connect
from clientorg.cli.table import as_document
from clientorg.cli.terminal import note, say, warn
from clientorg.cli.text import plural
from clientorg.cli.waiting import progress
from clientorg.domain.timestamps import timestamp
from clientorg.errors import AlreadyExistsError, ApiError, ClientOrgError, InputError, NotFoundError

if TYPE_CHECKING:
    from clientorg.cli.session import Session
    from clientorg.cluster.resources import Resource

Json = dict[str, Any]

AT_ONCE: Final = 16
OPERATOR_NAMESPACE: Final = "clientorg-system"
OPERATOR: Final = "clientorg-operator"
"""Of its Lease, Deployment and ServiceAccount; the policies know it by this name."""
ACT_AS: Final = f"system:serviceaccount:{OPERATOR_NAMESPACE}:{OPERATOR}"


def _resources() -> dict[str, Resource]:
    from clientorg.cluster.resources import (
        CLIENT_ORGS,
        ORG_APPROVALS,
        ORG_PLANS,
        POINT_TRANSACTIONS,
        QUOTA_POOLS,
        SUBSCRIPTIONS,
        USAGE_REPORTS,
    )

    known = (QUOTA_POOLS, ORG_PLANS, CLIENT_ORGS, ORG_APPROVALS, SUBSCRIPTIONS, POINT_TRANSACTIONS, USAGE_REPORTS)
    return {resource.kind: resource for resource in known}


# -- backup -----------------------------------------------------------------------------------------------------------


async def back_up(target: Target, file: str | None, *, as_json: bool, all_namespaces: bool, overwrite: bool) -> None:
    """Write everything of an agency, or of all.

    Raises:
        InputError: there is nothing, or it cannot be written.
    """
    destination = Destination(file, force=overwrite, is_text=True)
    counts: dict[str, int] = {}
    items: list[Json] = []
    async with connect(target) as session:
        async with progress("reading …") as told:
            for kind in KINDS:
                told.update(f"reading {kind}s …")
                found = await session.api.list_all(_resources()[kind], None if all_namespaces else session.namespace)
                counts[kind] = len(found)
                items += [backed_up({"apiVersion": _api_version(kind), "kind": kind, **item}) for item in found]
        where = "any namespace" if all_namespaces else f"namespace {session.namespace}"
    if not counts["ClientOrg"] and not counts["QuotaPool"]:
        raise InputError(f"there is no client and no pool in {where}: check --namespace")
    document = {"apiVersion": "v1", "kind": "List", "items": items}
    with destination.open() as stream:
        stream.write(as_document(document, yaml=not as_json).encode())
    note(f"backed up {_summed(counts)}")


def _api_version(kind: str) -> str:
    return _resources()[kind].api_version


def _summed(counts: dict[str, int]) -> str:
    nouns = {
        "QuotaPool": "pool",
        "OrgPlan": "plan",
        "ClientOrg": "client",
        "OrgApproval": "approval",
        "Subscription": "subscription",
        "PointTransaction": "transaction",
        "UsageReport": "usage report",
    }
    return ", ".join(plural(counts.get(kind, 0), noun) for kind, noun in nouns.items())


# -- restore ----------------------------------------------------------------------------------------------------------


async def restore(target: Target, files: Sequence[str], *, dry_run: DryRun) -> None:
    """Create what the files have.

    Raises:
        InputError: a file is no backup, or an operator runs.
        ApiError: the server refused an object; what was created before it stays, and a repetition goes on from there.
    """
    items = restored(document for file in files for document in _documents(file))
    for one in items:
        if one.kind == "ClientOrg" and one.org_id is None:
            warn(f"client {one.namespace}/{one.name}: the backup does not tell its Org ID; it gets a new one")
    if dry_run is DryRun.CLIENT:
        _tell(items, {}, dry_run)
        return
    async with connect(target) as session:
        if any(one.status is not None or one.is_ending for one in items):
            await _check_no_operator(session)
        await _ensure_namespaces(session, sorted({one.namespace for one in items}), dry_run)
        async with connect(target, act_as=ACT_AS) as operator, progress("restoring …") as told:
            created: Counter[str] = Counter()
            for done, batch in _batches(items):
                told.update(f"restoring {done} of {len(items)}: {batch[0].kind}s of {batch[0].namespace}")
                counts = await asyncio.gather(
                    *(_restore_one(operator if one.is_the_operators else session, one, dry_run) for one in batch)
                )
                created[batch[0].kind] += sum(counts)
        _tell(items, created, dry_run)


def _batches(items: Sequence[Restored]) -> Iterator[tuple[int, Sequence[Restored]]]:
    """What may be created at the same time, and how much was before: objects of one kind; of transactions that are
    still to be entered one by one, because they are entered in the order of their creation."""
    start = 0
    for end in range(1, len(items) + 1):
        is_over = end == len(items) or end - start == AT_ONCE or items[end].kind != items[start].kind
        if is_over or any(one.kind == "PointTransaction" and one.status is None for one in items[end - 1 : end + 1]):
            yield start, items[start:end]
            start = end


def _documents(file: str) -> Iterable[object]:
    import yaml

    try:
        text = sys.stdin.read() if file == "-" else Path(file).expanduser().read_text(encoding="utf-8")
        return list(yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except OSError as error:
        raise InputError(f"--filename: cannot read {file}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"--filename: {file} is neither YAML nor JSON: {error}") from error


async def _check_no_operator(session: Session) -> None:
    """Between the creation of a client and the writing of its status an operator would begin it anew, and settle one
    whose contract has ended before its ledger is there.

    Raises:
        InputError: one runs, as far as its Lease tells.
    """
    from clientorg.cluster.resources import LEASES

    try:
        lease = await session.api.get(LEASES, OPERATOR_NAMESPACE, OPERATOR)
    except NotFoundError:
        return
    except ApiError as error:
        warn(f"whether an operator runs could not be seen ({error.message}): make sure that none does")
        return
    spec = lease.get("spec") or {}
    renewed = timestamp(spec.get("renewTime"))
    lasts = timedelta(seconds=2 * (spec.get("leaseDurationSeconds") or 0))
    if spec.get("holderIdentity") and renewed is not None and datetime.now(UTC) < renewed + lasts:
        raise InputError(
            f"an operator runs ({spec['holderIdentity']}), and would begin the clients anew before their status is "
            "there. Stop it, restore, and start it again:\n"
            f"  kubectl scale deployment {OPERATOR} -n {OPERATOR_NAMESPACE} --replicas=0"
        )


async def _ensure_namespaces(session: Session, names: Iterable[str], dry_run: DryRun) -> None:
    """The agencies' namespaces are there.

    Raises:
        InputError: one is not, and this is a dry run: nothing can be tried in it.
    """
    from clientorg.cluster.resources import NAMESPACES

    for name in names:
        try:
            await session.api.get(NAMESPACES, None, name)
        except NotFoundError:
            if dry_run is not DryRun.NONE:
                raise InputError(
                    f"there is no namespace {name!r} yet, so that the server cannot check what belongs into it: create "
                    "it first, or try with --dry-run=client"
                ) from None
            manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            await session.api.create(NAMESPACES, None, manifest)
            note(f"namespace {name} created; its labels and role bindings are not part of a backup")


async def _restore_one(session: Session, one: Restored, dry_run: DryRun) -> int:
    """Create one object, and its status. Returns 1, or 0 for one that was there."""
    resource, is_trial = _resources()[one.kind], dry_run is DryRun.SERVER
    manifest = one.manifest
    if one.decides_on is not None and not is_trial:
        client = await session.api.get(_resources()["ClientOrg"], one.namespace, one.decides_on)
        manifest = {**manifest, "spec": {**manifest["spec"], "clientUID": client["metadata"]["uid"]}}
    try:
        answer = await session.api.create(resource, one.namespace, manifest, dry_run=is_trial)
        count = 1
    except AlreadyExistsError:
        answer = await session.api.get(resource, one.namespace, one.name)
        _check_same(one, answer)
        count = 0
    if one.status is not None and not is_trial and _is_untouched(answer):
        body = {"metadata": {"resourceVersion": answer["metadata"]["resourceVersion"]}, "status": one.status}
        await session.api.patch(resource, one.namespace, one.name, body, subresource="status")
    return count


def _is_untouched(item: Json) -> bool:
    """Whether no operator, and no earlier restore, has written the status."""
    status = item.get("status") or {}
    return status.get("observedGeneration", -1) == -1 and not status.get("orgID") and not status.get("phase")


def _check_same(one: Restored, found: Json) -> None:
    """Raises ClientOrgError where another object has the name."""
    annotations = found["metadata"].get("annotations") or {}
    now = (found.get("status") or {}).get("orgID") or annotations.get("clientorg.dev/restore-org-id")
    if one.kind == "ClientOrg" and one.org_id is not None and now != one.org_id:
        raise ClientOrgError(
            f"client {one.namespace}/{one.name} is there already, with Org ID {now or 'not yet known'} and not "
            f"{one.org_id}: it is another one. Delete it first, or take it out of the backup"
        )
    if one.kind == "PointTransaction" and found["spec"] != one.manifest["spec"]:
        raise ClientOrgError(
            f"transaction {one.namespace}/{one.name} is there already and says something else: see "
            f"kubectl get pointtransactions {one.name} -n {one.namespace} -o yaml"
        )


def _tell(items: Sequence[Restored], created: dict[str, int], dry_run: DryRun) -> None:
    there = {kind: sum(one.kind == kind for one in items) for kind in KINDS}
    if dry_run is DryRun.CLIENT:
        say(f"would restore {_summed(there)}{dry_run.suffix}")
        return
    say(f"restored {_summed(created)}{dry_run.suffix}")
    left = len(items) - sum(created.values())
    if left:
        say(f"{plural(left, 'object')} {'was' if left == 1 else 'were'} there already")
