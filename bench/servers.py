"""The servers that the bench compares: how each is started, and the plan by which the load generator reaches its rooms.

A server runs pinned to one core, in a data folder of its own, and is ended by the id of its process.
"""

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import urllib.parse
from pathlib import Path

READY_SECONDS = 120


class Server:
    """One running server. A context manager: leaving it ends the process and removes the data folder."""

    name = ""

    def __init__(self, core, data_root, demo_clients):
        self.core = core
        self.demo_clients = demo_clients
        self.data = Path(tempfile.mkdtemp(prefix=f"{self.name}-", dir=data_root))
        self.process = None
        self.address = None

    def command(self):
        raise NotImplementedError

    def environment(self):
        return dict(os.environ)

    def __enter__(self):
        log = open(self.data / "stderr.log", "wb")
        self.process = subprocess.Popen(
            ["taskset", "-c", str(self.core), *map(str, self.command())],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=self.environment())
        log.close()
        try:
            self.address = self._await_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _await_ready(self):
        # The server may hang without a word; then the timer ends it, which ends the reading below.
        timer = threading.Timer(READY_SECONDS, self.process.kill)
        timer.start()
        try:
            for line in self.process.stdout:
                found = re.search(rb"ready http://([0-9.]+:[0-9]+)", line)
                if found:
                    # Nobody may block on a full pipe later.
                    threading.Thread(target=shutil.copyfileobj, args=(self.process.stdout, open(os.devnull, "wb")),
                                     daemon=True).start()
                    return found.group(1).decode()
        finally:
            timer.cancel()
        raise RuntimeError(f"{self.name} did not get ready:\n{self.errors()}")

    def errors(self):
        return (self.data / "stderr.log").read_text(errors="replace")[-2000:]

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.data, ignore_errors=True)

    def resident_bytes(self):
        for line in Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Rss:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("no Rss in smaps_rollup")

    def plan(self, rooms):
        """The text of a plan (see load_client.hpp) for that many rooms."""
        raise NotImplementedError


class ChatServer(Server):
    """What travelchat-server and the Node server have in common: the routes of the contract."""

    def _request(self, connection, method, path, body=None, headers=None):
        connection.request(method, path, body=None if body is None else json.dumps(body),
                           headers={"Content-Type": "application/json", **(headers or {})})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{self.name}: {method} {path.split('?')[0]} answered {answer.status}: {text[:300]!r}")
        return answer, json.loads(text)

    def plan(self, rooms):
        connection = http.client.HTTPConnection(self.address)
        _, demo = self._request(connection, "GET", "/api/demo")
        if len(demo["trips"]) < rooms:
            raise RuntimeError(f"{self.name}: the demo has {len(demo['trips'])} trips, {rooms} rooms were asked for")
        advisors = {}
        for advisor in demo["advisors"]:
            if advisor["orgId"] in advisors:
                continue
            answer, _ = self._request(connection, "POST", "/api/login",
                                      {"email": advisor["email"], "password": advisor["password"]})
            cookies = [value.split(";")[0] for name, value in answer.getheaders() if name.lower() == "set-cookie"]
            advisors[advisor["orgId"]] = (advisor["id"], "; ".join(cookies))

        lines = []
        for trip in demo["trips"][:rooms]:
            query = urllib.parse.urlencode({"tripId": trip["id"], "shareToken": trip["shareToken"]})
            _, chat = self._request(connection, "GET", f"/api/chat-token?{query}")
            conversation, token = chat["conversationId"], chat["chatToken"]
            advisor_id, cookie = advisors[trip["orgId"]]
            socket = f"/ws/chat?conversationId={conversation}"
            route = f"/api/conversations/{conversation}/messages"
            lines += [
                "room",
                f"socket\t{socket}&userType=client&userId={trip['clientId']}&chatToken={token}\t",
                f"socket\t{socket}&userType=advisor&userId={advisor_id}\t{cookie}",
                f'sender\t{route}\t{cookie}\t{{"content":"\t"}}',
                f'sender\t{route}/client\t\t{{"content":"\t","chatToken":"{token}"}}',
            ]
        connection.close()
        return "\n".join(lines) + "\n"


class Travelchat(ChatServer):
    name = "travelchat"
    executable = None

    def command(self):
        return [self.executable, "--listen", "127.0.0.1:0", "--data", self.data / "data",
                f"--demo={self.demo_clients}", "--rate-limits", "off", "--io-threads", "1"]


class Node(ChatServer):
    name = "node"
    script = Path(__file__).parent / "node-server" / "server.js"

    def command(self):
        return ["node", self.script, "--data", self.data / "data", f"--demo={self.demo_clients}"]

    def environment(self):
        return {**super().environment(), "NODE_ENV": "production"}


class BareLoop(Server):
    name = "bare"
    executable = None
    event_overhead = 0  # bytes of a travelchat event besides its content

    def command(self):
        return [self.executable, "--event-overhead", self.event_overhead]

    def plan(self, rooms):
        lines = []
        for room in range(rooms):
            lines += ["room", f"socket\t/ws?room={room}\t", f'sender\t/send?room={room}\t\t{{"content":"\t"}}']
        return "\n".join(lines) + "\n"


class BareLoopWithSync(BareLoop):
    """The bare loop that also flushes each round to the disk."""

    name = "bare+sync"

    def command(self):
        return [*super().command(), "--sync", self.data / "rounds"]
