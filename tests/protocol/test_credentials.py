"""A credential that ends ends its sockets: with 4401, on whichever node they are, and nobody else's."""

from __future__ import annotations

import pytest

from lab.people import Advisor, Room

pytestmark = [pytest.mark.concurrent, pytest.mark.nodes, pytest.mark.host]


def test_a_sign_out_closes_the_sockets_of_its_session(room: Room):
    leaving = Advisor(room.server, {"id": room.advisor.id, "orgId": room.advisor.org_id, "email": room.advisor.email,
                                    "password": room.advisor.password})
    with (room.advisor_listens(leaving) as chat, leaving.inbox() as inbox, room.advisor_listens() as other,
          room.client_listens() as client):
        leaving.post("/api/logout").ok()
        assert chat.close_code() == 4401
        assert inbox.close_code() == 4401
        room.hears_nothing_more(other, client)
        with room.advisor_socket(leaving) as again:
            assert again.close_code() == 4401


def test_a_token_too_many_closes_the_sockets_of_the_oldest(room: Room):
    room.client.token = oldest = room.client.new_token()
    with room.client_listens() as ends, room.advisor_listens() as advisor:
        room.client.token = room.client.new_token()
        with room.client_listens() as goes_on:
            for _ in range(99):  # 100 of a client and trip may live
                room.client.new_token()
            assert ends.close_code() == 4401
            room.hears_nothing_more(goes_on, advisor)
    with room.client_socket(token=oldest) as socket:
        assert socket.close_code() == 4401
