"""What a client is told when its workspace stands: delivery, portal and payment link (FEATURES S4, S14, A3)."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from clientorg.api.meta import ANNOTATION_CONFIRM_DELETION, ANNOTATION_PAYMENT_LINK, ANNOTATION_RESEND
from clientorg.cluster.resources import CLIENT_ORGS, CONFIG_MAPS, EVENTS, NAMESPACES, ORG_PLANS, SECRETS
from clientorg.domain.paymentlink import Link, verify
from clientorg.domain.timestamps import parse_time
from tests.cluster._cli_support import Cli, home
from tests.cluster._plane import role_ref
from tests.cluster.test_notifications import FROM, Hook, expect_mails, post, with_mail
from tests.cluster.verbs import GONE_SECONDS, Agency, Client, Json, messages_of
from tests.controlplane.choose import Cluster
from tests.controlplane.waiting import wait_until
from tests.support.devclock import DevClock
from tests.support.install import ROOT
from tests.support.kube import Kube, RefusedError
from tests.support.mailserver import MailHost, smtp_secret
from tests.support.process import OperatorProcess

__all__ = ["home", "post"]  # fixtures

pytestmark = pytest.mark.cluster

SITE = "https://pay.sakura.example"
HANA = "hana@agency.example"
"""Support: she reads everything but Secrets, and may have messages sent."""
KEYS = {name: base64.b64encode(name.encode() * 8).decode() for name in ("key1", "key2")}
SIGNING = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def sakura(tokyo: Agency, post: MailHost) -> Agency:
    """An agency that sends mails, and has support."""
    with_mail(tokyo, post)
    hana = {"kind": "User", "name": HANA, "apiGroup": "rbac.authorization.k8s.io"}
    for role in ("clientorg-agency-support", "clientorg-agency-messenger"):
        tokyo.create(
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "RoleBinding",
                "metadata": {"name": role, "namespace": tokyo.name},
                "roleRef": role_ref("ClusterRole", role),
                "subjects": [hana],
            }
        )
    return tokyo


def keys_secret(agency: Agency, **entries: str) -> Json:
    """The Secret with the signing keys."""
    secret = smtp_secret(**entries)
    secret["metadata"] = {"name": "clientorg-payment", "namespace": agency.name}
    return {"apiVersion": "v1", "kind": "Secret", **secret}


def token_of(post: MailHost, place: int) -> str:
    """The token in a mail's text part; the HTML part links the same."""
    mail = post.mails_to("yuki@acme.example")[place]
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    (token,) = set(re.findall(rf"{SITE}/setup#(\S+)", text.get_content()))
    assert token in html.get_content()
    return str(token)


def check(agency: Agency, token: str, clock: DevClock, **entries: str) -> Link:
    """What the payment page does."""
    return verify(
        token, entries or KEYS | {"current": "key2"}, agency=agency.name, audience=SITE, now=clock.now.timestamp()
    )


def as_user(cluster: Cluster, user: str, path: Path) -> Path:
    """A kubeconfig of somebody else."""
    document = yaml.safe_load(Path(cluster.kubeconfig).read_text())
    for entry in document["users"]:
        entry["user"]["as"] = user
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(document))
    return path


