"""Points, approvals, terms and terminations as the CRDs take and refuse them (FEATURES S2, S5-S7, S11, X3)."""

from __future__ import annotations

import pytest

from clientorg.domain.ledger import charge_name, settlement_name
from tests.cluster._ledger import CONSENT, INPUTS, ROUTES, approval, billing_plan, terminated, transaction
from tests.cluster._plane import CLUSTER_ADMIN, OPERATOR, Answer, Json, Plane, client_org
from tests.cluster.test_schema import ABSENT, MAX, put

pytest_plugins = ["tests.cluster._plane"]

pytestmark = pytest.mark.cluster


def names(answer: Answer, path: str, words: str) -> None:
    """The API server refused, naming the field and saying in these words what is wrong with it."""
    assert answer.code != 0, "the API server took it"
    assert any(path in line and words in line for line in answer.err.splitlines()), answer.err


def maker(kind: str) -> str:
    """Who may make that kind."""
    return OPERATOR if kind in ("Charge", "Settlement") else CLUSTER_ADMIN


# -- transactions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ROUTES)
def test_each_kind_of_transaction_is_taken(plane: Plane, kind: str) -> None:
    answer = plane.as_(maker(kind)).create(transaction(kind), dry_run=True)

    assert answer.code == 0, answer.err


OTHER_GOOD: list[Json] = [
    transaction("Settlement", from_="pool/tokyo", to="org/acme"),
    transaction("Charge", amount=0),
    transaction(amount=1),
    transaction(amount=MAX),
    transaction(
        from_="pool/t.k-1", to="org/a", orgID="7k2m9q4xta", group={"name": "g", "size": 2}, reason="why", reference="7"
    ),
    transaction("Reversal", "first-charge-2026-11-reversal", reverses="first-charge-2026-11"),
]


@pytest.mark.parametrize("manifest", OTHER_GOOD)
def test_other_good_transaction_is_taken(plane: Plane, manifest: Json) -> None:
    answer = plane.as_(maker(manifest["spec"]["kind"])).create(manifest, dry_run=True)

    assert answer.code == 0, answer.err


# (field to set, its value, path that the error names, words of the error that say what to do)
BAD_TRANSACTIONS: list[tuple[str, object, str, str]] = [
    ("spec.amount", 0, "spec.amount", "must be a whole number of at least 1"),
    ("spec.amount", -1, "spec.amount", "greater than or equal to 0"),
    ("spec.amount", 0.5, "spec.amount", "must be of type int"),
    ("spec.amount", 100.5, "spec.amount", "must be of type int"),
    ("spec.amount", "100", "spec.amount", "must be of type integer"),
    ("spec.amount", MAX + 1, "spec.amount", f"less than or equal to {MAX}"),
    ("spec.amount", 2**63 - 1, "spec.amount", f"less than or equal to {MAX}"),
    ("spec.amount", 1e300, "spec.amount", "must be of type int"),
    ("spec.amount", ABSENT, "spec.amount", "Required value"),
    ("spec.kind", "Gift", "spec.kind", '"Purchase", "TopUp"'),
    ("spec.kind", ABSENT, "spec.kind", "Required value"),
    ("spec.from", ABSENT, "spec.from", "Required value"),
    ("spec.to", ABSENT, "spec.to", "Required value"),
    *(
        (f"spec.{field}", account, f"spec.{field}", "must be an account: external (the distributor), pool/<name")
        for field in ("from", "to")
        for account in ("", "pool", "pool/", "pool/Tokyo", "client/acme", "org/acme/x", "agency/org/acme", "internal")
    ),
    ("spec.from", "pool/" + "x" * 64, "spec.from", "may not be more than 68"),
    ("spec.orgID", "ACME", "spec.orgID", "must be an Org ID, as in the client's status.orgID"),
    ("spec.pool", "Tokyo", "spec.pool", "must be the name of a Kubernetes object"),
    ("spec.reverses", "other", "spec.reverses", "required in a Reversal, and in nothing else"),
    ("spec.period", "2026-11", "spec.kind", "a Charge has spec.period and spec.charge, and nothing else has"),
    ("spec.charge", INPUTS, "spec.kind", "a Charge has spec.period and spec.charge, and nothing else has"),
    ("spec.period", "2026-13", "spec.period", "must be a period, for example 2026-11"),
    ("spec.group", {"name": "g", "size": 0}, "spec.group.size", "greater than or equal to 1"),
    ("spec.reason", "a\nb", "spec.reason", "one line of text"),
    ("spec.requestedBy", " ", "spec.requestedBy", "not blank"),
]


