"""`kubectl clientorg` on a real API server, each command as its own process (issue 3, deliverable 6)."""

from __future__ import annotations

import csv
import io
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from clientorg.cluster.resources import CLIENT_ORGS, QUOTA_POOLS
from tests.cluster._cli_support import (
    DEADLINE_SECONDS,
    Agency,
    Answer,
    Cli,
    Lines,
    agency,
    home,
    kubeconfig_at,
    lines_with,
    plane,
    ready,
    write_event,
)
from tests.controlplane.waiting import DeadlineExceededError, wait_until

__all__ = ["agency", "home", "plane"]  # fixtures

pytestmark = pytest.mark.cluster

ALL_FLAGS = (
    *(
        "--display-name",
        "Globex s.r.o.",
        "--first-name",
        "Jana",
        "--last-name",
        "Nová",
        "--email",
        "jana@globex.example",
    ),
    *("--language", "cs", "--pool", "tokyo", "--plan", "standard", "--license", "visitors=2,000"),
)


def test_list_shows_state_and_licenses(agency: Agency) -> None:
    """Z12: state, quota, used and remaining at a glance."""
    agency.client("acme", granted=500, used=120)
    answer = agency.cli.do("list")
    header = ["NAME", "STATE", "READY", "REASON", "PLAN", "USED/GRANTED", "REMAINING", "PERCENT", "AGE"]
    assert answer.rows[0] == header
    assert answer.rows[1][:-1] == ["acme", "Active", "True", "Ready", "standard", "visitors 120/500", "380", "24%"]
    assert "\x1b" not in answer.out, "colors only on a terminal"


def test_list_wide_shows_contact_workspace_and_message(agency: Agency) -> None:
    agency.client("acme", granted=500, tags=["vip"])
    out = agency.cli.do("list", "-o", "wide").out
    for word in ("Acme K.K.", "tokyo", "id-acme", "acme-id", "yuki@acme.example", "vip", "the client can work"):
        assert word in out


def test_list_prints_objects_without_managed_fields(agency: Agency) -> None:
    agency.client("acme")
    as_json = json.loads(agency.cli.do("list", "-o", "json").out)
    as_yaml = yaml.safe_load(agency.cli.do("list", "-o=yaml").out)
    assert as_json == as_yaml
    assert [item["metadata"]["name"] for item in as_json["items"]] == ["acme"]
    assert "managedFields" not in as_json["items"][0]["metadata"]
    assert as_json["items"][0]["apiVersion"] == "clientorg.dev/v1alpha1"


def test_list_as_csv_has_columns_for_each_license(agency: Agency) -> None:
    """S12."""
    agency.client("acme", granted=500, used=120)
    rows = list(csv.DictReader(io.StringIO(agency.cli.do("list", "-o", "csv").out)))
    assert rows[0]["name"] == "acme"
    assert (rows[0]["visitors.granted"], rows[0]["visitors.used"], rows[0]["visitors.remaining"]) == (
        "500",
        "120",
        "380",
    )


def test_list_names_are_what_kubectl_takes(agency: Agency) -> None:
    agency.client("acme")
    assert agency.cli.do("list", "-o", "name").out == "clientorg.clientorg.dev/acme\n"


def test_list_selects_by_every_filter(agency: Agency) -> None:
    """W4: filters combine; what has one value is selected by the server."""
    agency.client("acme", granted=500, tags=["vip", "beta"])
    agency.client("globex", tags=["vip"], planRef={"name": "premium"})
    agency.client("initech", displayName="初音株式会社")

    def names(*arguments: str) -> list[str]:
        return [line.rpartition("/")[2] for line in agency.cli.do("list", "-o", "name", *arguments).out.splitlines()]

    assert names("--state", "active") == ["acme"]
    assert names("--plan", "premium") == ["globex"]
    assert names("--plan", "standard,premium") == ["acme", "globex", "initech"]
    assert names("--pool", "tokyo", "--tag", "vip") == ["acme", "globex"]
    assert names("--tag", "vip", "--tag", "beta") == ["acme"]
    assert names("--search", "初音") == ["initech"]
    assert names("--search", "YUKI@GLOBEX") == ["globex"]
    assert names("--field-selector", "spec.contact.email=yuki@acme.example") == ["acme"]
    assert names("-l", "nothing=has-this") == []
    assert names("--sort-by", "-name") == ["initech", "globex", "acme"]


