"""The how-to pages, command by command on a cluster of their own: what they say works, or is refused as they say.

Each test makes what its page takes for granted, does what the page says, manifests included, and looks at what has come
of it. What cannot run here is listed with the reason.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import yaml

from tests.controlplane import ControlPlane
from tests.support.install import ROOT, install

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

SECONDS: Final = 200.0
BLOCK: Final = re.compile(
    r"^(?P<indent> *)```(?P<language>sh|yaml)\n(?P<text>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL
)
PAGES: Final = (
    *sorted((ROOT / "docs/howto").glob("*.md")),
    ROOT / "docs/backup-and-restore.md",
    ROOT / "docs/gitops.md",
)
MAKES_OWN: Final = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES", "KUBECONFIG", "CLIENTORG_CLUSTER")

_HELM: Final = "installs, upgrades and removes what runs here as a process; with Helm: tests/e2e/test_chart_story.py"
_TOOLS: Final = "installs a program for the user; the wheel is built by `make dist`"
NOT_RUN: Final = {
    "helm install ": _HELM,
    "helm test ": _HELM,
    "helm template ": _HELM,
    "helm upgrade ": _HELM,
    "helm rollback ": _HELM,
    "helm uninstall ": _HELM,
    "make dist": _TOOLS,
    "pipx install ": _TOOLS,
}
"""How commands begin that are not run here, and why."""


@dataclass(frozen=True)
class Command:
    """A line of a shell block.

    Attributes:
        is_refused: the page shows its error.
        is_elsewhere: the page says that it is for the other cluster.
    """

    text: str
    is_refused: bool = False
    is_elsewhere: bool = False

    @property
    def why_not(self) -> str | None:
        """Why it is not run; None where it is."""
        return next((reason for start, reason in NOT_RUN.items() if self.text.startswith(start)), None)


@dataclass(frozen=True)
class Manifest:
    """A YAML block with objects of the API server."""

    text: str


def steps(page: Path) -> list[Command | Manifest]:
    """What a page has somebody do, in its order. YAML that is no whole object (values, patches, rules) is none."""
    found: list[Command | Manifest] = []
    for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
        indent = len(block["indent"])
        lines = [line[indent:] for line in block["text"].replace("\\\n", " ").splitlines()]
        if block["language"] == "yaml":
            if is_whole("\n".join(lines)):
                found.append(Manifest("\n".join(lines)))
            continue
        is_shown = any(line.startswith("$ ") for line in lines)
        for place, line in enumerate(lines):
            if is_shown and not line.startswith("$ "):
                continue  # what the command says
            text, _, note = line.removeprefix("$ ").partition(" # ")
            is_refused = is_shown and lines[place + 1 : place + 2] != [] and lines[place + 1].startswith("error: ")
            if text.strip():
                found.append(Command(text.strip(), is_refused, note.startswith("there")))
    return found


def is_whole(text: str) -> bool:
    """Whether they are objects that the API server would take; pages show parts of objects, too."""
    documents = list(yaml.safe_load_all(text))
    return all({"apiVersion", "kind"} <= document.keys() for document in documents) and all(
        "spec" in document for document in documents if document["apiVersion"].startswith("clientorg.dev/")
    )


# -- the cluster ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shell:
    """A shell in a folder with what a checkout has, on a cluster of `make up`."""

    folder: Path
    exports: str

    def run(self, script: str, kubeconfig: Path | None = None) -> subprocess.CompletedProcess[str]:
        """What came of a script, on another cluster if it is named."""
        environment = {name: value for name, value in os.environ.items() if name not in MAKES_OWN}
        export = f"export KUBECONFIG={kubeconfig}" if kubeconfig is not None else ""
        return subprocess.run(
            ["sh", "-c", f"set -eu\n{self.exports}\n{export}\n{script}"],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def do(self, script: str, kubeconfig: Path | None = None) -> str:
        """What a script says that has to succeed."""
        done = self.run(script, kubeconfig)
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def follow(self, page: str, elsewhere: Path | None = None) -> dict[str, str]:
        """Do what a page says; returns command to what it said."""
        said = {}
        for step in steps(ROOT / page):
            if isinstance(step, Manifest):
                self.do(f"kubectl apply -f - <<'MANIFEST'\n{step.text}\nMANIFEST")
            elif step.why_not is None:
                where = elsewhere if step.is_elsewhere else None
                done = self.run(step.text, where)
                told = f"$ {step.text}\n{done.stdout}{done.stderr}"
                assert (done.returncode != 0) is step.is_refused, told
                said[step.text] = done.stdout + done.stderr
        return said


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """`make up`, ended whatever became of the pages."""
    folder = tmp_path_factory.mktemp("howto")
    environment = {name: value for name, value in os.environ.items() if name not in MAKES_OWN}
    environment["CLIENTORG_RUN_DIR"] = str(folder / "run")

    def make(target: str) -> str:
        done = subprocess.run(
            ["make", "-s", target],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=True,
        )
        return done.stdout

    try:
        exports = make("up")
        (folder / "checkout").mkdir()
        for name in ("argocd", "charts", "examples", "manifests", "overlays"):
            (folder / "checkout" / name).symlink_to(ROOT / name)
        yield Shell(folder / "checkout", exports)
    finally:
        make("down")


def client(namespace: str, name: str, **spec: object) -> str:
    """Applies a client of the plan `standard`."""
    fields = "\n".join(f"  {key}: {value}" for key, value in spec.items())
    pool = namespace.removeprefix("agency-")
    return f"""kubectl apply -f - <<'MANIFEST'
