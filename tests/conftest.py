"""What every test runs under: property tests never fail for a busy machine, and look further with `--long`."""

import os

from hypothesis import settings

settings.register_profile("short", deadline=None)
settings.register_profile("long", deadline=None, max_examples=5000)
settings.load_profile("long" if os.environ.get("BAILIWICK_LONG") else "short")