def test_list_of_nothing_says_so_on_stderr(agency: Agency) -> None:
    answer = agency.cli.do("list")
    assert answer.out == ""
    assert f"No clients in namespace {agency.namespace}" in answer.err
    assert "match these filters" in agency.cli.do("list", "--tag", "x").err


def test_list_of_all_namespaces_names_them(agency: Agency) -> None:
    agency.client("acme")
    answer = agency.cli.do("list", "-A", "--no-headers", "--field-selector", "metadata.name=acme")
    assert lines_with(answer.out, [agency.namespace, "acme"])
    assert not lines_with(answer.out, ["NAMESPACE"])


def test_list_reads_every_page(agency: Agency) -> None:
    """More clients than a page holds: the rest is fetched with the server's continue tokens."""
    for index in range(5):
        agency.client(f"client-{index}")
    code = "import clientorg.cli.listing as l; l.PAGE = 2; from clientorg.cli.main import run; run()"
    argv = [sys.executable, "-c", code, "-n", agency.namespace, "list", "-o", "name"]
    done = subprocess.run(argv, capture_output=True, text=True, env=agency.cli.env(), timeout=60, check=True)
    assert len(done.stdout.splitlines()) == 5


def test_watch_appends_a_line_for_each_change(agency: Agency) -> None:
    agency.client("acme")
    process = agency.cli.start("list", "--watch", "-o", "name")
    out = Lines(process.stdout)
    try:
        assert out.next() == "clientorg.clientorg.dev/acme"
        agency.client("globex")
        assert out.next() == "clientorg.clientorg.dev/globex"
        agency.status("acme", state="Active")
        assert out.next() == "clientorg.clientorg.dev/acme"
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(20)
    assert code == 130, "Ctrl-C"


def test_describe_tells_all_and_what_to_do(agency: Agency) -> None:
    """W6, Z9: in-app, with the commands that help."""
    agency.client("acme", admins=[{"name": "yuki@acme.example", "role": "Full"}])
    agency.pool_status(total=10_000, allocated=9_900, pending=400)
    agency.status(
        "acme",
        observedGeneration=1,
        state="Provisioning",
        licenses=[{"name": "visitors", "granted": 100, "used": 40, "remaining": 60}],
        pending={"since": "2026-11-01T00:00:00Z", "position": 3},
        conditions=[ready("False", "QuotaPending", "position 3 in the queue")],
    )
    write_event(agency, "acme", "QuotaPending", "the pool lacks 300 visitors")
    out = agency.cli.do("describe", "acme").out
    assert lines_with(out, ["visitors", "500", "100", "40", "60"])
    assert lines_with(out, ["position 3 in pool tokyo"])
    assert lines_with(out, ["yuki@acme.example", "User", "Full"])
    assert lines_with(out, ["Warning", "QuotaPending", "the pool lacks 300 visitors"])
    assert lines_with(out, ["Plan:", "standard (Standard)"])
    assert lines_with(out, [f"reallocate acme -n {agency.namespace} --license visitors --from OTHER --by 400"])


def test_describe_shows_the_others_when_one_is_missing(agency: Agency) -> None:
    agency.client("acme")
    answer = agency.cli.run("describe", "nobody", "acme")
    assert answer.code == 1
    assert "Acme K.K." in answer.out
    assert "there is no client 'nobody'" in answer.err


def test_create_from_flags(agency: Agency) -> None:
    """Z1, Z2, A2."""
    arguments = (*ALL_FLAGS, "--tag", "vip,new", "--admin", "jana@globex.example=full", "--admin-group", "staff")
    answer = agency.cli.do("create", "globex", *arguments, "--postal-code", "08123", "--country", "CZ")
    assert answer.out == "clientorg.clientorg.dev/globex created\n"
    spec = agency.get("globex")["spec"]
    assert spec["contact"] == {
        "firstName": "Jana",
        "lastName": "Nová",
        "email": "jana@globex.example",
        "language": "cs",
    }
    assert spec["licenses"] == [{"name": "visitors", "quantity": 2000}]
    assert spec["tags"] == ["vip", "new"]
    assert spec["address"] == {"postalCode": "08123", "country": "CZ"}
    assert [(a["name"], a["kind"], a["role"]) for a in spec["admins"]] == [
        ("jana@globex.example", "User", "Full"),
        ("staff", "Group", "ReadOnly"),
    ]


