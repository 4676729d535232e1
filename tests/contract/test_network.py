"""The resolver of the network port."""

from __future__ import annotations

import ipaddress

import pytest

from aimem.ports import system_resolver


async def test_a_host_has_its_addresses_each_once() -> None:
    found = await system_resolver()("localhost", 443)
    assert found
    assert len(set(found)) == len(found)
    assert all(ipaddress.ip_address(address).is_loopback for address in found)
    assert await system_resolver()("127.0.0.1", 443) == ("127.0.0.1",)


@pytest.mark.parametrize("host", ["a..b", "a" * 64 + ".example", "\ud800.example"])
async def test_what_is_no_name_of_a_host_has_no_address(host: str) -> None:
    with pytest.raises(OSError, match="no name of a host"):
        await system_resolver()(host, 443)
