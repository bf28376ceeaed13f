"""A chain of certificates that is made anew, and credentials that sign with it."""

from __future__ import annotations

import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

USES = dict.fromkeys(
    (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
        *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    ),
    False,
)


def make_certificate(name: str, key, issuer: str, issuer_key, *, signs_others: bool) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    names = [
        x509.Name(
            [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "tests"), x509.NameAttribute(NameOID.COMMON_NAME, one)]
        )
        for one in (name, issuer)
    ]
    uses = {"key_cert_sign": True, "crl_sign": True} if signs_others else {"digital_signature": True}
    built = (
        x509.CertificateBuilder(issuer_name=names[1], subject_name=names[0], public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.BasicConstraints(signs_others, None), critical=True)
        .add_extension(x509.KeyUsage(**{**USES, **uses}), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if not signs_others:
        built = built.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    return built.sign(issuer_key, hashes.SHA256())


@pytest.fixture(scope="session")
def chain(tmp_path_factory) -> SimpleNamespace:
    """Paths of PEM files: `certificates` of the signer and its root, `key`, `root`, and `other_key`."""
    folder: Path = tmp_path_factory.mktemp("chain")
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(3)]
    root = make_certificate("root", keys[0], "root", keys[0], signs_others=True)
    signer = make_certificate("signer", keys[1], "root", keys[0], signs_others=False)
    pem = serialization.Encoding.PEM
    files = {
        "certificates": signer.public_bytes(pem) + root.public_bytes(pem),
        "root": root.public_bytes(pem),
        **{
            name: key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            for name, key in (("key", keys[1]), ("other_key", keys[2]))
        },
    }
    for name, content in files.items():
        (folder / f"{name}.pem").write_bytes(content)
    return SimpleNamespace(**{name: folder / f"{name}.pem" for name in files})
