"""A chat between advisors and their clients, compiled, for asyncio.

`ChatEngine` is the chat itself; `travelchat.sync` the same for programs without an event loop. `Server` serves it over HTTP
and WebSocket on threads of its own, `travelchat.asgi.ChatApp` within an ASGI application.
"""

from __future__ import annotations

# First: the compiled module looks the types up when it is loaded.
from .types import *  # noqa: F403
from . import errors as errors, sync as sync, types as types
from ._core import fold_text as fold_text
from .backplane import NativeBackplane as NativeBackplane, nats as nats
from .engine import ChatEngine as ChatEngine, Subscription as Subscription
from .errors import *  # noqa: F403
from .host import Host as Host
from .server import RateLimit as RateLimit, RateLimits as RateLimits, Server as Server
from .storage import AnyStorage as AnyStorage, NativeStorage as NativeStorage, Storage as Storage
from .storage import StorageUpkeep as StorageUpkeep
from .storage import memory as memory, postgres as postgres, sqlite as sqlite

from . import asgi as asgi

__version__ = "0.1.0"
