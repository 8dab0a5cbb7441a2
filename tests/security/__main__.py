"""`python -m tests.security`: judge the last test run. Exit code 1 when something is wrong."""

from __future__ import annotations

import argparse
import sys

from tests.security.evidence import FOLDER, gather
from tests.security.rights import dangerous, held, missing, unused


def main() -> int:
    """Compare what the operator holds with what it used, and look for secrets in the open."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", action="store_true", help="not all tests ran: say what is unused, do not mind it")
    options = parser.parse_args()
    planes = len(list(FOLDER.glob("*.json")))
    if not planes and options.part:
        print("no test has used a control plane: nothing to judge")
        return 0
    if not planes:
        print("error: no test has left evidence; run tests on a control plane of our own first", file=sys.stderr)
        return 1
    uses, refused, leaks = gather()
    rights = held()
    idle = [f"held, and nothing used it: {right}" for right in unused(rights, uses)]
    wrong = [
        *([] if options.part else idle),
        *(f"refused, and not held: {right}" for right in missing(rights, refused)),
        *(f"wider than it may be: {right}" for right in dangerous(rights)),
        *(f"a secret in the open: {line}" for line in leaks),
    ]
    for line in wrong:
        print(f"error: {line}", file=sys.stderr)
    for line in idle if options.part else ():
        print(f"note: {line}")
    print(f"{planes} control planes: {len(rights) - len(idle)} of {len(rights)} rights used, {len(leaks)} leaks")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
