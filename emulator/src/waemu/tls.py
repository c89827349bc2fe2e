"""A throwaway certificate authority and a certificate for the emulated web.whatsapp.com."""

import datetime as dt
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_HOSTS = ("web.whatsapp.com", "localhost")
_AUTHORITY = "waemu throwaway CA"
_VALID = dt.timedelta(days=30)
_SKEW = dt.timedelta(days=1)


def make_tls(directory: Path) -> tuple[Path, ssl.SSLContext]:
    """Write a new authority's ca.pem and return a server context.

    The authority's private key is discarded.
    """
    authority_key = ec.generate_private_key(ec.SECP256R1())
    key = ec.generate_private_key(ec.SECP256R1())
    authority = _certificate(_AUTHORITY, authority_key.public_key(), authority_key)
    certificate = _certificate(_HOSTS[0], key.public_key(), authority_key)
    ca = directory / "ca.pem"
    chain = directory / "server.pem"
    ca.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    chain.touch(mode=0o600)
    chain.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return ca, context


def _certificate(
    name: str, public_key: ec.EllipticCurvePublicKey, signer: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    is_authority = name == _AUTHORITY
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(_AUTHORITY))
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + _VALID)
        .add_extension(x509.BasicConstraints(is_authority, path_length=None), critical=True)
    )
    if not is_authority:
        names: list[x509.GeneralName] = [x509.DNSName(host) for host in _HOSTS]
        names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(signer, hashes.SHA256())


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
