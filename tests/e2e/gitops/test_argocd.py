"""An agency's repository, synced by a real Argo CD (FEATURES X1): one story, told on a cluster of its own.

What is seen is what a person would see in Argo CD: the sync status and the health of each resource of the Application.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from clientorg.api.meta import ANNOTATION_CONFIRM_DELETION
from clientorg.cluster.resources import NETWORK_POLICIES
from tests.cluster._cli_support import Cli, home
from tests.cluster.conftest import api, cluster, operator_kubeconfig, operators_of_session
from tests.cluster.history import Follower
from tests.cluster.operators import Operators
from tests.cluster.verbs import Client, Pool, condition_of
from tests.controlplane.choose import Cluster
from tests.support import builders
from tests.support.argocd import APPLICATIONS, NAMESPACE, ArgoCd
from tests.support.debian import PackageUnavailableError
from tests.support.gitrepo import GitRepo
from tests.support.install import ROOT
from tests.support.kube import Kube

__all__ = ["api", "cluster", "home", "operator_kubeconfig", "operators_of_session"]  # fixtures

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

Json = dict[str, Any]

AGENCY, APPLICATION = "agency-tokyo", "tokyo"
ACME, HOSHI = "agencies/tokyo/clients/acme.yaml", "agencies/tokyo/clients/hoshi-travel.yaml"


class Story:
    """The agency's repository, its Application, and what Argo CD shows of it."""

    def __init__(self, argocd: ArgoCd, repo: GitRepo) -> None:
        self.argocd = argocd
        self.repo = repo

    def push(self, message: str) -> str:
        """Commit the work tree, and tell Argo CD as the Git server's webhook would."""
        commit = self.repo.commit(message)
        self.argocd.refresh(APPLICATION)
        return commit

    def edit(self, path: str, **spec: Any) -> str:
        """Change fields of the spec of a client in Git."""
        manifest = yaml.safe_load(self.repo.read(path))
        manifest["spec"] |= spec
        self.repo.write(path, yaml.safe_dump(manifest, sort_keys=False))
        return self.push(f"Change {', '.join(spec)} of {manifest['metadata']['name']}")

    def expect_synced(self, commit: str, **healths: str) -> Json:
        """Wait until this commit is synced, and the resources with these names have this health."""

        def holds(status: Json) -> bool:
            return is_synced(status, commit) and all(
                health_of(status, name) == health for name, health in healths.items()
            )

        return self.argocd.expect(APPLICATION, holds, f"be Synced to {commit[:8]} with {healths}")

    def expect_health(self, name: str, health: str, *words: str) -> None:
        """Wait until the resource has this health, with these words in its message."""

        def holds(status: Json) -> bool:
            found = resource_of(status, name).get("health") or {}
            return found.get("status") == health and all(word in found.get("message", "") for word in words)

        self.argocd.expect(APPLICATION, holds, f"show {name} as {health} with {words}")


def resource_of(status: Json, name: str) -> Json:
    """What the Application's status says of the resource with that name."""
    return next((item for item in status.get("resources") or () if item["name"] == name), {})


def health_of(status: Json, name: str) -> str:
    """Its health."""
    return str((resource_of(status, name).get("health") or {}).get("status", ""))


def is_synced(status: Json, commit: str) -> bool:
    """Whether the Application compares equal to that commit, and nothing is under way."""
    sync, operation = status.get("sync") or {}, status.get("operationState") or {}
    return (sync.get("status"), sync.get("revision")) == ("Synced", commit) and operation.get("phase") != "Running"


