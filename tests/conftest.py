"""Fixtures for all tests; each room's own stand in its conftest.py."""

pytest_plugins = ["gateway_fixtures", "postgres_server", "small_disk"]
