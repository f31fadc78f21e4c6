"""Browsers that want to be notified, and the push service that they name: the far ends of Web Push, played by hand.

The cryptography is the `cryptography` package's, put together here from the RFCs (8188, 8291, 8292), so that nothing of
the server's own is trusted.
"""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json as jsonlib
import os
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.x509.oid import NameOID

from lab.process import PATIENCE, Server


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    assert "=" not in text, "base64url of JWTs and keys has no padding"
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _hkdf(salt: bytes, secret: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, info).derive(secret)


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


# ---- Certificates ----


class Authority:
    """A certificate authority of its own; `file` is what a client of it has to trust."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Test authority {os.urandom(4).hex()}")])
        certificate = self._sign(self._name, self._key.public_key()).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(self._key, hashes.SHA256())
        self.file = folder / "authority.pem"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _sign(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.timezone.utc)
        return (x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key)
                .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
                .not_valid_after(now + datetime.timedelta(days=1)))

    def context(self, *names: str) -> ssl.SSLContext:
        """What a server of these names or addresses shows."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject: list[x509.GeneralName] = []
        for name in names:
            try:
                subject.append(x509.IPAddress(ipaddress.ip_address(name)))
            except ValueError:
                subject.append(x509.DNSName(name))
        certificate = self._sign(x509.Name([]), key.public_key()).add_extension(
            x509.SubjectAlternativeName(subject), critical=True).sign(self._key, hashes.SHA256())
        file = self.folder / f"server-{os.urandom(4).hex()}.pem"
        file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                           serialization.NoEncryption())
                         + certificate.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


# ---- The push service ----


@dataclass(frozen=True)
class Push:
    """A request that the service got."""

    method: str
    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes


# What the service does with a request: a status line's "201 Created" with further header lines, or None for nothing.
Reply = Callable[[Push], "str | None"]


class PushService:
    """A TLS server on the loopback address. `reply` may be changed at any time."""

    def __init__(self, authority: Authority, names: tuple[str, ...] = ("127.0.0.1", "localhost")):
        self.reply: Reply = lambda push: "201 Created"
        self.connections: queue.Queue[str] = queue.Queue()  # "accepted", or why there was no TLS
        self._pushes: queue.Queue[Push] = queue.Queue()
        self._context = authority.context(*names)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._answering = threading.Lock()
        self._is_closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"https://{host}:{self.port}{path}"

    def next(self) -> Push:
        try:
            return self._pushes.get(timeout=PATIENCE)
        except queue.Empty:
            raise AssertionError(f"no push within {PATIENCE} s") from None

    def next_connection(self) -> str:
        try:
            return self.connections.get(timeout=PATIENCE)
        except queue.Empty:
            raise AssertionError(f"no connection within {PATIENCE} s") from None

    def heard_nothing_more(self) -> bool:
        return self._pushes.empty()

    def close(self) -> None:
        self._is_closed = True
        # An accept() of another thread does not notice that its descriptor is closed.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                connection.close()

    def _accept(self) -> None:
        while not self._is_closed:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        plain.settimeout(PATIENCE * 3)
        try:
            connection = self._context.wrap_socket(plain, server_side=True)
        except (OSError, ssl.SSLError) as error:
            self.connections.put(str(error))
            plain.close()
            return
        with self._lock:
            self._open.add(connection)
        try:
            with connection.makefile("rb") as stream:
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    line = stream.readline()
                    if not line:
                        # With TLS 1.3 a client that does not trust us leaves after our half of the handshake.
                        self.connections.put("closed without a request")
                        return
                    head += line
                self.connections.put("accepted")
                lines = head.decode("latin-1").split("\r\n")
                method, path, version = lines[0].split(" ")
                assert version == "HTTP/1.1"
                pairs = [line.split(":", 1) for line in lines[1:] if line]
                headers = {name.lower(): value.strip() for name, value in pairs}
                assert len(headers) == len(pairs), "a header twice"
                push = Push(method, path, headers, stream.read(int(headers["content-length"])))
                reply = self.reply(push)
                # First answered, then told: a test that has heard of it may stop the server. Told too when the other side
                # has closed before it had read all of the answer; and before the request that this answer brings about.
                with self._answering:
                    try:
                        if reply is not None:
                            status, _, extra = reply.partition("\r\n")
                            body = "" if "Content-Length" in extra else "Content-Length: 0\r\n"
                            connection.sendall(f"HTTP/1.1 {status}\r\n{extra}{body}\r\n".encode())
                    finally:
                        self._pushes.put(push)
                stream.read()  # until the other side closes
        except (OSError, ssl.SSLError) as error:
            self.connections.put(str(error))
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()