def test_link_is_mailed_by_support_without_keys_printed_by_who_has_them_and_told_nowhere_else(
    sakura: Agency,
    post: MailHost,
    api: Kube,
    clock: DevClock,
    clockwork: OperatorProcess,
    cluster: Cluster,
    home: Path,
    tmp_path: Path,
) -> None:
    support = Cli(as_user(cluster, HANA, tmp_path / "hana"), sakura.name, home)
    owner = Cli(Path(cluster.kubeconfig), sakura.name, home)
    hooked = smtp_secret(secret=SIGNING)
    hooked["metadata"] = {"name": "clientorg-webhook", "namespace": sakura.name}
    sakura.create({"apiVersion": "v1", "kind": "Secret", **hooked})
    acme = sakura.ready_client()
    expect_mails(post, "acme", 1)
    assert "paymentLink.urlTemplate" in owner.run("payment-link", "acme").err

    # Mailed by support: the first key signs.
    with Hook() as hook:
        webhook = {"url": hook.url, "secret": "clientorg-webhook"}
        sakura.plan.edit(
            paymentLink={"urlTemplate": f"{SITE}/setup#$(token)", "validHours": 48},
            notifications={"fromAddress": FROM, "webhook": webhook},
        )
        sakura.create(keys_secret(sakura, key1=KEYS["key1"]))
        said = support.do("payment-link", "acme", "--mail", "--wait")
        assert "to yuki@acme.example by mail" in said.out
        acme.expect(lambda it: it["status"]["outbox"][-1]["webhook"]["state"] == "Sent", "have told the webhook")
        sakura.plan.edit(notifications={"fromAddress": FROM, "webhook": None})
    expect_mails(post, "acme", 2)
    first = token_of(post, 1)
    link = check(sakura, first, clock, key1=KEYS["key1"])
    assert (link.org_id, link.expires - link.issued) == (acme.org_id, 48 * 3600)
    (event,) = [json.loads(body) for _, body in hook.posts]
    assert (event["type"], list(event["data"]["params"])) == ("dev.clientorg.payment-link.v1", ["expires"])

    # Printed: who may not read the keys is told how else; who may gets one that the page takes.
    refused = support.run("payment-link", "acme")
    assert (refused.code, refused.out) == (1, "")
    assert "--mail" in refused.err
    hana = api.as_user(HANA)
    patches: list[Json] = [
        {"spec": {"contact": {"email": "eve@evil.example"}}},
        {"metadata": {"annotations": {ANNOTATION_CONFIRM_DELETION: "acme"}}},
        {"metadata": {"labels": {"a": "b"}}},
        {"metadata": {"finalizers": []}},
    ]
    for patch in patches:
        with pytest.raises(RefusedError, match="only messages can be asked for"):
            hana.merge(CLIENT_ORGS, "acme", patch, sakura.name)
    printed = owner.do("payment-link", "acme", "-o", "json").out
    other = json.loads(printed)["url"].removeprefix(f"{SITE}/setup#")
    assert verify(other, KEYS | {"current": "key2"}, agency=sakura.name, audience=SITE, now=json_time(printed)).org_id
    assert owner.do("payment-link", "acme").out.startswith(f"{SITE}/setup#ey")

    # The key is replaced: the new one signs, both count.
    new = keys_secret(sakura, key1=KEYS["key1"], key2=KEYS["key2"], current="key2")
    api.merge(SECRETS, "clientorg-payment", {"data": new["data"]}, sakura.name)
    clock.step(seconds=60)
    acme.annotate({ANNOTATION_PAYMENT_LINK: "again"})
    expect_mails(post, "acme", 3)
    second = token_of(post, 2)
    assert check(sakura, second, clock, key2=KEYS["key2"]).id != link.id
    assert check(sakura, first, clock) == link

    # One that waits for its server until it has expired is not sent any more.
    post.stop()
    acme.annotate({ANNOTATION_PAYMENT_LINK: "late"})
    acme.expect(lambda it: it["status"]["outbox"][-1]["mail"]["attempts"] == 1, "have tried")
    clock.step(hours=49)
    post.start()
    acme.expect(lambda it: "expired" in it["status"]["outbox"][-1]["mail"].get("lastError", ""), "have given it up")
    expect_mails(post, "acme", 3)

    # What cannot be met is told; and neither token nor key is anywhere but in the mails.
    sakura.plan.edit(paymentLink=None)
    acme.annotate({ANNOTATION_PAYMENT_LINK: "none"})
    wait_until(lambda: "PaymentLinkRefused" in {it["reason"] for it in acme.events()}, 30, "the Event that refuses")
    told = json.dumps([api.list_all(kind, sakura.name) for kind in (CLIENT_ORGS, ORG_PLANS, EVENTS)])
    told += clockwork.log.read_text()
    secrets = [part for token in (first, second) for part in (token, token.split(".")[2])] + [*KEYS.values(), SIGNING]
    assert [secret for secret in secrets if secret in told] == []


def json_time(printed: str) -> float:
    """A time at which a printed link is valid; the plugin has the machine's clock."""
    return parse_time(json.loads(printed)["expires"]).timestamp() - 1


