"""Messages over TLS: the certificate is checked for the name in the URL, though the connection goes to an address."""

import ipaddress
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
from tests.unit.adapters.test_webhook_sender import NOTICE, listening

from usher.adapters.webhooks import HttpWebhookSender
from usher.ports import Delivered, Undelivered, Webhook
from usher.protocol.webhook_urls import Address
from usher.protocol.webhooks import new_secret

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="the standard library cannot make certificates, and openssl is not here"
)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a key and a certificate for hook.example."""
    folder = tmp_path_factory.mktemp("tls")
    key, cert, both = folder / "key.pem", folder / "cert.pem", folder / "both.pem"
    new = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=hook.example"
    extra = ["-addext", "subjectAltName=DNS:hook.example", "-keyout", str(key), "-out", str(cert)]
    subprocess.run([*new.split(), *extra], check=True, capture_output=True, timeout=60)  # noqa: S603 - ours
    both.write_text(key.read_text() + cert.read_text())
    return both


class Names:
    """A server's TLS, which remembers the names that it was asked for."""

    def __init__(self, certificate: Path) -> None:
        self.asked: list[str | None] = []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate)
        self.context.sni_callback = self._remember

    def _remember(self, _object: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        self.asked.append(name)


async def here(_host: str, _port: int) -> list[Address]:
    return [ipaddress.ip_address("127.0.0.1")]


@pytest.mark.parametrize(
    ("host", "expected"),
    [("hook.example", Delivered()), ("hook.example.", Delivered()), ("other.example", Undelivered("ConnectError"))],
)
async def test_the_certificate_has_to_be_for_the_name_in_the_url(
    certificate: Path, host: str, expected: Delivered | Undelivered
) -> None:
    names, trusted = Names(certificate), ssl.create_default_context(cafile=str(certificate))
    sender = HttpWebhookSender(allow_private=True, resolver=here, verify=trusted)
    async with listening(names.context) as endpoint:
        url = endpoint.url(host, scheme="https")
        assert await sender.send(Webhook(url, new_secret()), NOTICE) == expected
        assert names.asked == [host.removesuffix(".")]
        assert len(endpoint.heads) == (1 if expected == Delivered() else 0), "nothing is said before the check"
    await sender.aclose()


async def test_a_certificate_that_nobody_vouches_for_is_none(certificate: Path) -> None:
    sender = HttpWebhookSender(allow_private=True, resolver=here)
    async with listening(Names(certificate).context) as endpoint:
        url = endpoint.url("hook.example", scheme="https")
        assert await sender.send(Webhook(url, new_secret()), NOTICE) == Undelivered("ConnectError")
        assert not endpoint.heads
    await sender.aclose()
