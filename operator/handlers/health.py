"""`python -m handlers.health`: ask a running operator whether it is well.

For container health checks, where there is neither curl nor a shell, and for `helm test`. It imports nothing but the
standard library: a check every half minute must not cost a second of CPU.
"""

from __future__ import annotations

import argparse
import sys
import urllib.error
import urllib.request

EXAMPLES = """examples:
  python -m handlers.health
  python -m handlers.health http://127.0.0.1:8080/readyz
  python -m handlers.health http://127.0.0.1:8081/metrics --expect 'clientorg_leader 1.0'
"""


def check(url: str, timeout_seconds: float = 5.0, expect: str = "") -> str:
    """What is wrong with the answer of this address; empty when nothing is."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a pod is never behind a proxy
    try:
        with opener.open(url, timeout=timeout_seconds) as answer:
            lines = answer.read().decode(errors="replace").splitlines()
    except urllib.error.HTTPError as error:
        return f"{url} answers {error.code}: {error.read().decode(errors='replace').strip()}"
    except (OSError, ValueError) as error:
        return f"{url} does not answer: {error}"
    return "" if not expect or expect in lines else f"{url} answers, but without a line {expect!r}"


def main(arguments: list[str] | None = None) -> int:
    """Ask; returns the exit status: 0 when all is well, 1 with what is wrong on standard error."""
    parser = argparse.ArgumentParser(
        prog="python -m handlers.health",
        description="Ask a running operator whether it is well: exit status 0 if so, 1 with what is wrong.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:8080/healthz", help="default: %(default)s")
    parser.add_argument("--timeout", type=float, default=5.0, metavar="SECONDS", help="default: %(default)s")
    parser.add_argument("--expect", default="", metavar="LINE", help="a line that the answer has to contain")
    options = parser.parse_args(arguments)
    problem = check(options.url, options.timeout, options.expect)
    if problem:
        print(f"clientorg-operator: {problem}", file=sys.stderr)
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
