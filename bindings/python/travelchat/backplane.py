"""How the processes of one deployment wake each other when they share a storage."""

from __future__ import annotations

from collections.abc import Iterable

from . import _core, _options

__all__ = ["NativeBackplane", "nats"]

NativeBackplane = _core.NativeBackplane


def nats(
    servers: str | Iterable[str], *, subject_prefix: str = "travelchat", token: str = "", key: str = ""
) -> NativeBackplane:
    """A NATS server or cluster. It carries hints only; what counts is in the storage, so nothing is lost with a message.

    No server needs to be there yet: it is looked for until it comes, and again whenever it is lost. What comes of that goes
    to the logger ``travelchat``.

    Args:
        servers: ``nats://host:4222`` or ``nats://user:password@host:4222``, of one cluster. There is no TLS.
        subject_prefix: Deployments that share a NATS have different ones; all processes of one have the same.
        token: Instead of user and password.
        key: A secret of the deployment's, at least 32 bytes, the same in every process: what is heard must be signed with it.
            Empty: whoever may publish there is believed.

    Raises:
        ValueError: no server could be reached with these.
        RuntimeError: in a forked child, when its parent had one before the fork.
    """
    urls = _options.texts("servers", [servers] if isinstance(servers, str) else servers, "URLs")
    if not urls:
        raise ValueError("servers must name at least one NATS server, like 'nats://host:4222'")
    return _core.make_nats(
        urls,
        _options.text("subject_prefix", subject_prefix),
        _options.text("token", token, may_be_empty=True),
        _options.text("key", key, may_be_empty=True),
    )