# ---- The browser ----


class Browser:
    """A browser that has subscribed with its push service: a key pair, a secret, and an address."""

    def __init__(self, endpoint: str):
        self.endpoint = endpoint
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._auth = os.urandom(16)

    def to_json(self) -> dict[str, Any]:
        """PushSubscription.toJSON()."""
        return {"endpoint": self.endpoint, "expirationTime": None,
                "keys": {"p256dh": encode(_point(self._key.public_key())), "auth": encode(self._auth)}}

    def read(self, push: Push) -> dict[str, Any]:
        """The payload, as the service worker gets it. Fails when it was not encrypted for this browser."""
        assert push.headers["content-encoding"] == "aes128gcm"
        body = push.body
        salt, record_size, id_length = body[:16], int.from_bytes(body[16:20], "big"), body[20]
        assert id_length == 65 and 18 <= len(body) - 86 <= record_size, "one record"
        sender = body[21:86]
        shared = self._key.exchange(
            ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender))
        info = b"WebPush: info\0" + _point(self._key.public_key()) + sender
        material = _hkdf(self._auth, shared, info, 32)
        key = _hkdf(salt, material, b"Content-Encoding: aes128gcm\0", 16)
        nonce = _hkdf(salt, material, b"Content-Encoding: nonce\0", 12)
        record = AESGCM(key).decrypt(nonce, body[86:], None).rstrip(b"\0")
        assert record.endswith(b"\x02"), "the delimiter of the last record"
        return jsonlib.loads(record[:-1])


def check_vapid(push: Push, service: PushService, public_key: str, subject: str | None) -> dict[str, Any]:
    """The claims of the push's token, which has to be this server's, for this service, and signed."""
    scheme, _, parameters = push.headers["authorization"].partition(" ")
    assert scheme == "vapid"
    fields = dict(parameter.strip().split("=", 1) for parameter in parameters.split(","))
    assert fields["k"] == public_key
    covered, _, signature = fields["t"].rpartition(".")
    header, claims = (jsonlib.loads(decode(part)) for part in covered.split("."))
    assert header == {"typ": "JWT", "alg": "ES256"}
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), decode(public_key))
    raw = decode(signature)
    assert len(raw) == 64, "r and s, each of 32 bytes"
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    try:
        key.verify(encode_dss_signature(r, s), covered.encode(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise AssertionError("the token's signature is wrong") from None
    assert claims["aud"] == service.url("")
    assert 0 < claims["exp"] - time.time() <= 24 * 3600
    assert claims.get("sub") == subject
    return claims


def wait_for_log(server: Server, event: str, service: PushService) -> dict[str, Any]:
    """The newest line of this event about this service. A log file tells nobody when it grows, so it is read again and
    again."""
    deadline = time.monotonic() + PATIENCE
    while True:
        lines = [jsonlib.loads(line) for line in server.logs.splitlines() if line.startswith("{") and line.endswith("}")]
        found = [line for line in lines if line["event"] == event and line["host"].endswith(f":{service.port}")]
        if found:
            return found[-1]
        assert time.monotonic() < deadline, f"{event} was not logged:\n{server.logs[-4000:]}"
        time.sleep(0.01)