def test_create_without_a_terminal_names_everything_that_is_missing(agency: Agency) -> None:
    answer = agency.cli.run("create", "--first-name", "Jana")
    assert answer.code == 2
    for flag in ("NAME", "--display-name", "--last-name", "--email", "--pool", "--plan", "--license NAME=QUANTITY"):
        assert flag in answer.err
    assert "--first-name" not in answer.err


def test_create_names_every_fault_with_its_flag(agency: Agency) -> None:
    """Z1: a malformed field is refused with its name."""
    answer = agency.cli.run("create", "globex", *ALL_FLAGS, "--email", "nope", "--country", "Japan")
    assert answer.code == 1
    assert lines_with(answer.err, ["spec.contact.email (--email)"])
    assert lines_with(answer.err, ["spec.address.country (--country)"])
    assert not agency.exists("globex")


def test_create_prints_a_manifest_that_kubectl_applies(agency: Agency) -> None:
    """X1: for Git."""
    text = agency.cli.do("create", "globex", *ALL_FLAGS, "--postal-code", "08123", "--dry-run=client", "-o", "yaml").out
    assert yaml.safe_load(text)["metadata"] == {"name": "globex", "namespace": agency.namespace}
    kubectl(agency, "apply", "-f", "-", stdin=text)
    assert agency.get("globex")["spec"]["address"] == {"postalCode": "08123"}


def test_client_side_dry_run_needs_no_cluster(agency: Agency, tmp_path: Path) -> None:
    nowhere = agency.cli.as_(tmp_path / "absent")
    answer = nowhere.do("create", "globex", *ALL_FLAGS, "--dry-run=client", "-o", "json")
    assert json.loads(answer.out)["kind"] == "ClientOrg"
    refused = nowhere.run("create", "globex", *ALL_FLAGS, "--email", "nope", "--dry-run=client")
    assert refused.code == 2
    assert "spec.contact.email (--email)" in refused.err


def test_create_prints_the_warnings_of_the_server(agency: Agency) -> None:
    """Z2: the writer is warned that the pool is short, once."""
    answer = agency.cli.do("create", "globex", *ALL_FLAGS[:-1], "visitors=20000")
    assert answer.err.count("Warning: pool tokyo is short") == 1


def test_create_warns_of_a_pool_or_plan_that_is_not_there(agency: Agency) -> None:
    """They may come later, as in Git; no policy can tell."""
    answer = agency.cli.do("create", "globex", *ALL_FLAGS, "--pool", "osaka", "--plan", "gold")
    assert "Warning: there is no pool 'osaka'" in answer.err
    assert "Warning: there is no plan 'gold'" in answer.err


def test_create_of_a_taken_name_is_refused(agency: Agency) -> None:
    agency.client("globex")
    answer = agency.cli.run("create", "globex", *ALL_FLAGS)
    assert answer.code == 1
    assert "there is a client 'globex' already" in answer.err


def test_edit_contact_changes_only_what_is_given(agency: Agency) -> None:
    """Z4."""
    before = agency.client("acme")["spec"]["contact"]
    answer = agency.cli.do("edit-contact", "acme", "--email", "keiko@acme.example", "--phone", "+81 3 1234")
    assert lines_with(answer.out, ["spec.contact.email", "yuki@acme.example", "keiko@acme.example"])
    after = agency.get("acme")["spec"]["contact"]
    assert after == {**before, "email": "keiko@acme.example", "phone": "+81 3 1234"}
    agency.cli.do("edit-contact", "acme", "--phone", "")
    assert "phone" not in agency.get("acme")["spec"]["contact"]


def test_edit_contact_writes_nothing_when_it_is_so_already(agency: Agency) -> None:
    agency.client("acme")
    version = agency.version("acme")
    assert "unchanged" in agency.cli.do("edit-contact", "acme", "--email", "yuki@acme.example").out
    assert agency.version("acme") == version