@pytest.mark.parametrize(("field", "value", "path", "words"), BAD_TRANSACTIONS)
def test_bad_transaction_is_refused_with_the_fields_path_and_what_to_do(
    plane: Plane, field: str, value: object, path: str, words: str
) -> None:
    names(plane.create(put(transaction(), field, value), dry_run=True), path, words)


WRONG_WAYS = [
    (kind, source, target)
    for kind, right in ROUTES.items()
    if kind != "Reversal"
    for source in ("external", "pool/tokyo", "org/acme", "consumed")
    for target in ("pool/tokyo", "org/acme", "consumed", "external")
    if (source, target) != right and (kind, source, target) != ("Settlement", "pool/tokyo", "org/acme")
]


@pytest.mark.parametrize("kind", [kind for kind in ROUTES if kind != "Reversal"])
def test_each_kind_goes_its_own_way_only(plane: Plane, kind: str) -> None:
    """One request for all wrong ways of a kind: the API server answers about each."""
    wrong = [
        transaction(kind, f"wrong-{number}", from_=source, to=target)
        for number, (_, source, target) in enumerate(way for way in WRONG_WAYS if way[0] == kind)
    ]
    answer = plane.as_(maker(kind)).create(*wrong, dry_run=True)

    refusals = [line for line in answer.err.splitlines() if f"{kind} goes from: " in line and "spec.from" in line]
    assert len(refusals) == len(wrong) >= 14, answer.err
    assert all("correct spec.from and spec.to" in line for line in refusals)


def test_reversal_goes_from_one_account_to_another(plane: Plane) -> None:
    answer = plane.create(transaction("Reversal", from_="pool/tokyo", to="pool/tokyo"), dry_run=True)

    names(answer, "spec.to", "must differ from spec.from")


@pytest.mark.parametrize("part", ["period", "charge"])
def test_charge_has_its_inputs(plane: Plane, part: str) -> None:
    answer = plane.as_(OPERATOR).create(put(transaction("Charge"), f"spec.{part}", ABSENT), dry_run=True)

    names(answer, "spec.kind", "a Charge has spec.period and spec.charge")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("7k2m9q4xta-charge-2026-12", "so that a period is charged once; choose another"),
        ("7k2m9q4xta-settlement", "are those of settlements; choose another"),
        ("first-reversal", "nothing else is named so"),
    ],
)
def test_nobody_takes_the_name_of_a_charge_settlement_or_reversal_beforehand(
    plane: Plane, name: str, words: str
) -> None:
    """The names keep things from being made twice; taken by something else, they would not be made at all."""
    names(plane.create(transaction("TopUp", name), dry_run=True), "metadata", words)


def test_names_that_only_look_alike_are_free(plane: Plane) -> None:
    alike = ("acme-charge", "settlement", "charge-2026-12", "reversal", "acme-settlement-2")
    answer = plane.create(*(transaction("TopUp", name) for name in alike), dry_run=True)
    assert answer.code == 0, answer.err
    own = (("Charge", charge_name("7k2m9q4xta", "2026-12")), ("Settlement", settlement_name("7k2m9q4xta")))
    answer = plane.as_(OPERATOR).create(*(transaction(kind, name) for kind, name in own), dry_run=True)
    assert answer.code == 0, answer.err


# (name, spec, path that the error names, words of the error)
BAD_REVERSALS: list[tuple[str, Json, str, str]] = [
    ("first-reversal", {"reverses": None}, "spec.reverses", "required in a Reversal"),
    ("again", {}, "metadata", "a Reversal is named <spec.reverses>-reversal"),
    ("first-reversal-2", {}, "metadata", "a Reversal is named <spec.reverses>-reversal"),
    ("first-reversal-reversal", {"reverses": "first-reversal"}, "spec.reverses", "a Reversal is not reversed"),
]


@pytest.mark.parametrize(("name", "spec", "path", "words"), BAD_REVERSALS)
def test_bad_reversal_is_refused(plane: Plane, name: str, spec: Json, path: str, words: str) -> None:
    names(plane.create(transaction("Reversal", name, **spec), dry_run=True), path, words)


def test_second_reversal_is_refused_by_its_name(plane: Plane, agency: str) -> None:
    plane.do("create", "-f=-", stdin=transaction("Reversal", namespace=agency))

    answer = plane.create(transaction("Reversal", namespace=agency, amount=50))

    assert answer.code != 0
    assert '"first-reversal" already exists' in answer.err


