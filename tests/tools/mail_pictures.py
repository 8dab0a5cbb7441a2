"""Pictures of the mails, for a person to look at: `python -m tests.tools.mail_pictures [FOLDER]`.

Needs Debian's chromium, fonts-noto-cjk and fonts-noto-core. Not run in CI: whether a mail reads well is for eyes.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from html import escape
from pathlib import Path
from zoneinfo import ZoneInfo

from clientorg.api.notifications import NotificationKind
from clientorg.notify.language import LANGUAGES
from clientorg.notify.render import Brand, Rendered, render
from tests.support.messages import EVERY_PARAMS, context

PEOPLE = {
    "en": ("Acme Inc.", "Jordan", "Miller", "Harbor Digital", "America/New_York"),
    "ja": ("株式会社アクメ", "由紀", "佐藤", "さくらデジタル株式会社", "Asia/Tokyo"),
    "cs": ("Acme s.r.o.", "Jana", "Nováková", "Vltava Digital", "Europe/Prague"),
    "hi": ("एक्मे प्राइवेट लिमिटेड", "प्रिया", "शर्मा", "गंगा डिजिटल", "Asia/Kolkata"),
}
LICENSES = {"en": "Visitors", "ja": "訪問者", "cs": "Návštěvníci", "hi": "आगंतुक"}
SIZES = {"desktop": (640, 900), "phone": (375, 1040)}
COLUMNS = 3
TO_AGENCY = (NotificationKind.POINTS_LOW, NotificationKind.POINTS_SHORT, NotificationKind.POINTS_RESTORED)


def mails(language: str) -> Iterator[tuple[str, Rendered]]:
    """Every mail in a language, to somebody who could have that name."""
    client, first, last, agency, zone = PEOPLE[language]
    brand = Brand(agency, "https://help.example", "https://support.example", takes_replies=language != "hi")
    for number, (kind, params) in enumerate(EVERY_PARAMS):
        message = context(
            params,
            client=client,
            first_name=first,
            last_name=last,
            brand=brand,
            time_zone=ZoneInfo(zone),
            license_names={"visitors": LICENSES[language]},
        )
        if kind in TO_AGENCY:
            message = replace(message, client=agency, org_id="", first_name="", last_name=f"{first} {last}")
        yield f"{number:02d}-{kind.value}", render(kind, language, message)


def main() -> int:
    """Write the pages and, where there is a chromium, their pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="where to write (default: a new temporary folder)")
    parser.add_argument("--language", choices=LANGUAGES, action="append", help="only this language; may be repeated")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="clientorg-mails-"))
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    for language in arguments.language or LANGUAGES:
        home = folder / language
        home.mkdir(parents=True, exist_ok=True)
        pages = list(mails(language))
        for name, mail in pages:
            (home / f"{name}.html").write_text(mail.html)
            (home / f"{name}.txt").write_text(f"Subject: {mail.subject}\n\n{mail.text}")
        for size, (width, height) in SIZES.items():
            sheet = home / f"sheet-{size}.html"
            sheet.write_text(_sheet(pages, width, height))
            rows = -(-len(pages) // COLUMNS)
            if browser:
                _picture(browser, sheet, COLUMNS * (width + 16), rows * (height + 48))
    print(folder)
    if not browser:
        print("no chromium: pages but no pictures (apt-get install chromium)", file=sys.stderr)
    return 0


def _sheet(pages: list[tuple[str, Rendered]], width: int, height: int) -> str:
    cells = "".join(
        f"<div style='width:{width}px;height:{height + 40}px;margin:4px 8px'><div style='font:14px sans-serif;"
        f"height:36px;overflow:hidden'><b>{escape(name)}</b> {escape(mail.subject)}</div>"
        f"<iframe src='{escape(name)}.html' width={width} height={height} scrolling=no style='border:0'></iframe></div>"
        for name, mail in pages
    )
    return f"<meta charset=utf-8><body style='margin:0;display:flex;flex-wrap:wrap;background:#fff'>{cells}"


def _picture(browser: str, page: Path, width: int, height: int) -> None:
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    command += [f"--window-size={width},{height}", f"--screenshot={page.with_suffix('.png')}", page.as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)


if __name__ == "__main__":
    sys.exit(main())
