"""The control plane that all other tests run on: is it a real, closed, well-behaved API server, and does it go away?"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.controlplane import (
    BuildError,
    ClusterUnavailableError,
    ComponentError,
    ControlPlane,
    ControlPlaneError,
    DeadlineExceededError,
    plane,
    service,
    wait_until,
)
from tests.controlplane.audit import read_events
from tests.controlplane.binaries import BinaryCache
from tests.controlplane.certs import Authority
from tests.controlplane.choose import open_cluster
from tests.controlplane.modules import GoModule, available, find, parse_version
from tests.controlplane.pki import Pki
from tests.controlplane.ports import free_ports
from tests.controlplane.progress import Reporter
from tests.controlplane.workdir import WorkDir, process_started

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_SECONDS = 60.0

pytestmark = pytest.mark.cluster

DEFAULT = "/api/v1/namespaces/default"
APPS = "/apis/apps/v1/namespaces/default"
JOBS = "/apis/batch/v1/namespaces/default/jobs"


@pytest.fixture(scope="module")
def cluster() -> Iterator[ControlPlane]:
    """One control plane with two simulated nodes and an audit log, for the tests that leave it as it was."""
    with ControlPlane(nodes=2, audit=True) as running:
        yield running


@pytest.fixture
def admin(cluster: ControlPlane) -> Iterator[httpx.Client]:
    """The administrator's HTTP client."""
    with cluster.client() as client:
        yield client


