"""Who else writes an object, and what the commands do about it (FEATURES X1)."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from clientorg.cli.exits import ExitCode, GitManagedError
from clientorg.cli.failures import exit_code_of
from clientorg.cli.gitguard import guard
from clientorg.cli.gitowner import git_owner, patch_to_commit
from clientorg.cli.options import CHANGE_CAUSE, DataOutput, DryRun
from tests.unit.cli_builders import client

Json = dict[str, Any]

TRACKING = "argocd.argoproj.io/tracking-id"
OWN_ID = "clientorg.dev/ClientOrg:agency/acme"


def marked(
    *, annotations: Json | None = None, labels: Json | None = None, manager: str = "", owns: str = "f:spec"
) -> Json:
    """The client acme, with these marks."""
    item = client(state="Active")
    item |= {"apiVersion": "clientorg.dev/v1alpha1", "kind": "ClientOrg"}
    metadata = item["metadata"] | {"name": "acme", "namespace": "agency", "annotations": annotations or {}}
    metadata["labels"] = labels or {}
    if manager:
        metadata["managedFields"] = [{"manager": manager, "operation": "Apply", "fieldsV1": {owns: {}}}]
    return item | {"metadata": metadata}


FLUX = {"kustomize.toolkit.fluxcd.io/name": "agencies", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}


@pytest.mark.parametrize(
    ("item", "owner"),
    [
        (marked(), None),
        (marked(annotations={TRACKING: f"tokyo:{OWN_ID}"}), "Argo CD Application tokyo"),
        (marked(annotations={TRACKING: f"team-a_tokyo:{OWN_ID}"}), "Argo CD Application team-a/tokyo"),
        # A copy under another name carries the original's annotation.
        (marked(annotations={TRACKING: "tokyo:clientorg.dev/ClientOrg:agency/globex"}), None),
        # The label is Helm's and everybody's; only with Argo CD's writing it is Argo CD's.
        (marked(labels={"app.kubernetes.io/instance": "tokyo"}), None),
        (
            marked(labels={"app.kubernetes.io/instance": "tokyo"}, manager="argocd-controller"),
            "Argo CD Application tokyo",
        ),
        (marked(manager="argocd-controller"), "Argo CD (Application unknown)"),
        (marked(manager="argocd-controller", owns="f:metadata"), None),
        (marked(labels=FLUX), "Flux Kustomization flux-system/agencies"),
        (marked(labels=FLUX, annotations={"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}), None),
        (marked(labels=FLUX, annotations={"kustomize.toolkit.fluxcd.io/ssa": "Ignore"}), None),
        (marked(labels={"helm.toolkit.fluxcd.io/name": "agencies"}), "Flux HelmRelease agencies"),
        (marked(manager="kustomize-controller"), "Flux (Kustomization unknown)"),
        (marked(manager="kubectl-edit"), None),
    ],
)
def test_owner_is_read_from_what_the_tools_leave_on_an_object(item: Json, owner: str | None) -> None:
    found = git_owner(item)

    assert (str(found) if found else None) == owner


def test_patch_to_commit_is_what_kustomize_takes() -> None:
    """Without what is of this cluster only."""
    patch: Json = {
        "metadata": {"resourceVersion": "7", "annotations": {CHANGE_CAUSE: "x", "clientorg.dev/transfer-from": "a"}},
        "spec": {"state": "Paused"},
    }

    assert patch_to_commit(marked(), patch) == {
        "apiVersion": "clientorg.dev/v1alpha1",
        "kind": "ClientOrg",
        "metadata": {"name": "acme", "namespace": "agency", "annotations": {"clientorg.dev/transfer-from": "a"}},
        "spec": {"state": "Paused"},
    }


PATCH: Json = {"metadata": {"resourceVersion": "7"}, "spec": {"state": "Paused"}}
OWNED = marked(annotations={TRACKING: f"tokyo:{OWN_ID}"})


def test_nothing_is_said_of_what_git_does_not_manage(capsys: pytest.CaptureFixture[str]) -> None:
    guard([(marked(), PATCH)], force=False)

    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("output", [DataOutput.TABLE, DataOutput.YAML, DataOutput.JSON])
def test_refusal_says_who_and_prints_the_patch_alone(output: DataOutput, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(GitManagedError) as refused:
        guard([(OWNED, PATCH), (marked(), PATCH)], force=False, output=output)

    said = str(refused.value)
    assert "ClientOrg agency/acme is managed by Argo CD Application tokyo (annotation" in said
    assert "kubectl clientorg hold acme -n agency --reason WHY" in said
    assert "--force" in said
    printed = capsys.readouterr().out
    read = json.loads(printed) if output is DataOutput.JSON else yaml.safe_load(printed)
    assert read["metadata"] == {"name": "acme", "namespace": "agency"}
    assert read["spec"] == {"state": "Paused"}
    assert exit_code_of(refused.value) == ExitCode.GIT_MANAGED
    assert int(ExitCode.GIT_MANAGED) == 4


def test_patches_of_several_are_one_stream(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(GitManagedError):
        guard([(OWNED, PATCH), (OWNED, PATCH)], force=False)

    assert len(list(yaml.safe_load_all(capsys.readouterr().out))) == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"force": True}, "unless it is committed to Git as well, this change is undone"),
        ({"force": False, "dry_run": DryRun.SERVER}, "without --dry-run this prints the patch to commit"),
    ],
)
def test_who_insists_or_only_looks_is_warned(
    options: dict[str, Any], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    guard([(OWNED, PATCH)], **options)

    out, err = capsys.readouterr()
    assert out == ""
    assert "Argo CD Application tokyo" in err
    assert words in err
