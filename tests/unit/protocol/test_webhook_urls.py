"""Which URLs may be a webhook's, and which addresses are outside."""

import ipaddress

import pytest

from usher.protocol.webhook_urls import is_outside, why_never

OUTSIDE = ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::"]
INSIDE = [
    "127.0.0.1",
    "0.0.0.0",  # noqa: S104 - an address to refuse, not to listen on
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "192.0.0.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:10.0.0.1",
    "::ffff:100.64.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::808:808",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::",
    "2001:0:808:808::",
    "2001:db8::1",
]


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
