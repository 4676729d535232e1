"""Which addresses webhooks may lead to: every trick that is known, and the plain forms."""

from __future__ import annotations

import ipaddress

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aimem.errors import Code, InvalidRequest
from aimem.webhooks import Reach, parse_target, refusal_of

GOOD = {
    "https://example.com": ("example.com", 443, "/", "example.com"),
    "https://example.com/hook?a=b": ("example.com", 443, "/hook?a=b", "example.com"),
    "https://example.com?a=b": ("example.com", 443, "/?a=b", "example.com"),
    "HTTPS://Example.COM:8443/x": ("example.com", 8443, "/x", "example.com:8443"),
    "https://xn--bcher-kva.example./": ("xn--bcher-kva.example.", 443, "/", "xn--bcher-kva.example."),
    "https://a_b.example/": ("a_b.example", 443, "/", "a_b.example"),
    "https://1.1.1.1/": ("1.1.1.1", 443, "/", "1.1.1.1"),
    "https://[2606:4700:4700:0:0:0:0:1111]/": ("2606:4700:4700::1111", 443, "/", "[2606:4700:4700::1111]"),
    "https://[2606:4700:4700::1111]:444/": ("2606:4700:4700::1111", 444, "/", "[2606:4700:4700::1111]:444"),
    "https://example.com/%2e%2e/%40": ("example.com", 443, "/%2e%2e/%40", "example.com"),
    "https://example.com/a@b": ("example.com", 443, "/a@b", "example.com"),
}
BAD = (
    "", "example.com", "//example.com/", "https:example.com", "https:/example.com", "https:///x", "https://",
    "https://:1/",
    # other schemes, and plain http
    "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "javascript:alert(1)", "http://example.com/",
    "http://1.1.1.1/", "https+unix://x/", "unix:///run/x.sock",
    # the user's name that hides the host
    "https://localhost:x@169.254.169.254/latest", "https://user@example.com/", "https://@example.com/",
    "https://example.com@evil.example/", "https://example.com:443@127.0.0.1/",
    # what parsers read differently
    "https://example.com\\@127.0.0.1/", "https://example.com\\.evil.example/", "https://127.0.0.1#@example.com/",
    "https://example.com#x", "https://example.com/#x", "https://exa mple.com/", " https://example.com/",
    "https://example.com/ ",
    "https://example.com/\n", "https://example.com/\r\nHost: x", "https://example.com\t/", "https://example.com/\x00",
    "https://ex\u00e4mple.com/", "https://example\u3002com/", "https://\u2460\u2461\u2462.example/",
    "https://example.com/\u00e4",
    "https://exam%70le.com/", "https://127.0.0.1%2f@x/", "https://[::1%25eth0]/", "https://[fe80::1%25eth0]/",
    "https://[::1/", "https://::1/", "https://[]/", "https://[127.0.0.1]/", "https://[1::2::3]/",
    "https://exa..mple.com/", "https://.example.com/", "https://-a.example/", "https://a-.example/",
    "https://" + "a" * 64 + ".com/",
    "https://" + "a." * 127 + "com/", "https://example.com:/", "https://example.com:0/", "https://example.com:65536/",
    "https://example.com:99999/", "https://example.com:+443/", "https://example.com:443:443/",
    "https://example.com/" + "a" * 2048,
    # this machine
    "http://localhost/", "https://localhost/", "https://LOCALHOST./", "https://x.localhost/",
    "https://localhost.localdomain/",
    "http://127.0.0.1:9077/api/v1/memories", "https://127.8.8.8/", "https://[::1]/",
    # numbers that some programs take for addresses
    "https://2130706433/", "https://0x7f000001/", "https://0x7f.1/", "https://0177.0.0.1/", "https://127.1/",
    "https://0/",
    "https://127.0.0.1./", "https://1.1.1.1.1/", "https://256.1.1.1/", "https://1.2.3.0x4/", "https://example.1/",
    "https://1.1.1.01/",
    # addresses of special use
    "https://0.0.0.0/", "https://10.0.0.1/", "https://100.64.0.1/", "https://169.254.169.254/", "https://172.16.0.1/",
    "https://192.168.1.1/", "https://192.0.2.1/", "https://198.18.0.1/", "https://198.51.100.1/",
    "https://203.0.113.9/",
    "https://224.0.0.1/", "https://240.0.0.1/", "https://255.255.255.255/", "https://192.88.99.1/",
    "https://[::]/", "https://[fc00::1]/", "https://[fd12:3456::1]/", "https://[fe80::1]/", "https://[fec0::1]/",
    "https://[ff02::1]/",
    "https://[::ffff:10.0.0.1]/", "https://[::ffff:7f00:1]/", "https://[::ffff:0:127.0.0.1]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/", "https://[64:ff9b:1::1]/", "https://[2002:7f00:1::]/", "https://[2001:0:1::1]/",
    "https://[2001:db8::1]/", "https://[3fff::1]/", "https://[100::1]/", "https://[4000::1]/",
)


@pytest.mark.parametrize("url", GOOD)
def test_a_plain_address_is_read(url: str) -> None:
    target = parse_target(url, Reach.PUBLIC)
    assert (target.host, target.port, target.path, target.authority) == GOOD[url]
    seen = httpx.URL(target.at("1.1.1.1"))
    assert (seen.host, seen.raw_path.decode()) == ("1.1.1.1", target.path)


@pytest.mark.parametrize("url", BAD)
def test_a_trick_is_refused_by_name(url: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^url ") as caught:
        parse_target(url, Reach.PUBLIC)
    assert (caught.value.code, caught.value.field) == (Code.WEBHOOK_URL, "url")


@pytest.mark.parametrize(
    "url",
    ["http://localhost:8080/x", "http://127.0.0.1/", "https://127.0.0.1/", "https://10.0.0.1/", "https://[fd00::1]/",
     "http://[::1]:81/", "https://192.168.0.9/", "https://100.64.1.1/", "https://[::ffff:10.0.0.1]/"],
)
def test_private_addresses_are_reached_where_that_is_configured(url: str) -> None:
    assert parse_target(url, Reach.PRIVATE)
    with pytest.raises(InvalidRequest):
        parse_target(url, Reach.PUBLIC)


@pytest.mark.parametrize(
    "url",
    ["http://10.0.0.1/", "http://example.com/", "https://169.254.169.254/", "https://0.0.0.0/", "https://224.0.0.1/",
     "https://[fe80::1]/", "https://[64:ff9b::a00:1]/", "https://[2002:a00:1::]/", "https://user@localhost/"],
)
def test_what_no_configuration_allows(url: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_target(url, Reach.PRIVATE)


@settings(max_examples=200)
@given(st.integers(0, 2**32 - 1) | st.integers(0, 2**128 - 1).map(lambda bits: bits | 1 << 127 >> 1))
def test_what_python_calls_special_is_never_delivered_to(bits: int) -> None:
    address = ipaddress.ip_address(bits)
    if not address.is_global or address.is_multicast:
        assert refusal_of(str(address), Reach.PUBLIC)


@settings(max_examples=300)
@given(st.text(alphabet="htps:/@[]#?%.\\ 127locaex\u3002-_0\n", max_size=40).map(lambda tail: "https://" + tail))
def test_whatever_is_read_is_read_alike_by_the_client(url: str) -> None:
    try:
        target = parse_target(url, Reach.PUBLIC)
    except InvalidRequest:
        return
    seen = httpx.URL(url)
    assert (seen.host, seen.userinfo) == (target.host, b"")
    assert not target.is_literal or not refusal_of(target.host, Reach.PUBLIC)
