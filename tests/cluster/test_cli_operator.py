"""`kubectl clientorg` with the operator at work: what a person at an agency does in a day (issue 3, deliverable 6)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cluster._cli_support import Cli, home, lines_with
from tests.cluster.verbs import Agency
from tests.controlplane.choose import Cluster
from tests.support.process import OperatorProcess

__all__ = ["home"]  # fixture

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("operator")]

CONTACT = ("--first-name", "Yuki", "--last-name", "Sato", "--email", "yuki@acme.example", "--language", "ja")


@pytest.fixture
def cli(cluster: Cluster, tokyo: Agency, home: Path) -> Cli:
    """The command in an agency with 1,000 visitors, as an administrator."""
    return Cli(Path(cluster.kubeconfig), tokyo.name, home)


def create(cli: Cli, name: str, quantity: int, *arguments: str) -> str:
    """Create a client; returns what the command said."""
    terms = ("--pool", "pool", "--plan", "standard", "--license", f"visitors={quantity}")
    return cli.do("create", name, "--display-name", name.capitalize(), *CONTACT, *terms, *arguments).out


def test_a_client_from_its_creation_to_its_end(cli: Cli, tokyo: Agency) -> None:
    """Z1, Z2, Z3, Z5, Z10, Z12: each command waits until the operator has done it."""
    assert "acme created" in create(cli, "acme", 300, "--wait")
    assert lines_with(cli.do("list").out, ["acme", "Active", "True", "-/300", "300"])
    assert "What to do" not in cli.do("describe", "acme").out

    cli.do("reallocate", "acme", "--license", "visitors", "--by", "+200", "--wait")
    assert lines_with(cli.do("pool", "pool").out, ["visitors", "1,000", "500", "500", "50%"])

    workspace = json.loads(cli.do("list", "-o", "json").out)["items"][0]["status"]["workspace"]["namespace"]
    assert workspace in cli.run("delete", "acme").err, "what would be lost"
    assert cli.do("delete", "acme", "--confirm", "acme").out == "clientorg.clientorg.dev/acme deleted\n"
    tokyo.pool.expect_allocated(visitors=0)


def test_a_move_in_a_pool_with_nothing_left(cli: Cli, tokyo: Agency) -> None:
    """Z5: the receiver gets what the source gives, not whoever has waited longer."""
    create(cli, "acme", 400, "--wait")
    create(cli, "globex", 600, "--wait")
    create(cli, "initech", 100)
    tokyo.client("probe")  # waits behind initech
    cli.do("reallocate", "acme", "--license", "visitors", "--from", "globex", "--by", "250", "--wait")
    out = cli.do("list", "--sort-by", "name").out
    assert lines_with(out, ["acme", "Active", "-/650"])
    assert lines_with(out, ["globex", "Active", "-/350"])
    assert lines_with(out, ["initech", "QuotaPending"])
    tokyo.pool.expect_allocated(visitors=1000)


def test_a_client_that_waits_says_where_and_what_helps(cli: Cli, tokyo: Agency) -> None:
    """Z2: and doing what it says makes it Ready."""
    create(cli, "acme", 900, "--wait")
    answer = cli.run("create", "globex", "--display-name", "G", *CONTACT, "--pool", "pool", "--plan", "standard",
                     "--license", "visitors=300", "--wait=3s")  # fmt: skip
    assert answer.code == 3
    assert "globex to become Ready" in answer.err
    assert "Warning: " in answer.err
    assert lines_with(cli.do("pool").out, ["1", "globex", "visitors 300"])
    described = cli.do("describe", "globex").out
    assert lines_with(described, ["position 1 in pool pool"])
    (advised,) = lines_with(described, ["reallocate globex", "--from OTHER --by 300"])
    words = advised.partition("#")[0].replace("OTHER", "acme").split()[2:]
    cli.do(*words, "--wait")
    assert lines_with(cli.do("list").out, ["globex", "Active", "-/300"])


def test_reconcile_waits_for_the_answer(cli: Cli, tokyo: Agency) -> None:
    create(cli, "acme", 10, "--wait")
    assert "reconcile requested" in cli.do("reconcile", "acme", "--wait").out


def test_events_of_the_operator_are_shown(cli: Cli, tokyo: Agency) -> None:
    """Z9: in-app."""
    create(cli, "acme", 900, "--wait")
    create(cli, "globex", 300)
    tokyo.pool.expect(lambda it: it["status"].get("pendingClients") == 1, "have a client waiting")
    described = cli.do("describe", "globex").out
    assert lines_with(described, ["Ready", "False", "QuotaPending"])


def test_a_settled_client_is_not_written_by_looking_at_it(cli: Cli, tokyo: Agency, operator: OperatorProcess) -> None:
    create(cli, "acme", 10, "--wait")
    before = tokyo.list_clients()
    for arguments in (("list",), ("describe", "acme"), ("pool",), ("delete", "acme", "--dry-run")):
        cli.do(*arguments)
    assert tokyo.list_clients() == before
