"""What examples/fastapi decides itself: its share links, and its cookies."""

from __future__ import annotations

import dataclasses
import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

import travelchat

from test_server import ask, by_uvicorn

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "fastapi"


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The application and its directory."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    names = ("directory", "sessions", "host", "routes")
    directory, sessions, host, routes = (importlib.import_module(name) for name in names)
    people = directory.Directory(tmp_path / "travel-lab.db", 3)
    kept = sessions.Sessions(tmp_path / "sessions.db")
    with travelchat.sync.ChatEngine(travelchat.memory()) as engine:
        app = routes.make_app(engine, people, kept, host.TravelLabHost(people, kept), None, True)
        yield app, people
    kept.close()
    for name in names:
        sys.modules.pop(name, None)


def test_the_demonstration_starts_as_such_only(lab, tmp_path):
    directory = importlib.import_module("directory")
    with pytest.raises(directory.DemonstrationRefused, match="holds the demonstration.*start with --demo"):
        directory.Directory(tmp_path / "travel-lab.db", None)
    assert directory.Directory(tmp_path / "travel-lab.db", 3).logins
    assert directory.Directory(tmp_path / "other.db", None).logins == []


async def test_an_empty_share_token_opens_no_trip(lab):
    app, people = lab
    trip = next(trip for trip in people.trips.values() if trip.share_enabled)
    async with by_uvicorn(app) as url:
        status, _, _ = await ask(url, "GET", f"/api/trip-view/{trip.id}?token={trip.share_token}")
        assert status == 200
        for secret, given in ((trip.share_token, ""), ("", ""), (trip.share_token, trip.share_token[:-1]), ("", "x")):
            people.trips[trip.id] = dataclasses.replace(trip, share_token=secret)
            status, body, _ = await ask(url, "GET", f"/api/trip-view/{trip.id}?token={given}")
            assert (status, body["code"]) == (403, "sharing_disabled")


def an_account(people: Any) -> dict[str, str]:
    login = people.logins[0]
    return {"email": people.advisors[login.advisor_id].email, "password": login.password}


async def test_another_sites_page_neither_sets_the_cookie_nor_takes_it(lab):
    app, people = lab
    account = an_account(people)
    async with by_uvicorn(app) as url:
        for path in ("/api/login", "/api/logout"):
            for others in ({"origin": "https://evil.example"}, {"origin": "null"}, {"sec_fetch_site": "cross-site"}):
                # The browser attaches no cookie to it (SameSite), and would still obey the answer.
                status, body, headers = await ask(url, "POST", path, account, **others)
                assert (status, body["code"]) == (403, "cross_origin")
                assert "set-cookie" not in headers
            status, _, headers = await ask(url, "POST", path, account, origin=url)
            # Without a cookie there is none to take away.
            assert status == 200 and ("set-cookie" in headers) == (path == "/api/login")


async def test_signing_in_again_ends_the_browsers_session_before(lab):
    app, people = lab
    account = an_account(people)
    async with by_uvicorn(app) as url:

        async def sign_in(**cookie: str) -> str:
            status, _, headers = await ask(url, "POST", "/api/login", account, **cookie)
            assert status == 200
            return headers["set-cookie"].partition(";")[0]

        first = await sign_in()
        second = await sign_in(cookie=first)
        assert (await ask(url, "GET", "/api/me", cookie=second))[0] == 200
        assert (await ask(url, "GET", "/api/me", cookie=first))[0] == 401
