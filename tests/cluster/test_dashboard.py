"""The dashboard in a real browser, on a real API server with the operator at work (FEATURES W1-W14, X4)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import APIResponse, Browser, Page, Route, expect, sync_playwright

from clientorg.cluster.resources import ORG_PLANS, SUBSCRIPTIONS
from clientorg.dashboard.endactions import MOST_CHARGES
from clientorg.dashboard.reportpages import COLUMNS, TABLES
from clientorg.domain.timestamps import rfc3339
from tests.browser.chromium import ChromiumUnavailableError, find_chromium
from tests.browser.dashboard import Dashboard, Visitor, running, visiting, write_kubeconfig
from tests.browser.relay import Relay
from tests.cluster import pointverbs, portfolioverbs
from tests.cluster._cli_support import set_clock
from tests.cluster.conftest import _agencies
from tests.cluster.operators import Operators
from tests.cluster.verbs import Agency, Client
from tests.controlplane.choose import Cluster
from tests.controlplane.waiting import wait_until
from tests.support import builders
from tests.support.kube import Kube

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

MANAGER, SUPPORT, SALES = "manager@kyoto.example", "support@kyoto.example", "sales@kyoto.example"
PICTURES: Final = os.environ.get("CLIENTORG_PICTURES")
"""A folder for pictures of every page, for those who look at them."""
PAGES: Final = (
    "/", "/clients", "/clients?q=nobody", "/clients/acme", "/approvals", "/points", "/points/replenish",
    "/clients/acme/pause", "/clients/acme/deactivate", "/clients/acme/reallocate?license=visitors&quantity=200",
    "/clients/acme/top-up?amount=500", "/clients/globex/approve", "/clients/nobody",
    *(f"/reports/{table}" for table in TABLES), "/reports/recent?q=nobody", "/clients/hooli",
    "/trends", "/trends?metric=calls", "/orders", "/orders/stark-1", "/clients/hooli/terminate",
    "/clients/hooli/terminate?when=now", "/clients/hooli/terminate?when=date&at=2099-01-31T00:00",
    "/clients/hooli/withdraw-termination",
)  # fmt: skip
SECONDS: Final = 60_000.0
"""What a busy machine may take, in milliseconds."""


def bind(api: Kube, agency: str, user: str, *roles: str) -> None:
    """Give somebody ClusterRoles in the agency."""
    for role in roles:
        api.create(
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "RoleBinding",
                "metadata": {"name": f"{role}-{user.partition('@')[0]}", "namespace": agency},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
                "subjects": [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}],
            }
        )


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; without one the tests are skipped, and say why."""
    try:
        chromium = find_chromium()
    except ChromiumUnavailableError as error:
        pytest.skip(str(error))
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=chromium.program,
            env=dict(chromium.environment),
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
        )
        yield started
        started.close()


@pytest.fixture(scope="module")
def agency(cluster: Cluster, api: Kube, operators_of_session: Operators) -> Iterator[Agency]:
    """An agency with points, a client that works, one that waits for an approval, and people with roles."""
    operators_of_session.shared()
    with _agencies(cluster, api) as open_one:
        agency = open_one()
        bind(api, agency.name, MANAGER, "clientorg-agency-owner", "clientorg-approver")
        bind(api, agency.name, SUPPORT, "clientorg-agency-support")
        agency.plan.set(billing=pointverbs.BILLING)
        manual = builders.plan(agency.name, "manual")
        api.create({**manual, "spec": {"approval": "Manual"}})
        assert api.find(ORG_PLANS, "manual", agency.name)
        acme = {"displayName": "Acme K.K.", "tags": ["vip"], "contractedUsers": 25}
        agency.ready_client("acme", licenses={"visitors": 100}, **acme)
        for name in ("globex", "initech"):
            agency.client(name, plan="manual", requestedBy=SALES)
            Client(api, agency.name, name).expect_state_of("PendingApproval")
        pointverbs.purchase(agency, 5000)
        portfolioverbs.fill(agency)
        yield agency


