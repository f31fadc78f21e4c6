"""TLS that the server itself ends: which suites it speaks, what it tells browsers, and how connections end."""

from __future__ import annotations

import contextlib
import json
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import process
from lab.raw import RawSocket, Wire
from lab.web import Answer

pytestmark = [pytest.mark.reference, pytest.mark.own_server, pytest.mark.alone, pytest.mark.one_server]


def make_certificate(folder: Path) -> list[str]:
    """The options of a server with a certificate for 127.0.0.1."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out",
                    str(certificate), "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"],
                   check=True, capture_output=True)
    return ["--tls-cert", str(certificate), "--tls-key", str(key)]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def server(certificate: list[str]) -> Iterator[process.Server]:
    running = process.start(process.Options(demo=4, extra=[*certificate, "--handshake-timeout", "1"]))
    try:
        yield running
        assert running.stop() == 0, running.logs[-4000:]
    finally:
        running.discard()
        process.remove_data(running)


@pytest.fixture
def context(certificate: list[str]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate[1])


def ask(server: process.Server, tls: ssl.SSLContext | None, method: str, path: str, body: Any = None,
        **headers: str) -> Answer:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {server.authority}", "Connection: close"]
    content = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    with Wire(server.address, tls=tls) as wire:
        wire.send("\r\n".join([*lines, "", ""]).encode() + content)
        return wire.answer()


def test_a_server_with_tls_tells_browsers_to_come_over_tls_only(server: process.Server, context: ssl.SSLContext):
    for path, status in (("/livez", 200), ("/api/conversations", 401), ("/nowhere", 404)):
        answer = ask(server, context, "GET", path)
        assert answer.status == status
        assert answer.headers["strict-transport-security"] == "max-age=31536000"


def test_how_long_it_tells_them_is_an_option(launch: Any, certificate: list[str], context: ssl.SSLContext):
    off = launch(demo=4, extra=[*certificate, "--hsts-max-age", "0"])
    assert "strict-transport-security" not in ask(off, context, "GET", "/livez").headers
    plain = launch(demo=4)
    assert "strict-transport-security" not in ask(plain, None, "GET", "/livez").headers


@pytest.mark.parametrize("suite", [
    "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305"])
def test_tls_1_2_is_spoken_with_forward_secrecy_and_authenticated_encryption(
        server: process.Server, context: ssl.SSLContext, suite: str):
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(suite)
    assert ask(server, context, "GET", "/livez").status == 200


@pytest.mark.parametrize("suite", [
    "AES128-SHA", "AES256-SHA256", "AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA", "ECDHE-RSA-AES256-SHA384",
    "DHE-RSA-AES128-GCM-SHA256", "AES128-CCM"])
def test_no_other_suite_of_tls_1_2_is_spoken(server: process.Server, context: ssl.SSLContext, suite: str):
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(f"{suite}:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        ask(server, context, "GET", "/livez")


def test_tls_1_3_is_spoken(server: process.Server, context: ssl.SSLContext):
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    assert ask(server, context, "GET", "/livez").status == 200


def test_a_page_that_came_in_the_clear_is_not_the_servers_own(server: process.Server, context: ssl.SSLContext):
    account = ask(server, context, "GET", "/api/demo").ok()["advisors"][0]
    login = ask(server, context, "POST", "/api/login", {key: account[key] for key in ("email", "password")})
    assert login.status == 200
    cookie = login.cookies[0].split(";")[0]
    conversation = ask(server, context, "GET", "/api/conversations", Cookie=cookie).ok()[0]
    path = f"/api/conversations/{conversation['id']}/messages"
    ask(server, context, "POST", path, {"content": "in the clear"}, Cookie=cookie,
        Origin=f"http://{server.authority}").error(403, "cross_origin")
    ask(server, context, "POST", path, {"content": "over TLS"}, Cookie=cookie,
        Origin=f"https://{server.authority}").ok(201)
    with RawSocket(server.address, "/ws/inbox", {}, tls=context,
                   headers={"Cookie": cookie, "Origin": f"http://{server.authority}"}) as socket:
        assert socket.close_code() == 4403


def test_a_slow_reader_over_tls_is_cut_with_4408(server: process.Server, context: ssl.SSLContext):
    trip = ask(server, context, "GET", "/api/demo").ok()["trips"][0]
    grant = ask(server, context, "POST", "/api/chat-token", {"tripId": trip["id"], "shareToken": trip["shareToken"]}).ok()
    query = {"conversationId": grant["conversationId"], "userType": "client", "userId": grant["clientId"],
             "chatToken": grant["chatToken"]}
    # Shorter than a TLS record, so that the one that has begun to leave always holds the ends of frames; and more than the
    # bound of 1 MiB and whatever the kernels hold.
    body = json.dumps({"content": "\U0001f30d" * 2_500, "chatToken": grant["chatToken"]}, ensure_ascii=False).encode()
    post = (f"POST /api/conversations/{grant['conversationId']}/messages/client HTTP/1.1\r\nHost: {server.authority}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body
    with (RawSocket(server.address, "/ws/chat", query, tls=context, receive_buffer=4096, segment_bytes=536) as stalled,
          Wire(server.address, tls=context) as sender):
        stalled.next_text()
        for _ in range(500):
            sender.send(post)
            sender.answer().ok(201)
        # Every frame that has begun arrives whole, and then the reason.
        assert stalled.close_code() == 4408


@pytest.mark.parametrize("says", [b"", b"\x16\x03\x01\x02\x00\x01"], ids=["nothing", "half a hello"])
def test_a_handshake_that_is_not_finished_is_ended(server: process.Server, says: bytes):
    with Wire(server.address) as wire:
        wire.send(says)
        # After a second, not after the minute that an idle connection has.
        assert wire.at_end()


def test_a_connection_may_be_idle_once_its_handshake_is_over(server: process.Server, context: ssl.SSLContext):
    with Wire(server.address, tls=context) as idle, contextlib.ExitStack() as stack:
        # Longer than a handshake may take: these two are ended for it meanwhile.
        for _ in range(2):
            assert stack.enter_context(Wire(server.address)).at_end()
        idle.send(f"GET /livez HTTP/1.1\r\nHost: {server.authority}\r\n\r\n".encode())
        assert idle.answer().status == 200
