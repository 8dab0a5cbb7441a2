"""`kubectl clientorg export` on a real API server, as its own process (issue 5, deliverable 8)."""

from __future__ import annotations

import csv
import io
import subprocess
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from clientorg.cluster.resources import ORG_PLANS, POINT_TRANSACTIONS
from tests.cluster._cli_support import Agency, agency, home, manifest, plane

__all__ = ["agency", "home", "plane"]  # fixtures

pytestmark = pytest.mark.cluster

Json = dict[str, Any]

CHARGE: Json = {
    "plan": "standard",
    "planGeneration": 1,
    "dueTime": "2025-11-25T00:00:00Z",
    "users": 15,
    "includedUsers": 10,
    "basePoints": 1000,
    "pointsPerExtraUser": 50,
}


def post(
    agency: Agency, entry: int | None, name: str, posted: str = "", *, org_id: str = "idacme", **spec: Any
) -> None:
    """Create a PointTransaction; with an entry's number, as the operator leaves it once posted."""
    transaction = manifest("PointTransaction", name, agency.namespace, spec)
    if spec["kind"] == "Charge":
        agency.plane.create_as_operator(transaction)
    else:
        agency.plane.create(POINT_TRANSACTIONS, agency.namespace, transaction)
    status: Json = {"phase": "Waiting"}
    if entry is not None:
        status = {"phase": "Posted", "entry": entry, "postedTime": posted, "pool": "tokyo"}
        if spec["kind"] != "Purchase":
            status["orgID"] = org_id
    agency.plane.patch(POINT_TRANSACTIONS, agency.namespace, name, {"status": status}, subresource="status")


@pytest.fixture
def books(agency: Agency) -> Agency:
    """An agency in Tokyo with two clients, and the ledger of a few months."""
    agency.plane.patch(
        ORG_PLANS,
        agency.namespace,
        "standard",
        {"spec": {"timeZone": "Asia/Tokyo", "notifications": {"senderName": "Harbor Digital"}}},
    )
    agency.client("acme", granted=500, used=120, displayName="=Acme <b>K.K.</b>", contractedUsers=15, tags=["vip"])
    agency.status("acme", orgID="idacme", points={"balance": 1750, "nextChargeTime": "2027-01-24T15:00:00Z"})
    agency.client("globex", granted=20)
    to_acme = {"from": "pool/tokyo", "to": "org/acme"}
    post(
        agency,
        1,
        "buy",
        "2025-10-01T00:00:00Z",
        kind="Purchase",
        **{"from": "external", "to": "pool/tokyo"},
        amount=9000,
    )
    post(agency, 2, "first", "2025-10-02T00:00:00Z", kind="TopUp", **to_acme, amount=3000)
    post(agency, 3, "last-of-october", "2025-10-31T14:59:59Z", kind="TopUp", **to_acme, amount=7)
    post(agency, 4, "first-of-november", "2025-10-31T15:00:00Z", kind="TopUp", **to_acme, amount=70, reason="-SUM(A1)")
    spec = {"from": "org/acme", "to": "consumed"}
    post(
        agency, 5, "charge", "2025-11-24T15:00:01Z", kind="Charge", **spec, amount=1250, period="2025-11", charge=CHARGE
    )
    post(agency, 6, "december", "2025-11-30T15:00:00Z", kind="TopUp", **to_acme, amount=700)
    post(agency, None, "waits", kind="TopUp", **to_acme, amount=99_999)
    return agency


def table(text: str) -> list[dict[str, str]]:
    """CSV as rows by their headings."""
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_clients_as_csv(books: Agency) -> None:
    rows = table(books.cli.do("export", "clients", "--time-zone", "Asia/Tokyo").out)
    assert [row["Name"] for row in rows] == ["acme", "globex"]
    acme = rows[0]
    assert acme["Display name"] == "'=Acme <b>K.K.</b>", "no formula"
    assert (acme["Org ID"], acme["Balance"], acme["Next charge on (Asia/Tokyo)"]) == (
        "idacme",
        "1750",
        "2027-01-25 00:00:00",
    )
    assert (acme["visitors: granted"], acme["visitors: used"], acme["visitors: remaining"]) == ("500", "120", "380")


def test_clients_are_filtered_and_sorted_as_in_list(books: Agency) -> None:
    assert [r["Name"] for r in table(books.cli.do("export", "clients", "--tag", "vip").out)] == ["acme"]
    assert [r["Name"] for r in table(books.cli.do("export", "clients", "--sort-by=-name").out)] == ["globex", "acme"]
    answer = books.cli.do("export", "clients", "--search", "nobody")
    assert table(answer.out) == []
    assert answer.err == "There are no clients that match.\n"


def test_clients_of_all_agencies(books: Agency) -> None:
    rows = table(books.cli.do("export", "clients", "-A", "--pool", "tokyo").out)
    assert {"acme", "globex"} <= {row["Name"] for row in rows if row["Namespace"] == books.namespace}