apiVersion: clientorg.dev/v1alpha1
kind: ClientOrg
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  displayName: {name}
  contact: {{firstName: Yuki, lastName: Sato, email: yuki@{name}.example}}
  poolRef: {{name: {pool}}}
  planRef: {{name: standard}}
  licenses: [{{name: visitors, quantity: 100}}]
{fields}
MANIFEST
"""


# -- the pages ------------------------------------------------------------------------------------------------------


def test_approvals_and_billing(shell: Shell) -> None:
    """First who is let in, then what they pay: both pages are about the agency of examples/billing."""
    shell.do("kubectl apply -f examples/billing/agency.yaml")
    for name in ("acme", "globex"):
        shell.do(client("agency-nagoya", name, requestedBy="ken@nagoya.example", contractedUsers=25))
        shell.do(
            f"kubectl wait clientorgs/{name} -n agency-nagoya --timeout=60s"
            " --for=jsonpath='{.status.state}'=PendingApproval"
        )

    said = shell.follow("docs/howto/approvals.md")

    assert "acme" in said["kubectl clientorg approvals -n agency-nagoya"]
    shell.do("kubectl wait clientorgs/acme -n agency-nagoya --for=condition=Ready --timeout=60s")
    shell.do("kubectl wait clientorgs/globex -n agency-nagoya --for=jsonpath='{.status.state}'=Rejected --timeout=60s")

    said = shell.follow("docs/howto/billing.md")

    assert "14500" in said["kubectl clientorg points estimate -n agency-nagoya"].replace(",", "")
    assert "20000" in said["kubectl clientorg points history acme -n agency-nagoya"].replace(",", "")


def test_several_agencies(shell: Shell) -> None:
    said = shell.follow("docs/howto/multi-agency.md")

    assert "clientorg list" in " ".join(said)
    shell.do("kubectl auth can-i create clientorgs -n agency-osaka --as=mia --as-group=osaka-owners")
    assert shell.run("kubectl auth can-i create clientorgs -n default --as=mia --as-group=osaka-owners").returncode != 0


def test_gitops(shell: Shell) -> None:
    """The health scripts go into Argo CD's ConfigMap; a client of Argo CD is not edited, and held all the same."""
    shell.do("kubectl apply -f examples/quickstart/agency.yaml")
    shell.do(client("agency-tokyo", "acme"))
    shell.do("kubectl wait clientorgs/acme -n agency-tokyo --for=condition=Ready --timeout=60s")
    tracking = "argocd.argoproj.io/tracking-id=tokyo:clientorg.dev/ClientOrg:agency-tokyo/acme"
    shell.do(f"kubectl annotate clientorgs acme -n agency-tokyo {tracking}")
    shell.do("kubectl create namespace argocd; kubectl create configmap argocd-cm -n argocd")
    shell.do("kubectl config set-context --current --namespace=agency-tokyo")

    said = shell.follow("docs/gitops.md")

    shell.do("kubectl config set-context --current --namespace=default")
    keys = shell.do("kubectl get configmap argocd-cm -n argocd -o jsonpath='{.data}'")
    assert "resource.customizations.health.clientorg.dev_ClientOrg" in keys
    told = " ".join(said["kubectl clientorg pause acme > pause-acme.yaml"].split())
    page = " ".join((ROOT / "docs/gitops.md").read_text().split())
    assert told.partition(" Commit the patch")[0] in page, "the page shows what is said"
    assert "state: Paused" in (shell.folder / "pause-acme.yaml").read_text()
    shell.do("kubectl wait clientorgs/acme -n agency-tokyo --for=condition=Paused=false --timeout=60s")


def test_backup_and_restore(shell: Shell) -> None:
    """Into another cluster, in which no operator runs yet; while one runs here it is refused here."""
    shell.do("kubectl apply -f examples/quickstart/agency.yaml")
    shell.do(client("agency-tokyo", "umbrella"))
    shell.do("kubectl wait clientorgs/umbrella -n agency-tokyo --for=condition=Ready --timeout=60s")
    org_id = "kubectl get clientorgs umbrella -n agency-tokyo -o jsonpath='{.status.orgID}'"
    plane = ControlPlane()
    plane.start()
    with closing(plane):
        install(plane.kubectl, plane.kubeconfig)
        there = Path(plane.kubeconfig)

        said = shell.follow("docs/backup-and-restore.md", there)

        assert "would restore" in said["kubectl clientorg restore -f agencies.yaml --dry-run=client"]
        assert shell.do(org_id, there) == shell.do(org_id)
    refused = shell.run("kubectl clientorg restore -f agencies.yaml")
    assert refused.returncode != 0
    assert "an operator runs" in refused.stderr


def test_install_with_kustomize(shell: Shell) -> None:
    """Last: it applies to the cluster what it has already, and a Deployment whose pods nothing runs here."""
    shell.follow("docs/howto/install.md")

    shell.do("kubectl get deployment clientorg-operator -n clientorg-system")


# -- that nothing is left out ---------------------------------------------------------------------------------------


def test_every_command_is_run_or_has_a_reason_not_to_be() -> None:
    """A page with commands is in a test of this file; what is listed as not run is on a page."""
    followed = set(re.findall(r'follow\("([^"]+)"', Path(__file__).read_text(encoding="utf-8")))
    commands = {
        str(page.relative_to(ROOT)): [step for step in steps(page) if isinstance(step, Command)] for page in PAGES
    }
    left_out = {
        page: [command.text for command in found if command.why_not is None]
        for page, found in commands.items()
        if page not in followed and any(command.why_not is None for command in found)
    }
    assert not left_out
    every = [command.text for found in commands.values() for command in found]
    assert [start for start in NOT_RUN if not any(text.startswith(start) for text in every)] == []