@pytest.fixture(scope="module")
def dashboard(agency: Agency, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """The manager's."""
    folder = tmp_path_factory.mktemp("manager")
    kubeconfig = write_kubeconfig(agency.kube.access, MANAGER, folder / "kubeconfig")
    with running(kubeconfig, agency.name, folder) as found:
        yield found


@pytest.fixture(autouse=True)
def _each_test_answers_for_itself(manager: Visitor) -> None:
    """What the browser complained of in another test, or in a try before this one, is not told again."""
    manager.complaints.clear()


@pytest.fixture(scope="module")
def manager(browser: Browser, dashboard: Dashboard) -> Iterator[Visitor]:
    """The manager's browser. The first test of the module enters; nobody else can by that link."""
    with visiting(browser, dashboard) as visitor:
        yield visitor


def choose(page: Page, language: str, theme: str) -> None:
    """As a person does, by the two menus."""
    if page.locator("html").get_attribute("lang") != language:
        page.locator("#language").select_option(language)
        page.wait_for_selector(f"html[lang={language}]")
    if page.locator("html").get_attribute("data-theme") != theme:
        page.locator("#theme").select_option(theme)
        page.wait_for_selector(f"html[data-theme={theme}]")


LOOKS: Final = (("en", "light"), ("en", "dark"), ("ja", "dark"), ("cs", "light"), ("hi", "light"))


@pytest.mark.parametrize(("language", "theme"), LOOKS)
def test_every_page_is_accessible_in_every_language(manager: Visitor, language: str, theme: str) -> None:
    """Axe finds nothing, no script fails, and nothing is wider than the window."""
    manager.go("/")
    choose(manager.page, language, theme)
    for path in PAGES:
        answer = manager.page.goto(manager.origin + path)
        assert answer is not None
        assert answer.status == (404 if path.endswith("/nobody") else 200), path
        expect(manager.page.locator("html")).to_have_attribute("lang", language)
        manager.expect_accessible()
        overflow = manager.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert overflow <= 0, (path, overflow)
        if PICTURES:
            name = re.sub(r"[^a-z0-9]+", "-", path.strip("/")) or "overview"
            manager.shoot(Path(PICTURES), f"{name}-{language}-{theme}")
    manager.complaints[:] = [text for text in manager.complaints if "404" not in text]  # the page that is not there
    manager.expect_no_complaints()
    manager.go("/")
    choose(manager.page, "en", "light")


W9: Final = {
    *("total", "used", "assigned", "available", "assigned_weekly_change", "used_weekly_change", "usage_three_months"),
    *("months_left", "auto_renew", "percent"),
}


def test_every_table_has_the_columns_of_w9_and_scrolls_in_its_box(manager: Visitor) -> None:
    """Also in a window as narrow as a telephone's: the client stays in sight, and the page is no wider than it."""
    page = manager.page
    page.set_viewport_size({"width": 390, "height": 800})
    for table, client in (("expiring", "hooli"), ("renewing", "umbrella"), ("low-allocation", "hooli"),
                          ("over-limit", "umbrella"), ("recent", "umbrella")):  # fmt: skip
        assert set(COLUMNS[table]) >= W9
        manager.go(f"/reports/{table}")
        row = page.locator("table.report tbody tr", has=page.locator(f"a[href='/clients/{client}']")).first
        expect(row.locator("td")).to_have_count(len(COLUMNS[table]) + 2)
        expect(row).to_contain_text(f"PO-2026-{client}")
        assert page.locator("thead th").count() == len(COLUMNS[table]) + 3
        box = page.locator("#live > .table-box")
        assert box.evaluate("box => { box.scrollLeft = 9999; return box.scrollLeft }") > 0
        seen, around = row.locator("th a").bounding_box(), box.bounding_box()
        assert seen is not None
        assert around is not None
        assert around["x"] <= seen["x"] < seen["x"] + seen["width"] <= around["x"] + around["width"]
        assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    page.set_viewport_size({"width": 1360, "height": 900})


def look_for_a_while(page: Page) -> None:
    """Read what is shown until the clock shows another second, as everybody does."""
    page.wait_for_function(
        "second => Math.floor(Date.now() / 1000) > second", arg=page.evaluate("Math.ceil(Date.now() / 1000)")
    )


def confirm(page: Page) -> None:
    """Read, press the button that carries it out, and see that it was: time alone changes nothing in what is agreed."""
    look_for_a_while(page)
    page.locator("#confirm").click()
    expect(page.locator("#notice")).to_be_visible(timeout=SECONDS)


def test_a_client_is_approved_and_another_rejected(manager: Visitor, agency: Agency) -> None:
    """Each with its preview; the page shows what the operator made of it, without being loaded again."""
    page = manager.page
    manager.go("/approvals")
    page.locator("#approve-globex").click()
    expect(page.locator("#h-preview")).to_be_visible()
    expect(page.get_by_text(SALES)).to_be_visible()
    confirm(page)
    Client(agency.kube, agency.name, "globex").expect_ready()
    page.locator("#reject-initech").click()
    page.locator("#confirm").click()  # the reason is required
    assert page.url.endswith("/clients/initech/reject")
    page.locator("#reason").fill("not a customer of ours")
    confirm(page)
    expect(page.locator("#h-decided").locator("..").get_by_text("not a customer of ours")).to_be_visible(
        timeout=SECONDS
    )
    expect(page.locator("#h-waiting .count")).to_have_text("0", timeout=SECONDS)
    manager.expect_no_complaints()


def test_licenses_are_reallocated(manager: Visitor, agency: Agency) -> None:
    """Used, remaining and what the pool has are shown while the number is typed; too many are refused in words."""
    page, acme = manager.page, Client(agency.kube, agency.name, "acme")
    manager.go("/clients/acme")
    page.locator("#do-reallocate").click()
    page.locator("#quantity").press_sequentially("250")
    expect(page.locator("#preview .before-after")).to_contain_text("+150", timeout=SECONDS)
    confirm(page)
    acme.expect_granted(visitors=250)
    expect(page.locator("#h-licenses").locator("..")).to_contain_text("250", timeout=SECONDS)
    manager.go("/clients/acme/reallocate")
    page.locator("#quantity").press_sequentially("lots")
    expect(page.locator("#preview [role=alert]")).to_contain_text("not a whole number", timeout=SECONDS)
    assert acme.read()["spec"]["licenses"][0]["quantity"] == 250


def test_what_changed_meanwhile_is_shown_again_before_it_is_done(manager: Visitor, agency: Agency) -> None:
    """A confirmation is of what was shown, and of nothing else."""
    page, acme = manager.page, Client(agency.kube, agency.name, "acme")
    manager.go("/clients/acme/reallocate?license=visitors&quantity=300")
    acme.ask_for(visitors=260)
    page.locator("#confirm").click()
    expect(page.locator("#preview [role=alert]")).to_be_visible(timeout=SECONDS)
    assert acme.read()["spec"]["licenses"][0]["quantity"] == 260
    confirm(page)
    acme.expect_granted(visitors=300)
    manager.complaints.clear()  # the browser tells of the 409


def test_a_client_is_topped_up_once(manager: Visitor, agency: Agency) -> None:
    """Both balances before and after; a form that is sent twice moves the points once."""
    page, acme = manager.page, Client(agency.kube, agency.name, "acme")
    manager.go("/clients/acme/top-up")
    page.locator("#amount").press_sequentially("700")
    expect(page.locator("#preview .before-after")).to_contain_text("+700", timeout=SECONDS)
    page.locator("#reason").fill("agreed by phone")
    fields = page.locator("#form").evaluate("form => Object.fromEntries(new FormData(form))")
    confirm(page)
    pointverbs.expect_balance(acme, 700)
    again = manager.context.request.post(
        f"{manager.origin}/clients/acme/top-up", form=fields, headers={"Origin": manager.origin}, max_redirects=0
    )
    assert again.status == 303
    tops = [one for one in pointverbs.transactions(agency, "TopUp") if one["spec"]["to"] == "org/acme"]
    assert [one["spec"]["amount"] for one in tops] == [700]
    assert tops[0]["spec"]["requestedBy"] == MANAGER
    manager.go("/points")
    expect(page.get_by_text("agreed by phone")).to_be_visible(timeout=SECONDS)


def test_everybody_is_replenished(manager: Visitor, agency: Agency) -> None:
    """What is needed for the next charge, shown before it is created."""
    page, acme = manager.page, Client(agency.kube, agency.name, "acme")
    acme.expect(lambda item: "nextCharge" in (item["status"].get("points") or {}), "have a next charge")
    manager.go("/points")
    page.locator("#do-replenish").click()
    expect(page.locator("#h-preview")).to_be_visible(timeout=SECONDS)
    confirm(page)
    acme.expect(lambda item: item["status"]["points"].get("projectedBalance") == 0, "have what the charge takes")


def active(agency: Agency) -> Client:
    """The client acme, at work, whatever an earlier test or try has left."""
    acme = Client(agency.kube, agency.name, "acme")
    acme.edit(state="Active")
    acme.expect_state_of("Active")
    return acme


def test_a_client_is_paused_resumed_deactivated_and_brought_back(manager: Visitor, agency: Agency) -> None:
    """The page of the client follows by itself."""
    page, acme = manager.page, active(agency)
    for action, state in (
        ("pause", "Paused"), ("resume", "Active"), ("deactivate", "Deactivated"), ("reactivate", "Active")
    ):  # fmt: skip
        manager.go("/clients/acme")
        page.locator(f"#do-{action}").click(timeout=SECONDS)
        expect(page.locator("#h-preview")).to_be_visible()
        if action == "deactivate":
            expect(page.get_by_text("Everything is deleted, for ever")).to_be_visible()
            page.locator("#reason").fill("the contract was not prolonged")
        confirm(page)
        acme.expect_state_of(state)
        expect(page.locator(f".subtitle .state-{state.lower()}")).to_be_visible(timeout=SECONDS)
    manager.expect_no_complaints()


def test_a_contract_is_ended_on_a_date_and_that_is_taken_back(manager: Visitor, agency: Agency) -> None:
    """With the settlement shown and the consent recorded; what changed meanwhile is shown again, no field is lost."""
    page, client = manager.page, agency.ready_client("initrode", licenses={"visitors": 40})
    client.expect(lambda item: "nextCharge" in (item["status"].get("points") or {}), "have a next charge")
    manager.go("/clients/initrode")
    page.locator("#do-terminate").click()
    page.locator("#at").fill("2098-01-31T18:00")
    expect(page.locator("#preview")).to_contain_text("is made up from pool", timeout=SECONDS)
    expect(page.locator("#preview tbody tr")).to_have_count(MOST_CHARGES + 3)
    page.locator("#at").fill(_in_a_month("18:00"))
    expect(page.locator("#preview .dates")).to_contain_text("Everything is deleted, for ever", timeout=SECONDS)
    page.locator("#form").evaluate("form => form.noValidate = true")
    page.locator("#confirm").click()
    expect(page.locator("[role=alert]")).to_contain_text("recorded consent")
    page.locator("#accepted_by").fill("Yuki Sato")
    page.locator("#consent_text").fill("letter of 20 November")
    client.ask_for(visitors=50)
    client.expect_granted(visitors=50)
    page.locator("#confirm").click()
    expect(page.locator("[role=alert]")).to_contain_text("changed meanwhile")
    assert "termination" not in client.read()["spec"]
    confirm(page)
    found = client.read()["spec"]["termination"]
    assert found["time"] == _in_a_month("18:00:00Z")
    assert (found["consent"]["acceptedBy"], found["consent"]["text"]) == ("Yuki Sato", "letter of 20 November")
    page.locator("#do-withdraw-termination").click(timeout=SECONDS)
    expect(page.locator("#preview")).to_contain_text("the contract goes on")
    confirm(page)
    assert "termination" not in client.read()["spec"]
    manager.complaints.clear()  # the browser tells of the 409 and the 422


def test_a_contract_is_ended_now(manager: Visitor, agency: Agency) -> None:
    """What cannot be taken back says so; the page of the client follows, and nothing is left to be done."""
    page, client = manager.page, agency.ready_client("hashtag")
    manager.go("/clients/hashtag/terminate")
    page.locator("#when-now").check()
    expect(page.locator("#preview .message-warn")).to_contain_text("no way back", timeout=SECONDS)
    page.locator("#accepted_by").fill("yuki@hashtag.example")
    page.locator("#accepted_time").fill("2026-01-20T09:00")
    page.locator("#consent_text").fill("by telephone")
    confirm(page)
    client.expect_state_of("Terminated")
    assert client.read()["spec"]["termination"]["consent"]["acceptedTime"] == "2026-01-20T09:00:00Z"
    expect(page.locator(".subtitle .state-terminated")).to_be_visible(timeout=SECONDS)
    expect(page.locator("#do-terminate")).to_have_count(0)
    manager.expect_no_complaints()


def _in_a_month(time: str) -> str:
    return f"{(datetime.now(UTC) + timedelta(days=30)).date()}T{time}"


def test_a_client_is_set_up_from_its_order(manager: Visitor, agency: Agency) -> None:
    """In one step, under a name that can be chosen, and once."""
    page = manager.page
    agency.create(portfolioverbs.order(agency, "wayne-1", "Wayne Enterprises"))
    manager.go("/orders")
    page.locator("#set-up-wayne-1").click(timeout=SECONDS)
    expect(page.locator("#name")).to_have_value("wayne-enterprises")
    page.locator("#name").fill("wayne")
    expect(page.locator("#preview .code")).to_have_text("wayne", timeout=SECONDS)
    confirm(page)
    assert page.url == f"{manager.origin}/clients/wayne"
    client = Client(agency.kube, agency.name, "wayne")
    client.expect_granted(visitors=30)
    assert client.read()["spec"]["requestedBy"] == MANAGER
    assert agency.kube.get(SUBSCRIPTIONS, "wayne-1", agency.name)["spec"]["clientRef"] == {"name": "wayne"}
    expect(page.locator("#h-subscriptions").locator("..")).to_contain_text("PO-wayne-1", timeout=SECONDS)
    manager.expect_no_complaints()
    page.goto(f"{manager.origin}/orders/wayne-1")
    expect(page.locator("[role=alert]")).to_contain_text("is set up already")
    manager.go("/orders")
    expect(page.locator("#set-up-wayne-1")).to_have_count(0)
    manager.complaints.clear()  # the browser tells of the 422


WATCHED: Final = """
window.setInterval = () => 0;  // the look that comes every minute must not be what helps
window.EventSource = class extends EventSource {
  constructor(address) {
    super(address);
    this.addEventListener("change", (message) => { window.told = JSON.parse(message.data).revision; });
  }
};
"""


@contextmanager
def watched(manager: Visitor) -> Iterator[Page]:
    """Another tab of the manager's, in which `told` is the newest revision that it has heard of."""
    page = manager.context.new_page()
    page.add_init_script(WATCHED)
    yield page
    page.close()


class Held:
    """Answers to requests of a page for a path, fetched and held back until they are let go, the last one first."""

    def __init__(self, page: Page, path: str) -> None:
        self.page = page
        self._answers: list[tuple[Route, APIResponse]] = []
        self._is_over = False
        page.route(lambda address: urlsplit(address).path == path, self._hold)

    def _hold(self, route: Route) -> None:
        if self._is_over:
            route.continue_()
        else:
            self._answers.append((route, route.fetch()))

    def expect_one(self) -> None:
        """Wait until there is one."""
        wait_until(lambda: self.page.evaluate("1") and self._answers, SECONDS / 1000, "the page to ask")

    def let_go(self) -> None:
        """Give the page all of them."""
        self._is_over = True
        for route, answer in reversed(self._answers):
            route.fulfill(response=answer)


def hear_of(page: Page, change: Callable[[], object]) -> None:
    """Make a change, and wait until the page has been told of it."""
    before = page.evaluate("window.told")
    change()
    page.wait_for_function("before => window.told > before", arg=before, timeout=SECONDS)


def test_a_change_during_a_refresh_is_shown_as_well(manager: Visitor, agency: Agency) -> None:
    """The answer that was under way says nothing of it; htmx drops a second request of an element it has replaced."""
    acme = active(agency)
    with watched(manager) as page:
        page.goto(manager.origin + "/clients/acme")
        page.wait_for_function("window.told !== undefined")
        held = Held(page, "/clients/acme")
        acme.edit(displayName="Acme First")
        held.expect_one()
        hear_of(page, lambda: acme.edit(displayName="Acme Second"))
        held.let_go()
        expect(page.locator("h1")).to_have_text("Acme Second", timeout=SECONDS)


def test_a_refresh_that_failed_is_tried_again(manager: Visitor, agency: Agency) -> None:
    """An API server that did not answer once does not leave the page as it was until something else changes."""
    acme = active(agency)
    with watched(manager) as page:
        page.goto(manager.origin + "/clients/acme")
        page.wait_for_function("window.told !== undefined")
        failed: list[Route] = []

        def fail(route: Route) -> None:
            failed.append(route)
            route.fulfill(status=502, body="no")

        page.route(lambda address: urlsplit(address).path == "/clients/acme", fail, times=1)
        acme.edit(displayName="Acme Third")
        wait_until(lambda: page.evaluate("1") and failed, SECONDS / 1000, "the page to ask")
        expect(page.locator("h1")).to_have_text("Acme Third", timeout=SECONDS)


def test_a_search_is_not_lost_to_a_refresh(manager: Visitor, agency: Agency) -> None:
    """What was typed is what is listed, whichever answer comes first."""
    acme = active(agency)
    with watched(manager) as page:
        page.goto(manager.origin + "/clients")
        page.wait_for_function("window.told !== undefined")
        held = Held(page, "/clients")
        page.locator("#q").fill("acme")
        held.expect_one()
        hear_of(page, lambda: acme.edit(displayName="Acme Fourth"))
        held.let_go()
        expect(page.locator("tbody .client-title")).to_have_text(["Acme Fourth"], timeout=SECONDS)


BEHIND: Final = """
let hidden = false;
Object.defineProperty(document, "hidden", { get: () => hidden });
window.turn = (away) => { hidden = away; document.dispatchEvent(new Event("visibilitychange")); };
"""
"""A tab that can be brought behind another one, which a browser without a screen does with none."""


def test_many_tabs_can_be_open(manager: Visitor, agency: Agency) -> None:
    """Browsers open six connections to a server: tabs behind another one hold none, and catch up later."""
    acme, tabs = active(agency), []
    try:
        for _ in range(8):
            tabs.append(manager.context.new_page())
            tabs[-1].add_init_script(BEHIND)
            tabs[-1].goto(manager.origin + "/clients/acme")
            tabs[-1].evaluate("turn(true)")
        acme.edit(displayName="Acme of many tabs")
        tabs[0].evaluate("turn(false)")
        expect(tabs[0].locator("h1")).to_have_text("Acme of many tabs", timeout=SECONDS)
    finally:
        for tab in tabs:
            tab.close()


def test_a_list_is_searched_filtered_and_left_by_keyboard(manager: Visitor) -> None:
    """Slash goes to the search; what matches nothing says so."""
    page = manager.page
    manager.go("/clients")
    page.keyboard.press("/")
    page.keyboard.type("acme")
    expect(page.locator("tbody tr")).to_have_count(1, timeout=SECONDS)
    expect(page).to_have_url(re.compile(r"/clients\?q=acme&"), timeout=SECONDS)
    page.locator("#q").fill("")
    page.locator("#filter-state").select_option("Rejected")
    expect(page.locator("tbody .client-name")).to_have_text(["initech"], timeout=SECONDS)
    page.locator("#q").fill("no such client")
    expect(page.locator("#live .empty")).to_be_visible(timeout=SECONDS)
    manager.go("/clients")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_a_list_by_status_follows_the_clock(
    browser: Browser, agency: Agency, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A subscription ends without any object being changed: who looks then finds it among those that have expired."""
    folder = tmp_path_factory.mktemp("clock")
    clock = folder / "now"
    set_clock(clock, rfc3339(datetime.now(UTC)))
    kubeconfig = write_kubeconfig(agency.kube.access, SUPPORT, folder / "kubeconfig")
    with (
        running(kubeconfig, agency.name, folder, CLIENTORG_DEV_CLOCK=str(clock)) as dashboard,
        visiting(browser, dashboard) as visitor,
    ):
        visitor.go("/clients?status=Expired")
        expect(visitor.page.locator("#live .empty")).to_be_visible(timeout=SECONDS)
        set_clock(clock, rfc3339(datetime.now(UTC) + timedelta(days=50)))
        visitor.go("/clients?status=Expired")
        expect(visitor.page.locator("#client-hooli")).to_be_visible(timeout=SECONDS)  # and whoever was set up meanwhile


def test_a_lost_watch_is_told_and_recovered(
    browser: Browser, agency: Agency, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What changed meanwhile is there as soon as the server answers again. Also: what support may not do is off."""
    folder = tmp_path_factory.mktemp("support")
    active(agency)
    with Relay(agency.kube.access.server) as relay:
        kubeconfig = write_kubeconfig(agency.kube.access, SUPPORT, folder / "kubeconfig", relay.url)
        with running(kubeconfig, agency.name, folder) as dashboard, visiting(browser, dashboard) as visitor:
            page = visitor.page
            visitor.go("/clients/acme")
            for action in ("reallocate", "top-up", "pause", "deactivate", "terminate"):
                expect(page.locator(f"#do-{action}")).to_have_attribute("aria-disabled", "true")
            visitor.go("/orders")
            expect(page.locator("#set-up-stark-1")).to_have_attribute("aria-disabled", "true")
            visitor.go("/clients/acme/pause")
            expect(page.locator("#confirm")).to_be_disabled()
            expect(page.locator("#no-right")).to_contain_text("patch clientorgs.clientorg.dev")
            page.locator("#confirm").evaluate("button => button.disabled = false")
            page.locator("#confirm").click()
            expect(page.locator("[role=alert]")).to_contain_text("patch clientorgs.clientorg.dev")
            visitor.go("/clients")
            visitor.expect_accessible()
            relay.cut()
            expect(page.locator("#lost")).to_be_visible(timeout=SECONDS)
            Client(agency.kube, agency.name, "acme").edit(displayName="Acme Holdings")
            relay.mend()
            expect(page.locator("#lost")).to_be_hidden(timeout=SECONDS)
            expect(page.get_by_text("Acme Holdings")).to_be_visible(timeout=SECONDS)


def test_nobody_else_gets_in(dashboard: Dashboard, manager: Visitor) -> None:
    """Neither by another name of this machine, nor from another page, nor by the link once more."""
    cookies = {one["name"]: one["value"] for one in manager.context.cookies(dashboard.origin)}
    session = next(one for one in manager.context.cookies(dashboard.origin) if one["name"].startswith("clientorg-dash"))
    assert (session["httpOnly"], session["sameSite"]) == (True, "Strict")
    with httpx.Client(base_url=dashboard.origin, trust_env=False) as http:

        def code(method: str = "GET", path: str = "/", *, signed: bool = True, **headers: str) -> int:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            body: Any = {"language": "ja", "form_token": "guess"} if method == "POST" else None
            http.cookies.clear()
            return http.request(method, path, headers=sent, data=body, cookies=cookies if signed else None).status_code

        assert code() == 200
        assert code(signed=False) == 403
        assert code(path=dashboard.link, signed=False) == 403
        assert code(path="/enter?token=", signed=False) == 403
        assert code(Host="dashboard.attacker.example") == 421
        assert code("POST", "/preferences") == 403
        assert code("POST", "/preferences", Origin="http://127.0.0.1:1") == 403
        assert code("POST", "/preferences", Origin=dashboard.origin, Sec_Fetch_Site="same-site") == 403
        assert code("POST", "/preferences", Origin=dashboard.origin) == 403  # the form's token is a guess
        assert code("PUT", "/preferences", Origin=dashboard.origin) == 405
        policy = http.get("/", cookies=cookies).headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