def test_delivery_is_told_once_whatever_the_outbox_remembers_and_again_when_asked(
    sakura: Agency, post: MailHost, api: Kube, clock: DevClock, clockwork: OperatorProcess
) -> None:
    acme = sakura.ready_client()
    expect_mails(post, "acme", 1)
    first = acme.status["workspace"]["readyTime"]
    # As after twenty other messages, and a workspace that has to be built anew.
    acme.expect(lambda it: it["status"]["outbox"][0]["mail"]["state"] == "Sent", "have written that down")
    api.merge(CLIENT_ORGS, "acme", {"status": {"outbox": []}}, sakura.name, "status")
    before = api.get(NAMESPACES, acme.workspace)["metadata"]["uid"]
    api.merge(
        NAMESPACES,
        acme.workspace,
        {"metadata": {"annotations": {"clientorg.dev/confirm-deletion": acme.workspace}}},
    )
    api.delete(NAMESPACES, acme.workspace)

    def is_anew() -> bool:
        found = api.find(NAMESPACES, acme.workspace)
        return found is not None and found["metadata"]["uid"] != before

    wait_until(is_anew, GONE_SECONDS, "the workspace to be built anew")
    acme.expect_ready()
    assert (acme.status["workspace"]["readyTime"], acme.outbox) == (first, [])
    expect_mails(post, "acme", 1)

    acme.annotate({ANNOTATION_RESEND: "delivery@1"})
    acme.expect(lambda it: len(messages_of(it, "delivery")) == 1, "have written it anew")
    expect_mails(post, "acme", 2)
    acme.annotate({ANNOTATION_RESEND: "delivery@2"})
    expect_mails(post, "acme", 3)
    assert len(acme.outbox) == 1


@pytest.mark.usefixtures("operator")
def test_portal_is_told_what_plan_and_client_say_and_can_watch_it(tokyo: Agency, api: Kube) -> None:
    validator = Draft202012Validator(json.loads((ROOT / "docs" / "portal.schema.json").read_text()))
    menus = [{"name": "reports"}, {"name": "billing", "visible": False}]
    links = [{"name": "support", "url": "https://help.example/$(orgID)", "audience": "Agency"}]
    tokyo.plan.change(portal={"menus": menus, "links": links})
    acme, beta = tokyo.client("acme"), tokyo.client("beta", portal={"menus": [{"name": "reports", "visible": False}]})
    tokyo.expect_all_ready([acme, beta])

    assert menus_of(acme) == {"reports": True, "billing": False}
    assert menus_of(beta) == {"reports": False, "billing": False}
    since = acme.child(CONFIG_MAPS, "portal")["metadata"]["resourceVersion"]
    acme.edit(portal={"menus": [{"name": "billing"}, {"name": "beta"}]})
    acme.expect_child(CONFIG_MAPS, "portal", lambda it: '"beta"' in it["data"]["portal.json"])
    tokyo.plan.change(portal={"menus": menus[1:], "links": links})
    acme.expect_child(CONFIG_MAPS, "portal", lambda it: '"reports"' not in it["data"]["portal.json"])

    watched = [it for _, it in api.watch(CONFIG_MAPS, acme.workspace, since, 1) if it["metadata"]["name"] == "portal"]
    seen = [json.loads(it["data"]["portal.json"]) for it in watched]
    for found in seen:
        validator.validate(found)
    assert [[menu["name"] for menu in found["menus"] if menu["visible"]] for found in seen] == [
        ["reports", "billing", "beta"],
        ["billing", "beta"],
    ]
    assert seen[0]["links"][0] == {
        "name": "support",
        "title": "support",
        "url": f"https://help.example/{acme.org_id}",
        "audience": "Agency",
    }
    assert menus_of(beta) == {"billing": False, "reports": False}


def menus_of(client: Client) -> dict[str, bool]:
    """What the client's portal shows and hides."""
    document = json.loads(client.child(CONFIG_MAPS, "portal")["data"]["portal.json"])
    return {menu["name"]: menu["visible"] for menu in document["menus"]}
