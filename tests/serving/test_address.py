"""Where a server listens."""

import socket

import pytest

from visionkit.errors import UserError
from visionkit.serving.address import Address, network_warning, url_of


def test_it_is_this_machine_alone_unless_a_host_is_typed():
    assert Address.read({}, port=8000) == Address("127.0.0.1", 8000)
    with Address("127.0.0.1", 0).bind() as bound:
        assert bound.getsockname()[0] == "127.0.0.1"
        assert network_warning(bound) is None
        assert Address("127.0.0.1", 0).known_hosts(bound) == ("127.0.0.1",)
        assert url_of(bound) == f"http://127.0.0.1:{bound.getsockname()[1]}"


def test_a_host_that_others_reach_is_said_and_its_address_works_here():
    address = Address.read({"host": "0.0.0.0", "port": 0}, port=8000)
    with address.bind() as bound:
        assert address.known_hosts(bound) is None
        assert "whoever reaches this machine over the network can use it" in network_warning(bound)
        assert url_of(bound).startswith("http://127.0.0.1:")


def test_a_port_that_is_taken_is_told_with_another_to_type():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=f"port: {port} is taken by another program.*or port=0 for any"):
            Address("127.0.0.1", port).bind()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"port": "http"}, 'port: expected a whole number from 0 to 65,535, found "http"'),
        ({"port": 70_000}, "found 70000"),
        ({"port": True}, "found true"),
        ({"host": 0}, "host: found 0, expected a name or an address of this machine"),
        ({"host": "http://here"}, "Try: host=127.0.0.1"),
    ],
)
def test_what_is_no_address_is_refused(options, message):
    with pytest.raises(UserError) as caught:
        Address.read(options, port=8000)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("host", "message"),
    [("no-such-host.invalid", "is not known"), ("203.0.113.7", "is no address of this machine"), ("a" * 80, "known")],
)
def test_a_host_of_another_machine_is_refused(host, message):
    with pytest.raises(UserError, match=message):
        Address(host, 0).bind()