def test_clients_as_a_workbook_in_japanese(books: Agency, tmp_path: Path) -> None:
    file = tmp_path / "clients.xlsx"
    answer = books.cli.do("export", "clients", "--language", "ja", "--output", str(file))
    assert answer.out == ""
    assert answer.err == f"Wrote 2 clients to {file}.\n"
    sheet: Any = openpyxl.load_workbook(file).active
    found = {top.value: cell for top, cell in zip(sheet[1], sheet[2], strict=True)}
    assert found["名前"].value == "acme"
    assert (found["表示名"].value, found["表示名"].data_type) == ("=Acme <b>K.K.</b>", "s")
    assert found["残高"].value == 1750
    assert found["準備完了"].value is True


def test_a_file_is_not_replaced_without_force(books: Agency, tmp_path: Path) -> None:
    file = tmp_path / "clients.csv"
    file.write_text("mine")
    answer = books.cli.run("export", "clients", "-o", str(file))
    assert answer.code == 2
    assert answer.err == f"error: --output: {file} is there already; choose another name, or replace it with --force\n"
    assert file.read_text() == "mine"
    books.cli.do("export", "clients", "-o", str(file), "--force")
    assert len(table(file.read_text())) == 2


def test_a_workbook_goes_through_a_pipe(books: Agency) -> None:
    done = subprocess.run(
        books.cli.argv("export", "ledger", "--format", "xlsx"), capture_output=True, check=True, env=books.cli.env()
    )
    sheet: Any = openpyxl.load_workbook(io.BytesIO(done.stdout)).active
    assert sheet.max_row == 7


def test_a_full_disk_is_told(books: Agency) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            books.cli.argv("export", "clients"), stdout=full, stderr=subprocess.PIPE, text=True, env=books.cli.env()
        )
    assert done.stderr == "error: --output: cannot write to standard output: No space left on device\n"
    assert done.returncode == 2


def test_the_ledger_is_what_is_posted_in_its_order(books: Agency) -> None:
    rows = table(books.cli.do("export", "ledger", "--time-zone", "UTC").out)
    assert [row["Entry"] for row in rows] == ["1", "2", "3", "4", "5", "6"]
    assert rows[3]["Reason"] == "'-SUM(A1)"
    charge = rows[4]
    assert (charge["Kind"], charge["From"], charge["To"], charge["Amount"]) == (
        "Charge",
        "org/acme",
        "consumed",
        "1250",
    )
    assert (charge["Users charged"], charge["Points per extra user"], charge["Period"]) == ("15", "50", "2025-11")


@pytest.mark.parametrize(
    ("arguments", "entries"),
    [
        (("--kind", "charge"), ["5"]),
        (("--kind", "charge", "--kind", "purchase"), ["1", "5"]),
        (("--client", "acme", "--month", "2025-11", "--time-zone", "Asia/Tokyo"), ["4", "5"]),
        (("--month", "2025-11", "--time-zone", "UTC"), ["5", "6"]),
        (("--pool", "osaka"), []),
    ],
)
def test_the_ledger_is_filtered(books: Agency, arguments: tuple[str, ...], entries: list[str]) -> None:
    assert [row["Entry"] for row in table(books.cli.do("export", "ledger", *arguments).out)] == entries


def test_a_statement_is_of_the_month_in_the_plans_time_zone(books: Agency) -> None:
    rows = table(books.cli.do("export", "statement", "acme", "--month", "2025-11").out)
    assert [(row["Entry"], row["Points"], row["Balance"]) for row in rows] == [
        ("", "", "3007"),
        ("4", "70", "3077"),
        ("5", "-1250", "1827"),
        ("", "", "1827"),
    ]
    assert rows[0]["Agency"] == "Harbor Digital"
    assert rows[2]["Calculation"] == "1,000 base + 5 × 50 for users beyond 10 (15 users) = 1,250"
    assert rows[2]["Date (Asia/Tokyo)"] == "2025-11-25 00:00:01"


def test_a_statement_as_a_page_in_the_users_language(books: Agency, tmp_path: Path) -> None:
    file = tmp_path / "acme.html"
    environment = books.cli.env() | {"LC_ALL": "ja_JP.UTF-8"}
    arguments = books.cli.argv("export", "statement", "acme", "--month", "2025-11", "-o", str(file))
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, env=environment)
    assert done.stderr == f"Wrote the statement of acme for 2025-11 to {file}.\n"
    text = file.read_text("utf-8")
    assert text.startswith("<!doctype html>")
    assert '<html lang="ja">' in text
    assert "=Acme &lt;b&gt;K.K.&lt;/b&gt;" in text
    assert "1,827" in text


def test_a_statement_of_nobody(books: Agency) -> None:
    answer = books.cli.run("export", "statement", "nobody", "--month", "2025-11")
    assert answer.code == 1
    assert answer.err.startswith("error: ")
    assert "nobody" in answer.err


def test_a_client_without_an_account_has_an_empty_statement(books: Agency) -> None:
    books.client("new")
    rows = table(books.cli.do("export", "statement", "new", "--month", "2025-11").out)
    assert [row["Balance"] for row in rows] == ["0", "0"]


def test_completion_knows_the_clients(books: Agency) -> None:
    done = subprocess.run(
        [*books.cli.argv()[:3], "__complete", "export", "statement", "-n", books.namespace, "ac"],
        capture_output=True,
        text=True,
        check=True,
        env=books.cli.env(),
    )
    assert done.stdout.splitlines()[0].startswith("acme\t")
