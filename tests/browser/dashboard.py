"""The dashboard as a process, and a browser in it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import yaml
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

from tests.controlplane.process import spawn
from tests.controlplane.waiting import wait_until
from tests.support.install import ROOT
from tests.support.kube import Access

_RUN: Final = (sys.executable, "-c", "from clientorg.cli.main import run; run()")
_LINK: Final = re.compile(rb"http://127\.0\.0\.1:\d+/enter\?token=[\w-]+")
START_SECONDS: Final = 90
AXE_RULES: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def write_kubeconfig(access: Access, user: str, path: Path, server: str | None = None) -> Path:
    """A kubeconfig of somebody else: the administrator's credentials, impersonating them."""

    def packed(text: str) -> str:
        import base64

        return base64.b64encode(text.encode()).decode()

    cluster = {"server": server or access.server, "certificate-authority-data": packed(access.authority)}
    person = {"client-certificate-data": packed(access.certificate), "client-key-data": packed(access.key), "as": user}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "it", "cluster": cluster}],
        "users": [{"name": "it", "user": person}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "current-context": "it",
    }
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(document))
    return path


@dataclass(frozen=True)
class Dashboard:
    """One that runs."""

    link: str

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        parts = urlsplit(self.link)
        return f"{parts.scheme}://{parts.netloc}"


@contextmanager
def running(kubeconfig: Path, namespace: str, folder: Path, **environment: str) -> Iterator[Dashboard]:
    """Start it as somebody, and end it after the block. Its output is in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    out = folder / "dashboard.log"
    command = [*_RUN, f"--kubeconfig={kubeconfig}", "-n", namespace, "dashboard", "--no-browser"]
    env = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8", "TZ": "UTC", **environment}
    env["PYTHONPATH"] = str(ROOT / "operator")
    with out.open("wb") as log:
        process = spawn(command, stdout=log, stderr=subprocess.STDOUT, environment=env)
    try:

        def link() -> bytes | None:
            if process.poll() is not None:
                raise RuntimeError(f"the dashboard ended:\n{out.read_text()}")
            found = _LINK.search(out.read_bytes())
            return found[0] if found else None

        yield Dashboard(wait_until(link, START_SECONDS, "the dashboard to print its link").decode())
    finally:
        process.terminate()
        process.wait(30)


@dataclass
class Visitor:
    """A browser that is in the dashboard, and what its console complained of."""

    context: BrowserContext
    page: Page
    origin: str
    complaints: list[str] = field(default_factory=list)

    def go(self, path: str) -> None:
        """Open a page; fails where it is not there."""
        answer = self.page.goto(self.origin + path)
        assert answer is not None
        assert answer.ok, (path, answer.status)

    def expect_no_complaints(self) -> None:
        """No script failed, and the content security policy refused nothing."""
        assert not self.complaints, self.complaints

    def expect_accessible(self) -> None:
        """What axe finds wrong, it finds nowhere on the page."""
        found = Axe().run(self.page, options={"runOnly": {"type": "tag", "values": AXE_RULES}})
        told = [
            f"{one['id']}: {one['help']}: {[node['html'][:160] for node in one['nodes'][:3]]}"
            for one in found.response["violations"]
        ]
        assert not told, f"{self.page.url}:\n" + "\n".join(told)

    def shoot(self, folder: Path, name: str) -> None:
        """Take a picture of the whole page, to be looked at."""
        folder.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=folder / f"{name}.png", full_page=True)


@contextmanager
def visiting(browser: Browser, dashboard: Dashboard) -> Iterator[Visitor]:
    """Enter by the link, which works once."""
    context = browser.new_context(viewport={"width": 1360, "height": 900}, reduced_motion="reduce")
    context.set_default_timeout(60_000)
    page = context.new_page()
    visitor = Visitor(context, page, dashboard.origin)

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            visitor.complaints.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
    page.goto(dashboard.link)
    page.wait_for_url(f"{dashboard.origin}/")
    try:
        yield visitor
    finally:
        context.close()