@pytest.fixture(scope="module")
def story(cluster: Cluster, api: Kube, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Argo CD, an agency's namespace in which it is an owner, and a repository with examples/argocd."""
    folder = tmp_path_factory.mktemp("argocd")
    repo = GitRepo(tmp_path_factory.mktemp("git") / "agencies")
    shutil.copytree(ROOT / "examples" / "argocd" / "agencies", repo.folder / "agencies")
    api.create(builders.namespace(AGENCY))
    try:
        with ArgoCd(cluster.kubectl, api, Path(cluster.kubeconfig), folder) as argocd:
            api.create(
                {
                    "apiVersion": "rbac.authorization.k8s.io/v1",
                    "kind": "RoleBinding",
                    "metadata": {"name": "argocd", "namespace": AGENCY},
                    "roleRef": {
                        "apiGroup": "rbac.authorization.k8s.io",
                        "kind": "ClusterRole",
                        "name": "clientorg-agency-owner",
                    },
                    "subjects": [
                        {"kind": "ServiceAccount", "name": "argocd-application-controller", "namespace": "argocd"}
                    ],
                }
            )
            yield Story(argocd, repo)
    except PackageUnavailableError as error:
        pytest.skip(str(error))


def project_and_application(url: str) -> Iterator[Json]:
    """examples/argocd, for this repository; the Application as the ApplicationSet would make it."""
    folder = ROOT / "examples" / "argocd"
    project = yaml.safe_load((folder / "project.yaml").read_text())
    project["spec"]["sourceRepos"] = [url]
    yield project
    template = yaml.safe_load((folder / "applicationset.yaml").read_text())["spec"]["template"]
    text = yaml.safe_dump(template).replace("{{.path.basename}}", APPLICATION)
    template = yaml.safe_load(text.replace("{{.path.path}}", f"agencies/{APPLICATION}"))
    template["spec"]["source"]["repoURL"] = url
    metadata = {"name": APPLICATION, "namespace": NAMESPACE}
    yield {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": metadata, "spec": template["spec"]}


def test_agency_lives_in_git(
    story: Story, cluster: Cluster, api: Kube, operators_of_session: Operators, home: Path
) -> None:
    acme, hoshi = Client(api, AGENCY, "acme"), Client(api, AGENCY, "hoshi-travel")
    commit = story.repo.commit("Begin")
    follower = Follower(api, APPLICATIONS, NAMESPACE)
    try:
        # The first wave waits for an operator; clients are Missing until pool and plan are Ready.
        for manifest in project_and_application(story.repo.url):
            story.argocd.apply(manifest)
        story.expect_health("tokyo", "Progressing")
        story.expect_health("acme", "Missing")
        assert acme.find() is None
        operators_of_session.shared()
        story.expect_synced(commit, tokyo="Healthy", standard="Healthy", acme="Healthy")
        story.expect_health("hoshi-travel", "Healthy", "the client can work")
        ready = condition_of(Pool(api, AGENCY, "tokyo").read(), "Ready")
        assert _time(acme.read()["metadata"]["creationTimestamp"]) >= _time(ready["lastTransitionTime"])

        # Health follows the client, whatever changes it: Git, the operator, or a person with the right to hold.
        story.expect_synced(story.edit(ACME, state="Paused"), acme="Suspended")
        story.expect_synced(story.edit(ACME, state="Active"), acme="Healthy")
        cli = Cli(Path(cluster.kubeconfig), AGENCY, home)
        cli.do("hold", "acme", "--reason", "sends spam", "--wait")
        story.expect_health("acme", "Suspended", "sends spam")
        story.argocd.refresh(APPLICATION, "hard")
        assert acme.status["pauseReasons"] == ["Hold"], "a sync does not undo a hold"
        cli.do("release", "acme", "--wait")
        story.expect_health("acme", "Healthy")
        story.expect_health("hoshi-travel", "Healthy")
        _use_up(api, hoshi)
        story.expect_health("hoshi-travel", "Suspended", "QuotaExhausted")
        commit = story.edit(HOSHI, licenses=[{"name": "visitors", "quantity": 60_000}])
        story.expect_synced(commit, **{"hoshi-travel": "Healthy"})
        commit = story.edit(HOSHI, licenses=[{"name": "visitors", "quantity": 600_000}])
        story.expect_synced(commit, **{"hoshi-travel": "Progressing"})
        story.expect_health("hoshi-travel", "Progressing", "the pool lacks")
        story.edit(HOSHI, licenses=[{"name": "visitors", "quantity": 60_000}])
        story.expect_synced(story.edit(ACME, planRef={"name": "none"}), acme="Degraded")
        story.expect_health("acme", "Degraded", "no OrgPlan 'none'")
        commit = story.edit(ACME, planRef={"name": "standard"})
        story.expect_synced(commit, acme="Healthy", **{"hoshi-travel": "Healthy"})

        # Nothing of all that, nor drift that the operator repairs, is a difference to Git.
        policy = acme.kube.list_all(NETWORK_POLICIES, acme.workspace)[0]["metadata"]["name"]
        api.delete(NETWORK_POLICIES, policy, acme.workspace)
        acme.expect_child(NETWORK_POLICIES, policy)
        _expect_nothing_to_do(story, commit)
        assert not _drifted(follower), "OutOfSync again after it was synced"

        # What somebody edits in the cluster is undone: so the commands do not do it, and say what to commit.
        answer = cli.run("pause", "acme", "--yes")
        assert answer.code == 4
        assert "managed by Argo CD Application tokyo" in answer.err
        assert yaml.safe_load(answer.out)["spec"] == {"state": "Paused"}
        acme.edit(displayName="Behind Git's back")
        acme.expect(lambda it: it["spec"]["displayName"] == "Acme K.K.", "be as Git says")

        _prune(story, hoshi)
    finally:
        follower.close()


def _drifted(follower: Follower) -> set[str]:
    """Commits that the cluster differed from after it had been equal to them."""
    synced, drifted = set(), set()
    for _, _, item in follower.events:
        sync = (item.get("status") or {}).get("sync") or {}
        if sync.get("status") == "Synced":
            synced.add(sync["revision"])
        elif sync.get("status") == "OutOfSync" and sync["revision"] in synced:
            drifted.add(sync["revision"])
    return drifted


def _use_up(api: Kube, client: Client) -> None:
    """The metering agent reports that every license is used."""
    used = client.granted["visitors"]
    now = datetime.fromisoformat(client.read()["metadata"]["creationTimestamp"])
    api.create(builders.report(client.namespace, client.org_id, now, visitors=used))


def _expect_nothing_to_do(story: Story, commit: str) -> None:
    """After a full comparison nothing is OutOfSync, and nothing is synced again."""
    before = story.argocd.read(APPLICATION)["status"]
    story.argocd.refresh(APPLICATION, "hard")
    status = story.expect_synced(commit)["status"]
    assert {item["name"]: item["status"] for item in status["resources"]} == dict.fromkeys(
        ("acme", "hoshi-travel", "standard", "tokyo"), "Synced"
    )
    assert status["operationState"]["finishedAt"] == before["operationState"]["finishedAt"]


def _prune(story: Story, hoshi: Client) -> None:
    """A client that is taken out of Git stays, and Argo CD says why; with the confirmation it goes."""
    text = story.repo.read(HOSHI)
    story.repo.remove(HOSHI)
    story.push("Take Hoshi Travel out")

    def is_refused(status: Json) -> bool:
        results = ((status.get("operationState") or {}).get("syncResult") or {}).get("resources") or ()
        result: Json = next((item for item in results if item["name"] == hoshi.name), {})
        return result.get("status") == "SyncFailed" and "deleting client hoshi-travel is permanent" in result["message"]

    status = story.argocd.expect(APPLICATION, is_refused, "say that the prune is refused")["status"]
    assert resource_of(status, hoshi.name)["requiresPruning"]
    assert status["sync"]["status"] == "OutOfSync"
    assert "deletionTimestamp" not in hoshi.read()["metadata"]

    manifest = yaml.safe_load(text)
    manifest["metadata"]["annotations"][ANNOTATION_CONFIRM_DELETION] = hoshi.name
    story.repo.write(HOSHI, yaml.safe_dump(manifest))
    story.expect_synced(story.push("Confirm that Hoshi Travel goes"), **{"hoshi-travel": "Healthy"})
    story.repo.remove(HOSHI)
    commit = story.push("Take Hoshi Travel out")
    hoshi.expect_gone()
    story.expect_synced(commit, acme="Healthy")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