def pod_template(app: str, annotations: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A pod of one container that no kubelet will ever pull."""
    return {
        "metadata": {"labels": {"app": app}, "annotations": dict(annotations or {})},
        "spec": {"restartPolicy": "Always", "containers": [{"name": "main", "image": "none.example/none"}]},
    }


def job(name: str, annotations: Mapping[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    """A Job of one pod."""
    template = pod_template(name, annotations)
    template["spec"]["restartPolicy"] = "Never"
    body = {"template": template, "backoffLimit": 0, **spec}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": body}


def call(client: httpx.Client, method: str, path: str, body: object = None) -> dict[str, Any]:
    """Call the API; anything but success fails the test with the server's words."""
    headers = {"Content-Type": "application/merge-patch+json"} if method == "PATCH" else None
    response = client.request(method, path, json=body, headers=headers)
    assert response.is_success, f"{method} {path}: {response.status_code} {response.text}"
    answer: dict[str, Any] = response.json()
    return answer


def pods_of(client: httpx.Client, app: str) -> list[dict[str, Any]]:
    """The pods with this `app` label."""
    items: list[dict[str, Any]] = call(client, "GET", f"{DEFAULT}/pods?labelSelector=app={app}")["items"]
    return items


def condition(client: httpx.Client, path: str, kind: str) -> bool:
    """Whether the object has this condition as True."""
    conditions = call(client, "GET", path).get("status", {}).get("conditions", [])
    return any(item["type"] == kind and item["status"] == "True" for item in conditions)


def whoami(cluster: ControlPlane, kubeconfig: Path) -> dict[str, Any]:
    """Who the API server takes the kubeconfig's user for."""
    command: list[str | Path] = [cluster.kubectl, "--kubeconfig", kubeconfig, "auth", "whoami", "-o", "json"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(run.stdout)["status"]["userInfo"]
    return answer


def can_list_pods(cluster: ControlPlane, kubeconfig: Path) -> subprocess.CompletedProcess[str]:
    """Try to list pods as the kubeconfig's user."""
    command: list[str | Path] = [cluster.kubectl, "--kubeconfig", kubeconfig, "get", "pods"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def bare_client(cluster: ControlPlane) -> httpx.Client:
    """TLS verified, but no credentials."""
    context = ssl.create_default_context(cafile=str(cluster.ca_file))
    return httpx.Client(base_url=cluster.url, verify=context, trust_env=False)


def all_gone(pids: Mapping[str, int]) -> bool:
    """Whether none of the processes is left."""
    return all(process_started(pid) is None for pid in pids.values())


class TestIdentity:
    """TLS, authentication and authorization are on, everywhere."""

    def test_answers_with_its_version_over_verified_tls(self, cluster: ControlPlane, admin: httpx.Client) -> None:
        version = call(admin, "GET", "/version")
        assert version["gitVersion"] == cluster.version
        assert (version["major"], version["minor"]) == tuple(map(str, parse_version(cluster.version)[:2]))

    def test_a_client_that_trusts_another_authority_refuses_the_server(
        self, cluster: ControlPlane, tmp_path: Path
    ) -> None:
        certificate, _ = Authority.create("somebody else").pair.write(tmp_path, "other")
        context = ssl.create_default_context(cafile=str(certificate))
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(f"{cluster.url}/version", verify=context, trust_env=False)

    def test_a_client_certificate_of_another_authority_is_no_identity(
        self, cluster: ControlPlane, tmp_path: Path
    ) -> None:
        pair = Authority.create("somebody else").issue_client("admin", ["system:masters"])
        context = ssl.create_default_context(cafile=str(cluster.ca_file))
        context.load_cert_chain(*pair.write(tmp_path, "forged"))
        response = httpx.get(f"{cluster.url}{DEFAULT}/pods", verify=context, trust_env=False)
        assert response.status_code == httpx.codes.UNAUTHORIZED

    def test_an_anonymous_user_is_forbidden(self, cluster: ControlPlane) -> None:
        with bare_client(cluster) as nobody:
            assert nobody.get(f"{DEFAULT}/pods").status_code == httpx.codes.FORBIDDEN

    def test_an_unknown_user_is_known_by_name_and_forbidden(self, cluster: ControlPlane) -> None:
        kubeconfig = cluster.kubeconfig_for("alice@agency.example", ["agents"])
        user = whoami(cluster, kubeconfig)
        assert user["username"] == "alice@agency.example"
        assert "agents" in user["groups"]
        refused = can_list_pods(cluster, kubeconfig)
        assert refused.returncode != 0
        assert "Forbidden" in refused.stderr

    def test_identities_do_not_mix(self, cluster: ControlPlane) -> None:
        one, other = cluster.kubeconfig_for("admin"), cluster.kubeconfig_for("admin", ["other"])
        assert len({one, other, cluster.kubeconfig}) == 3
        assert "other" not in whoami(cluster, one)["groups"]
        assert "system:masters" in whoami(cluster, cluster.kubeconfig)["groups"]

    def test_a_role_binding_lets_the_user_in(self, cluster: ControlPlane, admin: httpx.Client) -> None:
        binding = {
            "metadata": {"name": "viewers"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "viewers"}],
        }
        path = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings"
        call(admin, "POST", path, binding)
        kubeconfig = cluster.kubeconfig_for("victor", ["viewers"])
        wait_until(lambda: can_list_pods(cluster, kubeconfig).returncode == 0, DEADLINE_SECONDS, "the role to count")

    def test_a_service_account_has_a_real_token(self, cluster: ControlPlane, admin: httpx.Client) -> None:
        call(admin, "POST", f"{DEFAULT}/serviceaccounts", {"metadata": {"name": "robot"}})
        user = whoami(cluster, cluster.kubeconfig_for_service_account("default", "robot"))
        assert user["username"] == "system:serviceaccount:default:robot"

    def test_the_storage_is_closed_to_users_of_the_cluster(self, cluster: ControlPlane, tmp_path: Path) -> None:
        pki = Pki(cluster.directory / "pki")
        endpoint = f"https://127.0.0.1:{cluster.ports.etcd}/health"
        context = ssl.create_default_context(cafile=str(pki.etcd_ca_file))
        context.load_cert_chain(*pki.issue_client("admin", ["system:masters"]).write(tmp_path, "admin"))
        with pytest.raises(httpx.TransportError):
            httpx.get(endpoint, verify=context, trust_env=False)

    def test_the_controllers_answer_on_verified_tls_and_ask_for_credentials(self, cluster: ControlPlane) -> None:
        with bare_client(cluster) as nobody:
            for port in (cluster.ports.controller_manager, cluster.ports.scheduler):
                assert nobody.get(f"https://127.0.0.1:{port}/healthz").status_code == httpx.codes.OK
                assert nobody.get(f"https://127.0.0.1:{port}/metrics").status_code == httpx.codes.FORBIDDEN

    def test_the_keys_are_readable_to_their_owner_only(self, cluster: ControlPlane) -> None:
        keys = [*cluster.directory.glob("pki/*.key"), *cluster.directory.glob("kubeconfigs/**/*.yaml")]
        assert keys
        assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}


class TestController:
    """What runs on it runs its real course."""

    def test_a_deployment_runs_scales_and_goes(self, admin: httpx.Client) -> None:
        name = "web"
        spec = {"replicas": 3, "selector": {"matchLabels": {"app": name}}, "template": pod_template(name)}
        call(admin, "POST", f"{APPS}/deployments", {"metadata": {"name": name}, "spec": spec})
        deployment = f"{APPS}/deployments/{name}"

        def ready() -> object:
            return call(admin, "GET", deployment)["status"].get("readyReplicas")

        wait_until(lambda: ready() == 3, DEADLINE_SECONDS, "three ready replicas")
        pods = pods_of(admin, name)
        assert {pod["status"]["phase"] for pod in pods} == {"Running"}
        assert len({pod["status"]["podIP"] for pod in pods}) == 3
        assert {pod["spec"]["nodeName"] for pod in pods} == {"node-0", "node-1"}
        call(admin, "PATCH", deployment, {"spec": {"replicas": 1}})
        wait_until(lambda: len(pods_of(admin, name)) == 1, DEADLINE_SECONDS, "two pods to go")
        call(admin, "DELETE", f"{deployment}?propagationPolicy=Background")
        wait_until(lambda: not pods_of(admin, name), DEADLINE_SECONDS, "the last pod to go")

    def test_a_job_completes_after_its_duration(self, admin: httpx.Client) -> None:
        call(admin, "POST", JOBS, job("report", {"pod-complete.stage.kwok.x-k8s.io/delay": "1500ms"}))
        wait_until(lambda: condition(admin, f"{JOBS}/report", "Complete"), DEADLINE_SECONDS, "the Job to complete")
        state = pods_of(admin, "report")[0]["status"]["containerStatuses"][0]["state"]["terminated"]
        assert (state["exitCode"], state["reason"]) == (0, "Completed")

    def test_a_job_fails_when_told_to(self, admin: httpx.Client) -> None:
        call(admin, "POST", JOBS, job("broken", {"pod-complete.stage.kwok.x-k8s.io/exit-code": "3"}))
        wait_until(lambda: condition(admin, f"{JOBS}/broken", "Failed"), DEADLINE_SECONDS, "the Job to fail")
        state = pods_of(admin, "broken")[0]["status"]["containerStatuses"][0]["state"]["terminated"]
        assert (state["exitCode"], state["reason"]) == (3, "Error")

    def test_a_suspended_job_loses_its_pods_and_gets_them_back(self, admin: httpx.Client) -> None:
        call(admin, "POST", JOBS, job("long", {"pod-complete.stage.kwok.x-k8s.io/delay": "1h"}))

        def active() -> int:
            return int(call(admin, "GET", f"{JOBS}/long").get("status", {}).get("active", 0))

        wait_until(lambda: active() == 1, DEADLINE_SECONDS, "the Job to run")
        call(admin, "PATCH", f"{JOBS}/long", {"spec": {"suspend": True}})
        wait_until(lambda: not pods_of(admin, "long"), DEADLINE_SECONDS, "its pod to go")
        wait_until(lambda: condition(admin, f"{JOBS}/long", "Suspended"), DEADLINE_SECONDS, "the Job to be suspended")
        call(admin, "PATCH", f"{JOBS}/long", {"spec": {"suspend": False}})
        wait_until(lambda: active() == 1, DEADLINE_SECONDS, "the Job to run again")
        assert "failed" not in call(admin, "GET", f"{JOBS}/long")["status"]

    def test_a_quota_is_counted_and_enforced(self, admin: httpx.Client) -> None:
        call(admin, "POST", "/api/v1/namespaces", {"metadata": {"name": "small"}})
        quota = {"metadata": {"name": "limit"}, "spec": {"hard": {"configmaps": "2"}}}  # one is kube-root-ca.crt
        call(admin, "POST", "/api/v1/namespaces/small/resourcequotas", quota)

        def used() -> object:
            found = call(admin, "GET", "/api/v1/namespaces/small/resourcequotas/limit")
            return found.get("status", {}).get("used", {}).get("configmaps")

        wait_until(lambda: used() == "1", DEADLINE_SECONDS, "the quota to be counted")
        path = "/api/v1/namespaces/small/configmaps"
        call(admin, "POST", path, {"metadata": {"name": "fits"}})
        refused = admin.post(path, json={"metadata": {"name": "too-much"}})
        assert refused.status_code == httpx.codes.FORBIDDEN
        assert "exceeded quota" in refused.text

    def test_a_namespace_is_emptied_and_goes(self, admin: httpx.Client) -> None:
        call(admin, "POST", "/api/v1/namespaces", {"metadata": {"name": "brief"}})
        call(admin, "POST", "/api/v1/namespaces/brief/configmaps", {"metadata": {"name": "content"}})
        call(admin, "DELETE", "/api/v1/namespaces/brief")
        gone = httpx.codes.NOT_FOUND
        wait_until(
            lambda: admin.get("/api/v1/namespaces/brief").status_code == gone, DEADLINE_SECONDS, "the namespace to go"
        )

    def test_a_validating_admission_policy_needs_no_webhook(self, admin: httpx.Client) -> None:
        base = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolic"
        rule = {
            "apiGroups": [""],
            "apiVersions": ["v1"],
            "operations": ["CREATE"],
            "resources": ["configmaps"],
            "resourceNames": ["unwanted"],
        }
        spec = {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": "false", "message": "not this one"}],
        }
        call(admin, "POST", f"{base}ies", {"metadata": {"name": "no"}, "spec": spec})
        binding = {"policyName": "no", "validationActions": ["Deny"]}
        call(admin, "POST", f"{base}ybindings", {"metadata": {"name": "no"}, "spec": binding})

        def refused() -> bool:
            path = f"{DEFAULT}/configmaps?dryRun=All"
            return "not this one" in admin.post(path, json={"metadata": {"name": "unwanted"}}).text

        wait_until(refused, DEADLINE_SECONDS, "the policy to count")
        call(admin, "DELETE", f"{base}ybindings/no")
        call(admin, "DELETE", f"{base}ies/no")

    def test_nodes_can_be_added_while_it_runs(self, cluster: ControlPlane, admin: httpx.Client) -> None:
        before = len(call(admin, "GET", "/api/v1/nodes")["items"])
        cluster.add_nodes(1)
        nodes = call(admin, "GET", "/api/v1/nodes")["items"]
        assert len(nodes) == before + 1
        assert not [node for node in nodes if node["spec"].get("taints")]
        leases = call(admin, "GET", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases")["items"]
        assert {lease["metadata"]["name"] for lease in leases} == {node["metadata"]["name"] for node in nodes}

    def test_the_audit_log_has_who_did_what(self, cluster: ControlPlane, admin: httpx.Client) -> None:
        assert cluster.audit_log is not None
        offset = cluster.audit_log.stat().st_size
        call(admin, "POST", f"{DEFAULT}/configmaps", {"metadata": {"name": "audited"}})

        def written() -> list[dict[str, Any]]:
            assert cluster.audit_log is not None
            events = read_events(cluster.audit_log, offset)
            return [event for event in events if event["objectRef"].get("name") == "audited"]

        event = wait_until(written, DEADLINE_SECONDS, "the audit event")[0]
        assert event["verb"] == "create"
        assert event["user"]["username"] == "admin"


class TestOutage:
    """The API server can go away and come back."""

    def test_a_restarted_api_server_has_the_same_address_and_data(
        self, cluster: ControlPlane, admin: httpx.Client
    ) -> None:
        call(admin, "POST", f"{DEFAULT}/configmaps", {"metadata": {"name": "survivor"}})
        url = cluster.url
        cluster.stop_apiserver()
        with pytest.raises(httpx.ConnectError):
            admin.get("/version")
        cluster.start_apiserver()
        assert cluster.url == url
        assert call(admin, "GET", f"{DEFAULT}/configmaps/survivor")["metadata"]["name"] == "survivor"
        cluster.wait_ready()

    def test_a_frozen_api_server_does_not_answer_until_it_is_thawed(
        self, cluster: ControlPlane, admin: httpx.Client
    ) -> None:
        cluster.freeze_apiserver()
        try:
            with pytest.raises(httpx.TimeoutException):
                admin.get("/version", timeout=0.5)
        finally:
            cluster.thaw_apiserver()
        assert call(admin, "GET", "/version")["gitVersion"] == cluster.version


class TestEnd:
    """Whatever happens, nothing is left behind."""

    def test_stop_leaves_no_process_and_no_data_also_after_a_lost_port(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            taken = other.getsockname()[1]
            picks = iter([[taken, *free_ports(3)]])
            monkeypatch.setattr(plane, "free_ports", lambda count: next(picks, None) or free_ports(count))
            cluster = ControlPlane()
            cluster.start()
        assert next(picks, None) is None
        assert cluster.ports.etcd != taken
        pids, directory = cluster.pids, cluster.directory
        assert set(pids) == {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}
        cluster.freeze_apiserver()  # a process that cannot react to SIGTERM has to go all the same
        cluster.stop()
        assert all_gone(pids)
        assert not directory.exists()
        cluster.stop()

    def test_nothing_outlives_a_parent_that_is_killed(self) -> None:
        """The cluster is started in a thread that ends: the kernel ties children to the thread that made them."""
        program = """
            import json, sys, threading
            from tests.controlplane import ControlPlane
            cluster = ControlPlane(nodes=1)
            thread = threading.Thread(target=cluster.start)
            thread.start()
            thread.join()
            cluster.wait_ready(30)
            print(json.dumps([cluster.pids, str(cluster.directory)]), flush=True)
            sys.stdin.read()
        """
        command = [sys.executable, "-c", textwrap.dedent(program)]
        with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
            assert parent.stdout is not None
            pids, directory = json.loads(parent.stdout.readline())
            assert len(pids) == 5
            assert not any(process_started(pid) is None for pid in pids.values())
            parent.kill()
        wait_until(lambda: all_gone(pids), DEADLINE_SECONDS, "the components to end")
        assert Path(directory).exists()  # nobody was left to remove it
        WorkDir(None).remove()
        assert not Path(directory).exists()  # the next start did

    def test_a_component_that_fails_is_named_with_its_last_words(self, tmp_path: Path) -> None:
        program = tmp_path / "etcd"
        program.write_text("#!/bin/sh\necho 'no space left on the moon' >&2\nexit 3\n")
        program.chmod(0o755)

        class Broken(BinaryCache):
            def ensure(self, module: GoModule, *, verify: bool = False) -> dict[str, Path]:
                return {**super().ensure(module), "etcd": program}

        cluster = ControlPlane(binaries=Broken())
        with pytest.raises(ComponentError, match="etcd exited with code 3") as caught:
            cluster.start()
        assert "no space left on the moon" in str(caught.value)
        assert caught.value.log.read_text() == "no space left on the moon\n"
        shutil.rmtree(caught.value.log.parents[1])


def controlplane(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    command = [sys.executable, "-m", "tests.controlplane", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


class TestBackground:
    """`start --detach`, `status`, `kubeconfig`, `stop`: every one may be repeated."""

    def test_start_status_and_stop_may_be_repeated_and_survive_a_crash(self, tmp_path: Path) -> None:
        directory = tmp_path / "cluster"
        assert controlplane("status", "--dir", directory).returncode == 3
        first = controlplane("start", "--detach", "--dir", directory)
        try:
            assert first.returncode == 0, first.stderr
            kubeconfig = first.stdout.strip().removeprefix("export KUBECONFIG=")
            assert Path(kubeconfig).is_file()
            state = service.read_state(directory)
            assert state is not None

            again = controlplane("start", "--detach", "--dir", directory)
            assert again.stdout == first.stdout
            assert "already runs" in again.stderr
            assert service.read_state(directory) == state
            assert controlplane("status", "--dir", directory).returncode == 0
            issued = controlplane("kubeconfig", "--dir", directory, "--user", "alice").stdout.strip()
            assert "name: alice" in Path(issued).read_text()

            os.kill(state.components["kube-scheduler"], signal.SIGKILL)
            wait_until(lambda: not state.is_alive, DEADLINE_SECONDS, "the supervisor to notice a component's end")
            wait_until(lambda: all_gone(state.components), DEADLINE_SECONDS, "the others to be stopped")
            assert "kube-scheduler exited" in (directory / service.SUPERVISOR_LOG).read_text()

            second = controlplane("start", "--detach", "--dir", directory)
            assert second.returncode == 0, second.stderr
            crashed = service.read_state(directory)
            assert crashed is not None
            os.kill(crashed.pid, signal.SIGKILL)
            wait_until(lambda: all_gone(crashed.components), DEADLINE_SECONDS, "the components to end with it")
            status = controlplane("status", "--dir", directory)
            assert status.returncode == 3
            assert "without cleaning up" in status.stdout
        finally:
            stopped = controlplane("stop", "--dir", directory)
        assert stopped.returncode == 0, stopped.stderr
        assert not directory.exists()
        assert controlplane("stop", "--dir", directory).returncode == 0

    def test_stop_ends_everything(self, tmp_path: Path) -> None:
        directory = tmp_path / "cluster"
        state, new = service.start(directory, service.Options(nodes=1, audit=True))
        assert new
        assert service.problem_of(directory, state) is None
        assert service.stop(directory)
        assert all_gone({**state.components, "supervisor": state.pid})
        assert not directory.exists()


@pytest.fixture
def stub(tmp_path: Path) -> GoModule:
    """A Go module that takes a second to build, in place of Kubernetes."""
    folder = tmp_path / "stub"
    folder.mkdir()
    (folder / "go.mod").write_text("module stub.example/hello\n\ngo 1.21\n\ntool stub.example/hello\n")
    (folder / "main.go").write_text('package main\n\nfunc main() { println("hello") }\n')
    return GoModule("stub", "v0.0.1", folder)


def says_hello(binary: Path) -> bool:
    """Whether the binary is whole."""
    return subprocess.run([binary], capture_output=True, check=False).stderr == b"hello\n"


class TestBuild:
    """Binaries are built once, checked always, and never half there."""

    @pytest.fixture(autouse=True)
    def gate(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A `go` on PATH that notes each build and, where asked, waits until the test opens the gate."""
        real = shutil.which("go")
        if real is None:
            pytest.skip("no go on PATH")
        script = tmp_path / "bin" / "go"
        script.parent.mkdir()
        script.write_text(
            textwrap.dedent(f"""\
                #!/bin/sh
                if [ "$1" = build ]; then
                    echo build >> {tmp_path}/builds
                    while [ -e {tmp_path}/closed ]; do sleep 0.05; done
                fi
                exec {real} "$@"
                """)
        )
        script.chmod(0o755)
        monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setenv("CLIENTORG_CACHE", str(tmp_path / "cache"))
        self.builds = tmp_path / "builds"
        self.closed = tmp_path / "closed"

    def count(self) -> int:
        return len(self.builds.read_text().split()) if self.builds.exists() else 0

    def test_a_binary_is_built_once(self, stub: GoModule) -> None:
        binary = BinaryCache().ensure(stub)["hello"]
        assert says_hello(binary)
        assert BinaryCache().ensure(stub) == {"hello": binary}
        assert self.count() == 1

    @pytest.mark.parametrize("damage", ["truncated", "corrupted", "removed", "not executable", "no record"])
    def test_a_damaged_binary_is_found_and_built_again(self, stub: GoModule, damage: str) -> None:
        binary = BinaryCache().ensure(stub)["hello"]
        content = binary.read_bytes()
        if damage == "truncated":
            os.truncate(binary, len(content) // 2)
        elif damage == "corrupted":
            before = binary.stat()
            binary.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
            os.utime(binary, ns=(before.st_atime_ns, before.st_mtime_ns))  # as `cp -p` or a restored backup would
        elif damage == "removed":
            binary.unlink()
        elif damage == "not executable":
            binary.chmod(0o644)
        else:
            binary.with_name("hello.json").unlink()
        assert BinaryCache().ensure(stub) == {"hello": binary}
        assert says_hello(binary)
        assert self.count() == 2

    def test_a_touched_binary_is_hashed_and_kept(self, stub: GoModule) -> None:
        binary = BinaryCache().ensure(stub)["hello"]
        binary.touch()
        BinaryCache().ensure(stub)
        assert self.count() == 1

    def test_leftovers_of_a_killed_build_are_removed(self, stub: GoModule) -> None:
        cache = BinaryCache()
        leftover = cache.folder(stub) / ".build-killed"
        leftover.mkdir(parents=True)
        cache.ensure(stub)
        assert not leftover.exists()

    def test_a_changed_recipe_is_another_binary(self, stub: GoModule) -> None:
        before = BinaryCache().folder(stub)
        (stub.folder / "go.sum").write_text("\n")
        assert BinaryCache().folder(stub) != before

    def test_two_builds_at_once_make_one(self, stub: GoModule) -> None:
        program = f"""
            from pathlib import Path
            from tests.controlplane.binaries import BinaryCache
            from tests.controlplane.modules import GoModule
            print(BinaryCache().ensure(GoModule("stub", "v0.0.1", Path({str(stub.folder)!r})))["hello"])
        """
        command = [sys.executable, "-c", textwrap.dedent(program)]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        self.closed.touch()
        with subprocess.Popen(command, cwd=ROOT, **pipes) as first:
            wait_until(lambda: self.count() == 1, DEADLINE_SECONDS, "the first to build")
            with subprocess.Popen(command, cwd=ROOT, **pipes) as second:
                assert second.stderr is not None
                said = second.stderr.readline()
                self.closed.unlink()
                answers = [process.communicate(timeout=DEADLINE_SECONDS)[0] for process in (first, second)]
        assert "Waiting for another process that builds stub v0.0.1" in said
        assert answers[0] == answers[1]
        assert says_hello(Path(answers[0].strip()))
        assert self.count() == 1

    def test_a_failed_build_says_why_and_leaves_nothing(self, stub: GoModule) -> None:
        (stub.folder / "main.go").write_text("package main\n\nfunc main() { undefined() }\n")
        with pytest.raises(BuildError, match=r"undefined: undefined"):
            BinaryCache().ensure(stub)
        assert [path.name for path in BinaryCache().folder(stub).iterdir()] == [".lock"]

    def test_it_works_without_a_home(self, stub: GoModule, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("HOME", "XDG_CACHE_HOME", "GOPATH", "GOCACHE", "GOMODCACHE"):
            monkeypatch.delenv(name, raising=False)
        binary = BinaryCache().ensure(stub)["hello"]
        assert says_hello(binary)
        assert {path.name for path in binary.parent.iterdir()} == {".lock", "hello", "hello.json"}  # Go's caches went

    def test_progress_is_said_on_standard_error_only(self, stub: GoModule, capsys: pytest.CaptureFixture[str]) -> None:
        BinaryCache(reporter=Reporter()).ensure(stub)
        out, err = capsys.readouterr()
        assert out == ""
        assert "Building stub v0.0.1" in err

    def test_the_wanted_version_has_to_exist(self) -> None:
        assert find("kubernetes") == available("kubernetes")[-1]
        assert find("kubernetes", "1.37").version.startswith("v1.37.")
        with pytest.raises(BuildError, match=r"no Go module for kubernetes 1\.5"):
            find("kubernetes", "1.5")


class TestChoice:
    """`--cluster=local|kind|kubeconfig`, with errors that say what to do."""

    def test_a_kubeconfig_is_used_as_it_is(self, cluster: ControlPlane) -> None:
        chosen = open_cluster("kubeconfig", kubeconfig=cluster.kubeconfig)
        assert chosen.url == cluster.url
        assert not chosen.capabilities.disposable
        chosen.close()
        cluster.wait_ready()

    def test_a_kubeconfig_that_leads_nowhere_is_refused(self, cluster: ControlPlane, tmp_path: Path) -> None:
        pki = Pki(cluster.directory / "pki")
        dead = pki.write_client_kubeconfig(tmp_path / "dead.yaml", f"https://127.0.0.1:{free_ports(1)[0]}", "admin")
        with pytest.raises(ClusterUnavailableError, match=r"leads to https://127.*refused.*--cluster=local"):
            open_cluster("kubeconfig", kubeconfig=dead)

    def test_no_kubeconfig_at_all_is_said(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none.yaml"))
        with pytest.raises(ClusterUnavailableError, match="set KUBECONFIG or pass --kubeconfig"):
            open_cluster("kubeconfig")

    def test_kind_without_kind_or_docker_is_said(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(ClusterUnavailableError, match="needs the program kind"):
            open_cluster("kind")
        (tmp_path / "kind").write_text("#!/bin/sh\n")
        (tmp_path / "kind").chmod(0o755)
        with pytest.raises(ClusterUnavailableError, match="needs a container engine: Docker is not installed"):
            open_cluster("kind")
        (tmp_path / "docker").write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / "docker").chmod(0o755)
        with pytest.raises(ClusterUnavailableError, match="docker is not running"):
            open_cluster("kind")

    def test_a_kind_cluster_is_created_and_deleted_again(
        self, cluster: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """kind and Docker are stand-ins here: the calls are checked, and that what `kind create` writes is used."""
        calls = tmp_path / "calls"
        write = f"""
            #!/bin/sh
            echo "$@" >> {calls}
            while [ "$1" != "--kubeconfig" ] && [ $# -gt 0 ]; do shift; done
            [ -z "$2" ] || cp {cluster.kubeconfig} "$2"
            """
        for name, text in (("kind", textwrap.dedent(write).lstrip()), ("docker", "#!/bin/sh\n")):
            (tmp_path / name).write_text(text)
            (tmp_path / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        with open_cluster("kind") as chosen:
            assert chosen.url == cluster.url
            assert chosen.capabilities.disposable
            assert chosen.kubeconfig.is_file()
        assert not chosen.kubeconfig.exists()
        verbs = [" ".join(line.split()[:2]) for line in calls.read_text().splitlines()]
        assert verbs == ["get clusters", "create cluster", "delete cluster"]


class TestWaiting:
    """Deadlines instead of sleeps."""

    def test_the_value_is_returned_as_soon_as_it_is_there(self) -> None:
        event = threading.Event()
        threading.Timer(0.05, event.set).start()
        assert wait_until(event.is_set, 5, "the event") is True

    def test_a_missed_deadline_says_what_was_waited_for_and_seen(self) -> None:
        with pytest.raises(DeadlineExceededError, match=r"waited 0\.05 s for a pear; seen last: 0"):
            wait_until(lambda: 0, 0.05, "a pear")

    def test_only_named_errors_count_as_not_yet(self) -> None:
        with pytest.raises(DeadlineExceededError, match="ControlPlaneError"):
            wait_until(lambda: 1 if fail(ControlPlaneError("not yet")) else 0, 0.05, "it", ignore=ControlPlaneError)
        with pytest.raises(ZeroDivisionError):
            wait_until(lambda: 1 if fail(ZeroDivisionError()) else 0, 0.05, "it", ignore=ControlPlaneError)


def fail(error: Exception) -> bool:
    """Raise, where only an expression fits."""
    raise error