def test_same_name_is_the_same_movement(plane: Plane, agency: str) -> None:
    """The same content changes nothing, however it is sent; another is refused."""
    first = transaction(namespace=agency)
    plane.do("create", "-f=-", stdin=first)
    before = plane.get("pointtransactions", "first", f"-n={agency}")

    assert '"first" already exists' in plane.create(first).err
    plane.do("apply", "--server-side", "-f=-", "--field-manager=kubectl-create", stdin=first)
    other = transaction(namespace=agency, amount=200)
    for command in (["apply", "--server-side", "--force-conflicts"], ["replace"]):
        names(plane.run(*command, "-f=-", stdin=other), "spec", "immutable, because it is an entry of the ledger")

    after = plane.get("pointtransactions", "first", f"-n={agency}")
    assert before
    assert after
    assert (after["metadata"]["generation"], after["spec"]) == (1, before["spec"])


@pytest.mark.parametrize(
    "status", [{"phase": "Rejected", "entry": 1}, {"phase": "Waiting", "entry": 1}, {"phase": "Posted", "entry": 2}]
)
def test_posted_transaction_stays_posted(plane: Plane, agency: str, status: Json) -> None:
    plane.do("create", "-f=-", stdin=transaction(namespace=agency))
    plane.patch_status("pointtransactions", "first", agency, {"phase": "Posted", "entry": 1})

    with pytest.raises(AssertionError, match="a posted transaction stays posted; correct it with a Reversal"):
        plane.patch_status("pointtransactions", "first", agency, status)


# -- approvals -----------------------------------------------------------------------------------------------------

BAD_APPROVALS: list[tuple[str, object, str, str]] = [
    ("spec.decision", "Maybe", "spec.decision", '"Approve", "Reject"'),
    ("spec.decision", "Reject", "spec.reason", "required to reject; say why"),
    ("spec.clientUID", ABSENT, "spec.clientUID", "Required value"),
    ("spec.clientUID", "", "spec.clientUID", "at least 1 chars"),
    ("spec.clientRef", ABSENT, "spec.clientRef", "Required value"),
    ("spec.approvedBy", ABSENT, "spec.approvedBy", "Required value"),
    ("spec.approvedBy", " ", "spec.approvedBy", "not blank"),
]


@pytest.mark.parametrize(("field", "value", "path", "words"), BAD_APPROVALS)
def test_bad_approval_is_refused(plane: Plane, field: str, value: object, path: str, words: str) -> None:
    names(plane.create(put(approval(OPERATOR), field, value), dry_run=True), path, words)


def test_decision_is_final(plane: Plane, agency: str) -> None:
    me = plane.do("auth", "whoami", "-o=json").json()["status"]["userInfo"]["username"]
    plane.do("create", "-f=-", stdin=approval(me, agency, decision="Reject", reason="not now"))

    for patch in ('{"spec":{"decision":"Approve"}}', '{"spec":{"reason":"other"}}'):
        answer = plane.run("patch", "orgapprovals", "acme", f"-n={agency}", "--type=merge", f"-p={patch}")
        names(answer, "spec", "immutable, because it is a record of who decided what; make another one")


# -- terms ---------------------------------------------------------------------------------------------------------

BAD_TERMS: list[tuple[str, object, str, str]] = [
    ("spec.billing.anchorDay", 0, "spec.billing.anchorDay", "greater than or equal to 1"),
    ("spec.billing.anchorDay", 32, "spec.billing.anchorDay", "less than or equal to 31"),
    ("spec.billing.anchorDay", 1.5, "spec.billing.anchorDay", "must be of type integer"),
    ("spec.billing.basePoints", ABSENT, "spec.billing.basePoints", "Required value"),
    ("spec.billing.basePoints", -1, "spec.billing.basePoints", "greater than or equal to 0"),
    ("spec.billing.basePoints", 10**15 + 1, "spec.billing.basePoints", f"less than or equal to {10**15}"),
    ("spec.billing.includedUsers", -1, "spec.billing.includedUsers", "greater than or equal to 0"),
    ("spec.billing.pointsPerExtraUser", -1, "spec.billing.pointsPerExtraUser", "greater than or equal to 0"),
    ("spec.billing.negativeToleranceDays", -1, "spec.billing.negativeToleranceDays", "greater than or equal to 0"),
    ("spec.billing.firstCharge", "Never", "spec.billing.firstCharge", '"NextAnchor", "Immediate", "Prorated"'),
    ("spec.billing.userReduction", "Never", "spec.billing.userReduction", '"Immediate", "NextPeriod"'),
    ("spec.approval", "Sometimes", "spec.approval", '"Automatic", "Manual"'),
    ("spec.approvalTarget", {"businessDays": 0}, "spec.approvalTarget.businessDays", "greater than or equal to 1"),
    ("spec.approvalTarget", {"weekend": ["Caturday"]}, "spec.approvalTarget.weekend[0]", '"Monday", "Tuesday"'),
    ("spec.approvalTarget", {"holidays": ["31.12.2026"]}, "spec.approvalTarget.holidays[0]", "example 2026-12-31"),
    *(
        ("spec.timeZone", zone, "spec.timeZone", "must be the IANA name of a time zone, for example Asia/Tokyo")
        for zone in ("+09:00", "Asia//Tokyo", "Asia/Tokyo ", "/etc/passwd", "../UTC", "")
    ),
]


