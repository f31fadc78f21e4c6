"""This application's own routes, in FastAPI: signing in, its clients and trips, and the web pages."""

from __future__ import annotations

import hashlib
import html
import json
import mimetypes
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.middleware.base import RequestResponseEndpoint

import travelchat
from directory import DUMMY_HASH, Advisor, Client, Directory, Trip, verify_password
from host import COOKIE, TravelLabHost, avatar_path
from sessions import LIFETIME, Sessions

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; connect-src 'self' ws: wss:; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
)


def fail(kind: type[travelchat.TravelchatError], message: str | None = None) -> JSONResponse:
    """In the form of the chat's own errors."""
    return JSONResponse({"message": message or kind.message, "code": kind.code}, kind.http_status)


def is_well_formed(raw_path: bytes) -> bool:
    """No broken escapes, nothing but UTF-8, no NUL and no steps to another folder: as the chat has it for its own paths."""
    if re.search(rb"%(?![0-9A-Fa-f]{2})", raw_path):
        return False
    try:
        path = unquote_to_bytes(raw_path).decode()
    except UnicodeDecodeError:
        return False
    return "\0" not in path and not {".", ".."} & set(path.split("/"))


def make_app(
    engine: travelchat.ChatEngine,
    directory: Directory,
    sessions: Sessions,
    host: TravelLabHost,
    pages: Path | None,
    is_demo: bool,
) -> FastAPI:
    app = FastAPI(title="Travel Lab", openapi_url=None)
    add_error_answers(app)
    add_checks(app)
    add_accounts(app, engine, directory, sessions, host)
    add_clients_and_trips(app, directory, host)
    add_avatars(app, directory)
    if is_demo:
        add_demo(app, directory)
    if pages is not None:
        # Last: it answers every path that is left.
        add_pages(app, pages)
    return app