def test_reallocate_to_and_by(agency: Agency) -> None:
    """Z5: totals follow."""
    agency.client("acme", granted=500, used=120)
    agency.pool_status(total=10_000, allocated=500)
    answer = agency.cli.do("reallocate", "acme", "--license", "visitors", "--by", "+1,000")
    assert lines_with(answer.out, ["acme", "visitors", "500", "1,500", "+1,000", "120", "1,380"])
    assert lines_with(answer.out, ["tokyo", "visitors", "10,000", "500", "1,500", "+1,000", "9,500", "8,500"])
    assert agency.quantity("acme") == 1500
    agency.cli.do("reallocate", "acme", "--license", "visitors", "--by", "-300")
    assert agency.quantity("acme") == 1200
    agency.cli.do("reallocate", "acme", "--license", "visitors", "--to", "200")
    assert agency.quantity("acme") == 200


def test_reallocate_below_what_is_used_is_refused_with_the_numbers(agency: Agency) -> None:
    """Z4."""
    agency.client("acme", granted=500, used=120)
    version = agency.version("acme")
    answer = agency.cli.run("reallocate", "acme", "--license", "visitors", "--to", "100")
    assert answer.code == 2
    assert "uses 120 visitors" in answer.err
    assert agency.version("acme") == version


def test_reallocate_beyond_the_pool_warns_once_and_goes_on(agency: Agency) -> None:
    """Z2: the client waits visibly; that is allowed."""
    agency.client("acme", granted=500)
    agency.pool_status(total=10_000, allocated=500)
    answer = agency.cli.do("reallocate", "acme", "--license", "visitors", "--to", "20000")
    assert answer.err.count("Warning:") == 1
    assert "pool tokyo lacks 10,000 visitors" in answer.err
    assert agency.quantity("acme") == 20_000


def test_reallocate_adds_a_license_of_the_pool_and_refuses_others(agency: Agency) -> None:
    agency.client("acme")
    licenses = [{"name": "visitors", "quantity": 10_000}, {"name": "seats", "quantity": 5}]
    agency.plane.patch(QUOTA_POOLS, agency.namespace, "tokyo", {"spec": {"licenses": licenses}})
    agency.cli.do("reallocate", "acme", "--license", "seats", "--to", "3")
    assert (agency.quantity("acme"), agency.quantity("acme", "seats")) == (500, 3)
    answer = agency.cli.run("reallocate", "acme", "--license", "chairs", "--to", "3")
    assert answer.code == 2
    assert "it has visitors and seats" in answer.err


def test_moving_licenses_writes_both_halves(agency: Agency) -> None:
    """Z5: in one step; the receiver names the other half, so that nobody else gets what the source gives back."""
    agency.client("acme", granted=500)
    agency.client("globex", granted=500, used=100)
    agency.pool_status(total=1_000, allocated=1_000)
    answer = agency.cli.do("reallocate", "acme", "--license", "visitors", "--from", "globex", "--by", "300")
    assert (agency.quantity("acme"), agency.quantity("globex")) == (800, 200)
    assert agency.get("acme")["metadata"]["annotations"]["clientorg.dev/transfer-from"] == "globex/visitors/200/800"
    assert "Warning" not in answer.err, "the pool is not short: the source gives what the receiver takes"
    assert lines_with(answer.out, ["tokyo", "1,000", "0"])


def test_a_move_that_takes_what_the_source_uses_is_refused(agency: Agency) -> None:
    agency.client("acme", granted=500)
    agency.client("globex", granted=500, used=400)
    answer = agency.cli.run("reallocate", "acme", "--license", "visitors", "--from", "globex", "--by", "300")
    assert answer.code == 2
    assert "globex uses 400 visitors" in answer.err
    assert (agency.quantity("acme"), agency.quantity("globex")) == (500, 500)


def test_reallocate_waits_until_the_status_shows_it(agency: Agency) -> None:
    agency.client("acme", granted=500)
    process = agency.cli.start("reallocate", "acme", "--license", "visitors", "--to", "700", "--wait=30s")
    wait_until(lambda: agency.quantity("acme") == 700, 20, "the write")
    assert process.poll() is None
    agency.status("acme", observedGeneration=2, licenses=[{"name": "visitors", "granted": 700}])
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert "500 → 700" in out


def test_waiting_in_vain_is_exit_code_3(agency: Agency) -> None:
    agency.client("acme", granted=500)
    answer = agency.cli.run("reallocate", "acme", "--license", "visitors", "--to", "700", "--wait=1s")
    assert answer.code == 3
    assert "still waiting for acme to have 700 visitors" in answer.err
    assert agency.quantity("acme") == 700


