"""Which URLs may be a webhook's, and which addresses are outside."""

import ipaddress

import pytest

from usher.protocol.webhook_urls import is_outside, why_never

OUTSIDE = [
    "8.8.8.8",
    "172.15.255.255",
    "172.32.0.1",
    "100.63.255.255",
    "100.128.0.1",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "2002:808:808::",
]
INSIDE_4 = {
    "this machine": ["127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3"],  # noqa: S104 - to refuse, not to listen on
    "private": ["10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.255.255"],
    "link-local and what tells secrets there": ["169.254.0.1", "169.254.169.254", "169.254.170.2", "169.254.169.253"],
    "what tells secrets elsewhere": ["100.100.100.200", "168.63.129.16", "192.0.0.192"],
    "shared by a provider's customers": ["100.64.0.1", "100.127.255.255"],
    "special": ["192.0.0.1", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1"],
    "multicast, reserved and broadcast": ["224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"],
}
INSIDE_6 = {
    "this machine": ["::", "::1"],
    "link-local": ["fe80::1", "fe80::1%eth0", "febf::1", "2606:4700::1111%eth0"],
    "unique and site-local": ["fc00::1", "fd00:ec2::254", "fd20:ce::254", "fec0::1", "feff::1"],
    "multicast": ["ff02::1", "ff0e::1"],
    "special": ["100::1", "2001::1", "2001:2::1", "2001:10::1", "2001:db8::1", "3fff::1", "5f00::1", "4000::1"],
    "NAT64 of a network's own": ["64:ff9b:1::808:808"],
    "Teredo": ["2001:0:808:808::", "2001:0:4136:e378:8000:63bf:3fff:fdd2"],
}


def _in_ipv6(text: str) -> list[str]:
    """Return all ways to write an IPv4 address as an IPv6 one that something on the way may undo."""
    number = int(ipaddress.IPv4Address(text))
    high, low = f"{number >> 16:x}", f"{number & 0xFFFF:x}"
    return [f"::ffff:{text}", f"::{text}", f"64:ff9b::{high}:{low}", f"2002:{high}:{low}::", f"2002:{high}:{low}::1"]


INSIDE = [text for texts in (*INSIDE_4.values(), *INSIDE_6.values()) for text in texts]
DISGUISED = [text for texts in INSIDE_4.values() for each in texts for text in _in_ipv6(each)]


def test_the_tables_are_long_enough() -> None:
    assert len(set(INSIDE)) >= 40
    assert not set(INSIDE) & set(OUTSIDE)


@pytest.mark.parametrize("text", DISGUISED)
def test_an_inner_address_is_one_in_every_disguise(text: str) -> None:
    assert not is_outside(ipaddress.ip_address(text))


@pytest.mark.parametrize(("text", "outside"), [(t, True) for t in OUTSIDE] + [(t, False) for t in INSIDE])
def test_which_addresses_are_outside(text: str, *, outside: bool) -> None:
    assert is_outside(ipaddress.ip_address(text)) is outside


POSSIBLE = [
    "https://example.com/usher",
    "https://example.com./usher",
    "https://example.com:443/",
    "https://example.com:8443/a?b=c#d",
    "https://8.8.8.8/",
    "https://134744072/",
    "https://[2606:4700::1111]/",
    "https://münchen.example/",
]
IMPOSSIBLE = {
    "https": ["http://example.com/", "ftp://example.com/", "//example.com/", "HTTP://example.com/"],
    "needs a host": ["https://", "https:///path", "https://ann@example.com/", "https://ann:secret@example.com/"],
    "not a URL": [
        "https://[::1",
        "https://example.com:99999/",
        "https://example.com:x/",
        "https://exa mple.com/",
        "https://exam\nple.com/",
        "https://example.com/\r\nX-Evil: 1",
        "https://example.com\\@10.0.0.1/",
    ],
    "port": ["https://example.com:22/", "https://example.com:25/", "https://example.com:80/", "https://example.com:0/"],
    "public": [
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://017700000001/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://0x7F.0x0.0x0.0x1/",
        "https://127.0.1/",
        "https://0xa9fea9fe/",
        "https://2852039166/",
        "https://0251.0376.0251.0376/",
        "https://169.254.43518/",
        "https://168.63.129.16/metadata",
        "https://[::ffff:a9fe:a9fe]/",
        "https://[::169.254.169.254]/",
        "https://[fd00:ec2::254]/latest",
        "https://127\u30020\u30020\u30021/",
        "https://\uff11\uff12\uff17.0.0.1/",
        "https://\u2460\u2461\u2466.0.0.1/",
        "https://0/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://[fe80::1%25eth0]/",
        "https://169.254.169.254/latest",
        "https://100.64.0.1/",
        "https://localhost/",
        "https://LOCALHOST./",
        "https://a.localhost/",
        "https://redis/",
        "https://metadata.google.internal/",
        "https://printer.local/",
    ],
}


@pytest.mark.parametrize("url", POSSIBLE)
def test_what_may_be_sent_to(url: str) -> None:
    assert why_never(url, allow_private=False) is None


@pytest.mark.parametrize(("says", "url"), [(says, url) for says, urls in IMPOSSIBLE.items() for url in urls])
def test_what_can_never_be_sent_to(says: str, url: str) -> None:
    why = why_never(url, allow_private=False)
    assert why is not None
    assert says in why


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/", "http://localhost/", "https://redis:22/"])
def test_for_development_inner_hosts_may_be_sent_to(url: str) -> None:
    assert why_never(url, allow_private=True) is None


@pytest.mark.parametrize("url", ["ftp://localhost/", "file:///etc/passwd", "gopher://localhost:6379/", "nonsense", ""])
def test_for_development_it_is_still_a_web_server(url: str) -> None:
    assert why_never(url, allow_private=True) is not None
