"""Where the gateway listens, and for whom."""

from __future__ import annotations

import resource
import socket

import pytest

from loopwise.config import GatewaySettings
from loopwise.errors import ExternalError, SettingsError
from loopwise.gateway.server import bound, patience_for


def test_a_port_in_use_is_one_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ExternalError, match=rf"Cannot listen on 127.0.0.1:{port} .*another program listens there"):
            bound("127.0.0.1", port)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.7", "example.org", "::", "::ffff:10.0.0.1"])
def test_other_machines_are_not_served_without_keys(host: str):
    with pytest.raises(SettingsError, match=r"takes an API key.*loopwise keys create NAME --role operator"):
        bound(host, 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_this_machine_is_served_without_keys(host: str):
    with bound(host, 0) as listener, socket.create_connection(listener.getsockname()[:2], 2.0):
        assert listener.family == (socket.AF_INET6 if host == "::1" else socket.AF_INET)


@pytest.mark.parametrize(("host", "reached"), [("0.0.0.0", ["127.0.0.1"]), ("::", ["::1", "127.0.0.1"])])
def test_with_a_key_every_address_can_be_served_in_both_families(host: str, reached: list[str]):
    with bound(host, 0, keys=True) as listener:
        for address in reached:
            with socket.create_connection((address, listener.getsockname()[1]), 2.0):
                pass


@pytest.mark.parametrize(("host", "sentence"), [("no such name", "no address"), ("192.0.2.1", "no such address")])
def test_an_address_that_is_not_this_machines_is_one_sentence(host: str, sentence: str):
    with pytest.raises((SettingsError, ExternalError), match=sentence):
        bound(host, 0, keys=True)


def test_connections_are_bounded_by_the_requests_and_by_what_the_system_allows():
    assert patience_for(GatewaySettings(requests=10)).connections == 40
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert patience_for(GatewaySettings(requests=10**6)).connections == (files - 128) // 2
    assert patience_for(GatewaySettings(body_mb=3.0)).body_bytes == 6_000_000