def test_pool_shows_stock_queue_and_biggest_clients(agency: Agency) -> None:
    """Z2, Z5."""
    agency.client("acme", granted=500, used=120)
    agency.client("globex")
    agency.status("globex", observedGeneration=1, pending={"since": "2026-11-01T00:00:00Z", "position": 1})
    agency.pool_status(total=10_000, allocated=2_500, pending=500)
    out = agency.cli.do("pool", "tokyo").out
    assert lines_with(out, ["visitors", "10,000", "2,500", "7,500", "500", "25%"])
    assert lines_with(out, ["1", "globex", "visitors 500"])
    assert lines_with(out, ["visitors", "acme", "500", "120", "380"])
    table = list(csv.DictReader(io.StringIO(agency.cli.do("pool", "-o", "csv").out)))
    assert table[0]["available"] == "7500"
    assert json.loads(agency.cli.do("pool", "tokyo", "-o", "json").out)["kind"] == "QuotaPool"
    assert agency.cli.run("pool", "osaka").code == 1


def test_delete_without_confirmation_refuses_and_says_what_would_be_lost(agency: Agency) -> None:
    """Z10."""
    agency.client("acme", granted=500, used=120)
    version = agency.version("acme")
    for arguments in ((), ("--confirm", "acmee")):
        answer = agency.cli.run("delete", "acme", *arguments)
        assert answer.code == 2
        assert "nothing was deleted" in answer.err
        assert "500 visitors return to pool tokyo (120 visitors in use)" in answer.err
        assert "namespace acme-id" in answer.err
        assert f"kubectl clientorg delete acme -n {agency.namespace} --confirm acme" in answer.err
    assert agency.version("acme") == version


def test_delete_with_confirmation_passes_the_guard_and_waits(agency: Agency) -> None:
    """Z10: the policy refuses a plain delete, and lets this one through."""
    agency.client("acme")
    agency.plane.patch(CLIENT_ORGS, agency.namespace, "acme", {"metadata": {"finalizers": ["clientorg.dev/workspace"]}})
    process = agency.cli.start("delete", "acme", "--confirm", "acme")
    wait_until(lambda: "deletionTimestamp" in agency.get("acme")["metadata"], 20, "the deletion to begin")
    assert process.poll() is None, "it waits until the client is gone"
    assert agency.get("acme")["metadata"]["annotations"]["clientorg.dev/confirm-deletion"] == "acme"
    agency.plane.patch(CLIENT_ORGS, agency.namespace, "acme", {"metadata": {"finalizers": None}})
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, "clientorg.clientorg.dev/acme deleted\n"), err
    assert not agency.exists("acme")


def test_delete_does_not_wait_for_ever_or_not_at_all(agency: Agency) -> None:
    agency.client("acme")
    agency.plane.patch(CLIENT_ORGS, agency.namespace, "acme", {"metadata": {"finalizers": ["clientorg.dev/workspace"]}})
    assert agency.cli.run("delete", "acme", "--confirm", "acme", "--timeout", "1s").code == 3
    assert agency.cli.do("delete", "acme", "--confirm", "acme", "--wait=false").out.endswith("is being deleted\n")
    agency.plane.patch(CLIENT_ORGS, agency.namespace, "acme", {"metadata": {"finalizers": None}})


def test_a_refused_delete_takes_the_confirmation_off_again(agency: Agency) -> None:
    """A confirmation that lies about would let the next careless delete through."""
    agency.client("acme")
    user = grant(agency, "editor", "get,list,watch,create,update,patch")
    answer = agency.cli.as_(user).run("delete", "acme", "--confirm", "acme")
    assert answer.code == 1
    assert "user 'editor' may not delete clientorgs.clientorg.dev" in answer.err
    assert "clientorg.dev/confirm-deletion" not in (agency.get("acme")["metadata"].get("annotations") or {})
    assert agency.cli.as_(user).run("delete", "acme", "--dry-run").code == 1, "the dry run says so before"


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "globex", *ALL_FLAGS, "--dry-run"),
        ("create", "globex", *ALL_FLAGS, "--dry-run=client"),
        ("edit-contact", "acme", "--email", "keiko@acme.example", "--dry-run"),
        ("edit-contact", "acme", "--email", "keiko@acme.example", "--dry-run=client"),
        ("reallocate", "acme", "--license", "visitors", "--to", "700", "--dry-run"),
        ("reallocate", "acme", "--license", "visitors", "--from", "initech", "--by", "100", "--dry-run"),
        ("reallocate", "acme", "--license", "visitors", "--from", "initech", "--by", "100", "--dry-run=client"),
        ("delete", "acme", "--dry-run"),
        ("delete", "acme", "--confirm", "acme", "--dry-run"),
        ("reconcile", "acme", "--dry-run"),
    ],
    ids=lambda arguments: " ".join(word for word in arguments if word not in ALL_FLAGS),
)
def test_dry_runs_change_nothing(agency: Agency, arguments: tuple[str, ...]) -> None:
    """X4."""
    agency.client("acme", granted=500)
    agency.client("initech", granted=500)
    before = agency.version("acme"), agency.version("initech")
    answer = agency.cli.do(*arguments)
    assert "dry run)" in answer.out
    assert (agency.version("acme"), agency.version("initech")) == before
    assert not agency.exists("globex")


