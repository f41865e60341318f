"""The platform fixtures, on both stores."""

from platform_fixtures import bundle, open_system, pytest_generate_tests, shop, started, system

__all__ = ["bundle", "open_system", "pytest_generate_tests", "shop", "started", "system"]