def add_error_answers(app: FastAPI) -> None:
    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, travelchat.TravelchatError)
        return fail(type(error), str(error))

    async def unknown(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        response = fail(travelchat.MethodNotAllowed if error.status_code == 405 else travelchat.NotFound)
        response.headers.update(error.headers or {})
        return response

    app.add_exception_handler(travelchat.TravelchatError, refused)
    app.add_exception_handler(HTTPException, unknown)


def add_checks(app: FastAPI) -> None:
    """What is refused before any route looks at the request."""

    @app.middleware("http")
    async def refuse_malformed_paths(request: Request, call_next: RequestResponseEndpoint) -> Response:
        if not is_well_formed(request.scope["raw_path"]):
            return fail(travelchat.InvalidArgument)
        return await call_next(request)

    @app.middleware("http")
    async def refuse_cross_origin_writes(request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Refuses what another site's page sends, also without a cookie, unlike the chat's own routes: the answers here set
        one, or take it away.
        """
        writes = request.method not in ("GET", "HEAD", "OPTIONS")
        origin = request.headers.get("origin")
        is_ours = origin in (None, f"{request.url.scheme}://{request.headers.get('host')}")
        if writes and not (is_ours and request.headers.get("sec-fetch-site") in (None, "none", "same-origin")):
            return fail(travelchat.CrossOrigin)
        return await call_next(request)


def signed_in_advisor(host: TravelLabHost, request: Request) -> Advisor:
    signed_in = host.sign_in(request.headers.get("cookie", ""))
    if signed_in is None:
        raise travelchat.Unauthenticated
    return signed_in[0]


def set_cookie(response: Response, value: str, max_age: int) -> None:
    response.set_cookie(COOKIE, value, max_age=max_age, httponly=True, samesite="lax")


def add_accounts(
    app: FastAPI, engine: travelchat.ChatEngine, directory: Directory, sessions: Sessions, host: TravelLabHost
) -> None:
    @app.post("/api/login")
    async def login(request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise travelchat.UnsupportedMediaType
        try:
            body = json.loads(await request.body())
        except ValueError:
            raise travelchat.MalformedJson from None
        if not isinstance(body, dict):
            raise travelchat.MalformedJson
        email, password = body.get("email"), body.get("password")
        if email is None or password is None:
            raise travelchat.MissingField
        if not isinstance(email, str) or not isinstance(password, str) or len(email) > 254 or len(password) > 1024:
            raise travelchat.InvalidArgument
        advisor = directory.by_email.get(email.lower())
        stored = advisor.password_hash if advisor else DUMMY_HASH
        is_right = await run_in_threadpool(verify_password, password, stored)
        if advisor is None or not is_right:
            raise travelchat.Unauthenticated("E-mail or password is wrong.")
        # The session that this browser had before would live on without its cookie.
        if token := host.session_token(request.headers.get("cookie", "")):
            sessions.end(token)
        response = JSONResponse(account(directory, advisor))
        set_cookie(response, sessions.open(advisor.id), int(LIFETIME.total_seconds()))
        return response

    @app.post("/api/logout")
    async def logout(request: Request) -> Response:
        response = JSONResponse({"ok": True})
        if token := host.session_token(request.headers.get("cookie", "")):
            sessions.end(token)
            engine.end_session(sessions.id_of(token))
            set_cookie(response, "", 0)
        return response

    @app.get("/api/me")
    async def me(request: Request) -> Any:
        return account(directory, signed_in_advisor(host, request))


def add_clients_and_trips(app: FastAPI, directory: Directory, host: TravelLabHost) -> None:
    @app.get("/api/clients")
    async def clients(request: Request) -> Any:
        return [client_row(directory, client) for client in directory.clients_of(signed_in_advisor(host, request).org_id)]

    @app.get("/api/clients/{id}")
    async def client(request: Request, id: str) -> Any:
        viewer = signed_in_advisor(host, request)
        found = directory.clients.get(id)
        if found is None or found.org_id != viewer.org_id:
            raise travelchat.NotFound
        return {**client_row(directory, found), "trips": [trip_row(trip) for trip in directory.trips_of(id)]}

    @app.get("/api/trips")
    async def trips(request: Request) -> Any:
        viewer = signed_in_advisor(host, request)
        return [trip_row(trip) for trip in directory.trips.values() if trip.org_id == viewer.org_id]

    @app.get("/api/trip-view/{id}")
    async def trip_view(request: Request, id: str, token: str | None = None) -> Any:
        trip = directory.trips.get(id)
        if token is None:
            signed_in = host.sign_in(request.headers.get("cookie", ""))
            if signed_in is None:
                raise travelchat.MissingField
            if trip is None or trip.org_id != signed_in[0].org_id:
                raise travelchat.NotFound
        elif trip is None:
            raise travelchat.NotFound
        elif not trip.is_opened_by(token):
            raise travelchat.SharingDisabled
        advisor = directory.advisors[trip.advisor_id]
        client = directory.clients.get(trip.client_id) if trip.client_id else None
        return {
            "trip": public_trip(trip),
            "advisor": {
                "fullName": advisor.full_name,
                "name": advisor.full_name,
                "avatarUrl": avatar_path(advisor.id),
            },
            "client": {"fullName": client.full_name} if client else None,
        }


def add_avatars(app: FastAPI, directory: Directory) -> None:
    @app.get("/avatars/{id}.svg")
    async def avatar(id: str) -> Response:
        person = directory.advisors.get(id) or directory.clients.get(id)
        if person is None:
            raise travelchat.NotFound
        initials = html.escape("".join(word[0] for word in person.full_name.split()[:2]).upper())
        hue = hashlib.sha256(id.encode()).digest()[0] * 360 // 256
        drawing = (
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 80 80">'
            f'<rect width="80" height="80" fill="hsl({hue} 45% 40%)"/><text x="40" y="50" font-size="30" fill="#fff" '
            f'font-family="Inter,sans-serif" text-anchor="middle">{initials}</text></svg>'
        )
        headers = {
            "Cache-Control": "public, max-age=86400",
            "Content-Security-Policy": "default-src 'none'",
            "Cross-Origin-Resource-Policy": "cross-origin",
        }
        return Response(drawing, media_type="image/svg+xml", headers=headers)


def add_demo(app: FastAPI, directory: Directory) -> None:
    @app.get("/api/demo")
    async def demo() -> Any:
        advisors = [(directory.advisors[login.advisor_id], login.password) for login in directory.logins]
        shared = [(client, directory.active_trip(client.id)) for client in directory.clients.values()]
        organizations = {advisor.org_id for advisor, _ in advisors}
        return {
            "advisors": [
                {"email": advisor.email, "password": password, "id": advisor.id, "orgId": advisor.org_id}
                for advisor, password in advisors
            ],
            "trips": [
                {
                    "id": trip.id,
                    "shareToken": trip.share_token,
                    "clientId": client.id,
                    "clientName": client.full_name,
                    "orgId": client.org_id,
                }
                for client, trip in shared
                if trip and trip.share_enabled and client.org_id in organizations
            ],
        }


def add_pages(app: FastAPI, pages: Path) -> None:
    """The pages of examples/travel-lab/web."""
    files = {f"/{path.relative_to(pages).as_posix()}": path for path in pages.rglob("*") if path.is_file()}

    @app.get("/{path:path}")
    async def page(path: str) -> Response:
        # Every path without a suffix is a page, which the router in it tells apart.
        known = files.get(f"/{path}")
        if known is None and ("." in path.rpartition("/")[2] or path.startswith(("api/", "ws/"))):
            raise travelchat.NotFound
        file = known or files["/index.html"]
        hashed = path.startswith("assets/")
        headers = {
            "Cache-Control": "public, max-age=31536000, immutable" if hashed else "no-cache",
            "Content-Security-Policy": CONTENT_SECURITY_POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",
        }
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        return Response(await run_in_threadpool(file.read_bytes), media_type=kind, headers=headers)


def account(directory: Directory, advisor: Advisor) -> dict[str, Any]:
    return {
        "id": advisor.id,
        "orgId": advisor.org_id,
        "orgName": directory.organizations[advisor.org_id].name,
        "email": advisor.email,
        "fullName": advisor.full_name,
        "name": advisor.full_name,
        "avatarUrl": avatar_path(advisor.id),
    }


def client_row(directory: Directory, client: Client) -> dict[str, Any]:
    trip = directory.active_trip(client.id)
    return {
        "id": client.id,
        "orgId": client.org_id,
        "fullName": client.full_name,
        "email": client.email,
        "avatarUrl": avatar_path(client.id),
        "activeTrip": {"id": trip.id, "title": trip.title} if trip else None,
    }


def public_trip(trip: Trip) -> dict[str, Any]:
    return {
        "id": trip.id,
        "clientId": trip.client_id,
        "orgId": trip.org_id,
        "title": trip.title,
        "destination": trip.destination,
        "startsOn": trip.starts_on,
        "endsOn": trip.ends_on,
        "summary": trip.summary,
    }


def trip_row(trip: Trip) -> dict[str, Any]:
    return {**public_trip(trip), "shareEnabled": bool(trip.share_enabled), "shareToken": trip.share_token}
