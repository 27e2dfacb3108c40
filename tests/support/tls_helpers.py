"""Certificates that are made for one test run, by an authority that nobody trusts, and servers that show them."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from tests.support.http_helpers import Handler

Fault: TypeAlias = Literal["self-signed", "expired", "wrong host"]
Key: TypeAlias = ec.EllipticCurvePrivateKey

DAY = datetime.timedelta(days=1)
ELSEWHERE = ("elsewhere.example",)


@dataclass(frozen=True)
class Shown:
    """What a server shows: files of its certificate and of its key."""

    certificate: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """Return the server's side of TLS."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


class Authority:
    """Signs certificates in `folder`. certificate: the file with its own, which clients may be told to trust."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        self._name = _named("an authority made for a test")
        own = _certificate(self._name, self._name, self._key, DAY)
        signed = own.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.certificate = folder / "authority.pem"
        self.certificate.write_bytes(_pem(signed.sign(self._key, hashes.SHA256())))

    def shown(self, *hosts: str, fault: Fault | None = None) -> Shown:
        """Return a certificate for these hosts, wrong in one way or right, and its key."""
        key, subject = ec.generate_private_key(ec.SECP256R1()), _named("a server made for a test")
        alone = fault == "self-signed"
        names = ELSEWHERE if fault == "wrong host" else hosts
        builder = _certificate(subject, subject if alone else self._name, key, -DAY if fault == "expired" else DAY)
        builder = builder.add_extension(x509.SubjectAlternativeName(_alternatives(names)), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        files = Shown(self._folder / f"{fault or 'right'}.pem", self._folder / f"{fault or 'right'}.key")
        files.certificate.write_bytes(_pem(builder.sign(key if alone else self._key, hashes.SHA256())))
        files.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return files


def _certificate(subject: x509.Name, issuer: x509.Name, key: Key, lasts: datetime.timedelta) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 3 * DAY)
        .not_valid_after(now + lasts)
    )


def _alternatives(hosts: Sequence[str]) -> list[x509.GeneralName]:
    return [x509.IPAddress(ipaddress.ip_address(h)) if h[0].isdigit() else x509.DNSName(h) for h in hosts]


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


@asynccontextmanager
async def serving_tls(handler: Handler, shown: Shown) -> AsyncIterator[str]:
    """Serve every path with `handler` over TLS, and give the URL, in which the host is a name."""
    application = web.Application(client_max_size=2**26)
    application.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=shown.context()).start()
        yield f"https://localhost:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def tunnelling(address: str) -> AsyncIterator[str]:
    """Be a proxy that leads to `address` (host:port), wherever it is asked to lead, and give its URL."""
    host, _, port = address.partition(":")
    tasks: set[asyncio.Task[None]] = set()

    async def led(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")  # CONNECT host:port
        there, back = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_passed_on(reader, back), _passed_on(there, writer))

    def begun(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(led(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    proxy = await asyncio.start_server(begun, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
    finally:
        proxy.close()
        await asyncio.gather(*tasks)


async def _passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(2**16):
            writer.write(data)
            await writer.drain()
    writer.close()
