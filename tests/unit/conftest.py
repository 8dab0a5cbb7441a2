"""Hypothesis for unit tests: no time limit for an example, since a busy machine is no fault of the code.

In CI (the variable CI is set) its own profile `ci` holds, with the same examples every time.
"""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("unit", deadline=None)
if "CI" not in os.environ:
    settings.load_profile("unit")
