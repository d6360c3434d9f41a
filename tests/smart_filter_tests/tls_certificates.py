"""Self-signed certificates for TLS."""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class TlsCertificate:
    """The paths of a certificate and of its key."""

    chain: Path
    key: Path

    def serving(self) -> ssl.SSLContext:
        """Return the server's context with it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.chain, self.key)
        return context

    def trusting(self) -> ssl.SSLContext:
        """Return a client's context that trusts only it."""
        return ssl.create_default_context(cafile=str(self.chain))


def create_certificate(folder: Path, *hosts: str) -> TlsCertificate:
    """Create a certificate of these names: `tls/privkey.pem` and `tls/fullchain.pem`."""
    certificate = TlsCertificate(folder / "tls/fullchain.pem", folder / "tls/privkey.pem")
    certificate.chain.parent.mkdir()
    names = ",".join(f"DNS:{host}" for host in hosts)
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=test", "-addext", f"subjectAltName={names}"),
            *("-keyout", str(certificate.key), "-out", str(certificate.chain)),
        ],
        check=True,
        capture_output=True,
    )
    return certificate
