"""Bytes on a TCP socket, for what no well-behaved client would send."""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import ssl
import struct
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlencode

from lab.process import PATIENCE
from lab.web import Answer

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


class Wire:
    """A TCP connection with a read buffer."""

    def __init__(self, address: tuple[str, int], receive_buffer: int | None = None,
                 segment_bytes: int | None = None, source: str | None = None, tls: ssl.SSLContext | None = None):
        """`receive_buffer` and `segment_bytes` make a peer that takes little: both bound what the kernels on the way
        hold for it. `source` is the local address to speak from."""
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if source is not None:
            self.socket.bind((source, 0))
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if segment_bytes is not None:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, segment_bytes)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(address)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname=address[0])
        self.buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def send_until_refused(self, data: bytes) -> None:
        """Sends what the peer takes: it may have closed in the middle, once it has seen enough."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def _fill(self) -> bool:
        data = self.socket.recv(65536)
        self.buffer += data
        return bool(data)

    def take(self, size: int) -> bytes:
        while len(self.buffer) < size:
            if not self._fill():
                raise EOFError(f"closed after {len(self.buffer)} of {size} bytes: {self.buffer[:200]!r}")
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def take_until(self, mark: bytes) -> bytes:
        while mark not in self.buffer:
            if not self._fill():
                raise EOFError(f"closed before {mark!r}: {self.buffer[:200]!r}")
        data, self.buffer = self.buffer.split(mark, 1)
        return data

    def at_end(self) -> bool:
        """Waits for the peer to end the connection; False when it sends something instead."""
        if self.buffer:
            return False
        try:
            return not self._fill()
        except ConnectionResetError:
            return True

    def answer(self, to_head: bool = False) -> Answer:
        """The next HTTP response."""
        lines = self.take_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        version, status, _ = lines[0].split(" ", 2)
        assert version in ("HTTP/1.1", "HTTP/1.0"), lines[0]
        headers: dict[str, str] = {}
        cookies: list[str] = []
        for line in lines[1:]:
            name, value = line.split(":", 1)
            if name.lower() == "set-cookie":
                cookies.append(value.strip())
            headers[name.lower()] = value.strip()
        if to_head or int(status) < 200 or int(status) in (204, 304):
            body = b""
        elif headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self.take_until(b"\r\n"), 16):
                body += self.take(size)
                assert self.take(2) == b"\r\n"
            assert self.take_until(b"\r\n") == b""
        elif "content-length" in headers:
            body = self.take(int(headers["content-length"]))
        else:
            while self._fill():
                pass
            body, self.buffer = self.buffer, b""
        return Answer(int(status), headers, cookies, body)


def ask(address: tuple[str, int], data: bytes) -> Answer:
    """Sends these bytes and takes the one answer."""
    with Wire(address) as wire:
        wire.send_until_refused(data)
        return wire.answer()


@dataclass(frozen=True)
class Frame:
    fin: bool
    rsv: int
    opcode: int
    payload: bytes

    @property
    def close_code(self) -> int:
        assert self.opcode == CLOSE, self
        return struct.unpack("!H", self.payload[:2])[0] if self.payload else 1005


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = True,
          declared_length: int | None = None) -> bytes:
    """A frame as a client sends it (RFC 6455 section 5.2), or nearly. `declared_length` lies about the payload."""
    length = len(payload) if declared_length is None else declared_length
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    mask_bit = 0x80 if masked else 0
    if length < 126:
        head += bytes([mask_bit | length])
    elif length < 1 << 16:
        head += bytes([mask_bit | 126]) + struct.pack("!H", length)
    else:
        head += bytes([mask_bit | 127]) + struct.pack("!Q", length)
    if not masked:
        return head + payload
    key = os.urandom(4)
    stream = (key * (len(payload) // 4 + 1))[:len(payload)]
    mixed = int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")
    return head + key + mixed.to_bytes(len(payload), "big")


def close_frame(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, struct.pack("!H", code) + reason)


def upgrade(address: tuple[str, int], path: str, query: dict[str, Any], headers: dict[str, str | None]) -> bytes:
    """An upgrade request. A header given as None is left out, any other replaces the usual one."""
    lines: dict[str, str | None] = {
        "Host": f"{address[0]}:{address[1]}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Version": "13",
        **headers,
    }
    target = path + ("?" + urlencode(query) if query else "")
    return "\r\n".join(
        [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in lines.items() if value is not None), "", ""]
    ).encode()


class RawSocket(Wire):
    """A WebSocket whose frames the test writes itself."""

    def __init__(self, address: tuple[str, int], path: str, query: dict[str, Any], *,
                 headers: dict[str, str | None] | None = None, **wire: Any):
        super().__init__(address, **wire)
        key = base64.b64encode(os.urandom(16)).decode()
        self.send(upgrade(address, path, query, {"Sec-WebSocket-Key": key, **(headers or {})}))
        head = self.take_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        assert " 101 " in head[0], head
        self.headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in head[1:])}
        accept = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        assert self.headers["sec-websocket-accept"] == base64.b64encode(accept).decode()

    def next_frame(self) -> Frame:
        first, second = self.take(2)
        assert not second & 0x80, "a server does not mask"
        length = second & 0x7F
        if length == 126:
            length = struct.unpack("!H", self.take(2))[0]
        elif length == 127:
            length = struct.unpack("!Q", self.take(8))[0]
        return Frame(bool(first & 0x80), first >> 4 & 7, first & 15, self.take(length))

    def next_text(self) -> str:
        """The next message but `alive`; pings on the way are answered."""
        while True:
            received = self.next_frame()
            if received.opcode == PING:
                self.send(frame(PONG, received.payload))
                continue
            assert (received.opcode, received.fin, received.rsv) == (TEXT, True, 0), received
            text = received.payload.decode()
            if not text.startswith('{"type":"alive"'):
                return text

    def close_code(self) -> int:
        """Reads on to the server's close frame, answers it, and sees the connection end. 1006: it ended without."""
        try:
            while True:
                received = self.next_frame()
                if received.opcode == CLOSE:
                    break
        except (EOFError, ConnectionResetError):
            return 1006
        self.send_until_refused(close_frame(1000))
        assert self.at_end(), "the connection stays open after the closing handshake"
        return received.close_code
