"""A certificate of the replicas' own: browsers under test are told its key."""

import base64
import datetime
import hashlib
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "replica.test")])


@dataclass(frozen=True, slots=True)
class Certificate:
    """A key and a certificate that it signed itself.

    Attributes:
        key_sha256: Base64 of the SHA-256 of the public key, as `--ignore-certificate-errors-spki-list` wants it.
    """

    certificate_file: Path
    key_file: Path
    key_sha256: str

    @classmethod
    def write(cls, folder: Path) -> "Certificate":
        """Make one, and write it to two files in `folder`."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(_NAME)
            .issuer_name(_NAME)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=2))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("replica.test")]), critical=False)
            .sign(key, hashes.SHA256())
        )
        certificate_file, key_file = folder / "replica.crt", folder / "replica.key"
        certificate_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        spki = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return cls(certificate_file, key_file, base64.b64encode(hashlib.sha256(spki).digest()).decode())