@pytest.mark.parametrize(("field", "value", "path", "words"), BAD_TERMS)
def test_bad_terms_are_refused(plane: Plane, field: str, value: object, path: str, words: str) -> None:
    names(plane.create(put(billing_plan(), field, value), dry_run=True), path, words)


# -- clients -------------------------------------------------------------------------------------------------------

ENDS: Json = {"time": "2099-01-31T15:00:00Z", "consent": CONSENT}

BAD_CONTRACTS: list[tuple[str, object, str, str]] = [
    ("spec.contractedUsers", -1, "spec.contractedUsers", "greater than or equal to 0"),
    ("spec.contractedUsers", 10**6 + 1, "spec.contractedUsers", "less than or equal to"),
    ("spec.contractedUsers", 1.5, "spec.contractedUsers", "must be of type int"),
    ("spec.requestedBy", " ", "spec.requestedBy", "not blank"),
    ("spec.termination", {"time": ENDS["time"]}, "spec.termination.consent", "Required value"),
    ("spec.termination", {**ENDS, "immediate": True}, "spec.termination.time", "give one of them"),
    ("spec.termination", {"consent": CONSENT}, "spec.termination.time", "give one of them"),
    ("spec.termination", {"immediate": False, "consent": CONSENT}, "spec.termination.time", "give one of them"),
    ("spec.termination", {**ENDS, "time": "tomorrow"}, "spec.termination.time", "must be of type date-time"),
    ("spec.termination", {**ENDS, "time": "2099-01-31"}, "spec.termination.time", "must be of type date-time"),
    ("spec.termination", {**ENDS, "time": "2099-01-31T15:00:00"}, "spec.termination.time", "must be of type date-time"),
    *(
        (
            "spec.termination",
            {**ENDS, "consent": {key: value for key, value in CONSENT.items() if key != part}},
            f"spec.termination.consent.{part}",
            "Required value",
        )
        for part in CONSENT
    ),
    *(
        (
            "spec.termination",
            {**ENDS, "consent": {**CONSENT, part: " "}},
            f"spec.termination.consent.{part}",
            "not blank",
        )
        for part in ("acceptedBy", "text")
    ),
]


@pytest.mark.parametrize(("field", "value", "path", "words"), BAD_CONTRACTS)
def test_bad_contract_is_refused(plane: Plane, field: str, value: object, path: str, words: str) -> None:
    names(plane.create(put(client_org(), field, value), dry_run=True), path, words)


def test_requester_stays_who_it_was(plane: Plane, agency: str) -> None:
    plane.do("create", "-f=-", stdin=client_org(namespace=agency, requestedBy="yuki@agency.example"))

    for requester in ("me", None):
        changed = client_org(namespace=agency, requestedBy=requester)
        names(plane.run("replace", "-f=-", stdin=changed), "spec.requestedBy", "immutable once set")


def test_termination_can_be_changed_and_taken_back_until_it_has_run(plane: Plane, agency: str) -> None:
    def sends(manifest: Json) -> Answer:
        return plane.run("replace", "-f=-", stdin=manifest)

    plane.do("create", "-f=-", stdin=terminated(agency, time="2099-01-31T15:00:00Z"))
    assert sends(terminated(agency, time="2099-02-28T15:00:00Z")).code == 0
    assert sends(client_org(namespace=agency)).code == 0
    assert sends(terminated(agency, immediate=True)).code == 0
    plane.patch_status("clientorgs", "acme", agency, {"termination": {"executedTime": "2026-11-25T00:00:00Z"}})

    for change in (client_org(namespace=agency), terminated(agency, time="2099-02-28T15:00:00Z")):
        names(sends(change), "spec.termination", "cannot be changed or taken back; make the client anew")
    assert sends(terminated(agency, immediate=True)).code == 0