def test_a_server_side_dry_run_reports_what_the_server_refuses(agency: Agency) -> None:
    agency.client("acme")
    answer = agency.cli.run("edit-contact", "acme", "--email", "nope", "--dry-run")
    assert answer.code == 1
    assert "spec.contact.email (--email)" in answer.err


def test_reconcile_sets_a_new_request_each_time(agency: Agency) -> None:
    agency.client("acme")
    stamps = []
    for _ in range(2):
        agency.cli.do("reconcile", "acme")
        stamps.append(agency.get("acme")["metadata"]["annotations"]["clientorg.dev/reconcile-requested-at"])
    assert stamps[0] < stamps[1]


def test_missing_rights_say_whom_to_ask_and_how_to_check(agency: Agency) -> None:
    agency.client("acme")
    jane = agency.plane.kubeconfig_for("jane")
    answer = agency.cli.as_(jane).run("list")
    assert answer.code == 1
    assert "user 'jane' may not list clientorgs.clientorg.dev" in answer.err
    assert f"kubectl auth can-i list clientorgs.clientorg.dev -n {agency.namespace}" in answer.err


def test_reading_needs_no_more_than_the_rights_on_clients(agency: Agency) -> None:
    """Plans, pools and events that may not be read are left out, not an error."""
    agency.client("acme", granted=500)
    reader = agency.cli.as_(grant(agency, "reader", "get,list,watch"))
    assert "Acme K.K." in reader.do("describe", "acme").out
    writer = agency.cli.as_(grant(agency, "writer", "get,list,watch,patch"))
    assert "500 → 600" in writer.do("reallocate", "acme", "--license", "visitors", "--to", "600").out


def test_an_unreachable_server_says_what_to_check(agency: Agency, tmp_path: Path) -> None:
    nowhere = kubeconfig_at(tmp_path / "dead", "https://127.0.0.1:1")
    answer = agency.cli.as_(nowhere).run("list")
    assert answer.code == 1
    assert "cannot reach the API server https://127.0.0.1:1" in answer.err
    assert len(answer.err.splitlines()) == 1


