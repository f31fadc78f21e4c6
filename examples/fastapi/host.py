"""What the chat asks of this application."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from http.cookies import CookieError, SimpleCookie

import travelchat
from directory import Advisor, Client, Directory
from sessions import Sessions

COOKIE = "travelchat_session"


def avatar_path(id: str) -> str:
    return f"/avatars/{id}.svg"


class TravelLabHost(travelchat.Host):
    """Answers from memory, so every method is a plain one. A look-up of yours may be a coroutine."""

    def __init__(self, directory: Directory, sessions: Sessions) -> None:
        self._directory = directory
        self._sessions = sessions

    def session_token(self, cookie: str) -> str | None:
        try:
            found = SimpleCookie(cookie).get(COOKIE)
        except CookieError:
            return None
        return found.value if found else None

    def sign_in(self, cookie: str) -> tuple[Advisor, datetime] | None:
        token = self.session_token(cookie)
        session = self._sessions.find(token) if token else None
        advisor = self._directory.advisors.get(session[0]) if session else None
        return (advisor, session[1]) if session and advisor else None

    def authenticate(self, credentials: travelchat.RequestCredentials) -> travelchat.Advisor | None:
        if credentials.authorization:
            return None  # this application signs nobody in by a header
        if (signed_in := self.sign_in(credentials.cookie)) is None:
            return None
        advisor, expires_at = signed_in
        token = self.session_token(credentials.cookie)
        return travelchat.Advisor(
            advisor.org_id,
            advisor.id,
            advisor.full_name,
            avatar_path(advisor.id),
            expires_at,
            by_cookie=True,
            session_id=self._sessions.id_of(token) if token else None,
        )

    def check_sessions(self, session_ids: Sequence[str]) -> list[str]:
        return self._sessions.find_live(session_ids)

    def find_trip(self, trip_id: str) -> travelchat.SharedTrip | None:
        if (trip := self._directory.trips.get(trip_id)) is None:
            return None
        client = self._directory.clients.get(trip.client_id) if trip.client_id else None
        advisor = self._directory.advisors[trip.advisor_id]
        return travelchat.SharedTrip(
            id=trip.id,
            org_id=trip.org_id,
            title=trip.title,
            share_enabled=bool(trip.share_enabled),
            share_token=trip.share_token,
            client_id=trip.client_id,
            client_name=client.full_name if client else None,
            advisor_name=advisor.full_name,
            advisor_avatar_url=avatar_path(advisor.id),
        )

    def find_clients(self, org_id: str, client_ids: Sequence[str]) -> list[travelchat.ClientCard]:
        found = (self._directory.clients.get(id) for id in client_ids)
        return [self._card(client) for client in found if client and client.org_id == org_id]

    def search_clients(self, org_id: str, text: str) -> list[str]:
        wanted = travelchat.fold_text(text)
        return [c.id for c in self._directory.clients_of(org_id) if wanted in travelchat.fold_text(c.full_name)]

    def _card(self, client: Client) -> travelchat.ClientCard:
        trip = self._directory.active_trip(client.id)
        active = travelchat.ActiveTrip(trip.id, trip.title) if trip else None
        return travelchat.ClientCard(client.id, client.full_name, avatar_path(client.id), active)