def test_wrong_credentials_say_to_log_in(agency: Agency, tmp_path: Path) -> None:
    config = yaml.safe_load(agency.plane.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": "expired"}
    path = tmp_path / "expired"
    path.write_text(json.dumps(config))
    answer = agency.cli.as_(path).run("list")
    assert answer.code == 1
    assert "log in again" in answer.err


def test_flags_stand_before_or_after_the_command(agency: Agency) -> None:
    agency.client("acme")
    for arguments in (
        ("-n", agency.namespace, "list"),
        ("list", "-n", agency.namespace),
        ("list", f"-n={agency.namespace}"),
    ):
        elsewhere = Cli(agency.plane.kubeconfig, "", agency.cli.home)
        assert "acme" in elsewhere.do(*arguments).out


def test_a_closed_pipe_is_no_error(agency: Agency) -> None:
    for index in range(3):
        agency.client(f"client-{index}")
    process = agency.cli.start("list", "-o", "json")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(20) == 0


def test_kubectl_finds_and_completes_the_plugin(agency: Agency) -> None:
    """Both executables as kubectl runs them."""
    agency.client("acme", granted=500, used=120)
    agency.client("globex")
    assert "acme" in kubectl(agency, "clientorg", "list", "-n", agency.namespace).out

    def candidates(*words: str) -> list[str]:
        out = kubectl(agency, "__complete", "clientorg", *words).out.splitlines()
        assert out[-1].startswith(":")
        return [line.partition("\t")[0] for line in out[:-1]] + [out[-1]]

    def completes(*words: str, to: list[str]) -> None:
        """A completion gives up after two seconds, which a busy machine may take; then the user presses Tab again."""
        seen: list[list[str]] = []

        def is_complete() -> bool:
            seen.append(candidates(*words))
            return seen[-1] == to

        try:
            wait_until(is_complete, DEADLINE_SECONDS, f"{words} to be completed")
        except DeadlineExceededError as error:
            raise AssertionError(f"{error}: {seen[-1]} and not {to}") from error

    where = ("-n", agency.namespace)
    completes("rec", to=["reconcile", ":4"])
    completes("list", "--fie", to=["--field-selector", ":4"])
    completes(*where, "describe", "", to=["acme", "globex", ":4"])
    completes("describe", *where, "acme", "", to=["globex", ":4"])
    completes("pool", *where, "", to=["tokyo", ":4"])
    completes("create", "x", *where, "--license", "", to=["visitors=", ":6"])
    completes("reallocate", "acme", *where, "--license", "visitors", "--from", "", to=["globex", ":4"])
    completes("list", "-n", agency.namespace[:-2], to=[agency.namespace, ":4"])
    completes("list", f"--namespace={agency.namespace[:-2]}", to=[agency.namespace, ":4"])
    completes("delete", "acme", *where, "--confirm", "", to=[":4"])
    agency.plane.patch(CLIENT_ORGS, agency.namespace, "globex", {"spec": {"state": "Paused"}})
    completes("pause", *where, "", to=["acme", ":4"])
    completes("resume", *where, "", to=["globex", ":4"])
    completes("approve", *where, "", to=["globex", ":4"])  # acme works already
    completes("reject", *where, "", to=["globex", ":4"])
    completes("terminate", *where, "a", to=["acme", ":4"])
    completes("terminate", *where, "acme", "--consent-text", "", to=[":4"])
    message = {"key": "paused-1", "kind": "paused", "params": {}, "created": "2026-11-01T00:00:00Z"}
    agency.status("acme", outbox=[message])
    completes("notify", "acme", *where, "--resend", "", to=["paused", "paused-1", ":4"])


def test_bash_completes_the_executable_itself(agency: Agency) -> None:
    """The script as a shell runs it; without the package bash-completion, which may not be there."""
    agency.client("acme")
    script = """
        source <(kubectl-clientorg completion bash)
        COMP_WORDS=(kubectl-clientorg -n "$1" describe "")
        COMP_CWORD=4
        __kubectl_clientorg
        echo "${COMPREPLY[@]}"
    """
    argv = ["bash", "--norc", "-c", script, "bash", agency.namespace]
    done = subprocess.run(argv, capture_output=True, text=True, env=agency.cli.env(), timeout=60, check=True)
    assert done.stdout == "acme\n"


def test_completion_is_silent_when_nothing_answers(agency: Agency, tmp_path: Path) -> None:
    nowhere = agency.cli.as_(kubeconfig_at(tmp_path / "dead", "https://127.0.0.1:1"))
    argv = [str(agency.cli.home / "bin" / "kubectl_complete-clientorg"), "describe", ""]
    done = subprocess.run(argv, capture_output=True, text=True, env=nowhere.env(), timeout=20, check=True)
    assert (done.stdout, done.stderr) == (":4\n", "")


def kubectl(agency: Agency, *arguments: str, stdin: str = "") -> Answer:
    """kubectl with the plugin on its PATH; it must succeed."""
    argv = [str(agency.plane.kubectl), *arguments]
    done = subprocess.run(
        argv, input=stdin, capture_output=True, text=True, env=agency.cli.env(), timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return Answer(done.returncode, done.stdout, done.stderr)


def grant(agency: Agency, user: str, verbs: str) -> Path:
    """A kubeconfig of a user who may do these verbs on clients of the agency, and nothing else."""
    kubeconfig = agency.plane.kubeconfig_for(user)
    where: tuple[Any, ...] = ("-n", agency.namespace)
    kubectl(agency, "create", "role", user, *where, f"--verb={verbs}", "--resource=clientorgs.clientorg.dev")
    kubectl(agency, "create", "rolebinding", user, *where, f"--role={user}", f"--user={user}")
    return kubeconfig
