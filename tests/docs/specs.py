"""docs/openapi.yaml and docs/asyncapi.yaml as something to hold answers and events against."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"


def _strict(node: Any, composed: bool = False) -> Any:
    """A copy in which no object may have a member that is not described. The specifications leave that open for later
    versions; this version sends nothing that it does not describe."""
    if isinstance(node, list):
        return [_strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    out = {}
    for key, value in node.items():
        if key == "allOf":
            out[key] = [_strict(part, composed=True) for part in value]
        elif key == "schemas":
            # A named schema may be one part of another; whoever refers to the whole of it checks.
            out[key] = {name: _strict(schema, composed=True) for name, schema in value.items()}
        elif key in ("example", "examples", "const", "enum", "default"):
            out[key] = value
        else:
            out[key] = _strict(value)
    # A schema within an allOf sees only its own part, so the check stands around the whole.
    is_schema = "properties" in node or "allOf" in node or "$ref" in node
    if is_schema and not composed:
        out.setdefault("unevaluatedProperties", False)
    return out


def load(name: str) -> dict[str, Any]:
    return yaml.safe_load((DOCS / name).read_text())


OPENAPI = load("openapi.yaml")
ASYNCAPI = load("asyncapi.yaml")

_BASE = "file:///docs/"
_REGISTRY = Registry().with_resources(
    (_BASE + name, Resource(contents=_strict(document), specification=DRAFT202012))
    for name, document in (("openapi.yaml", OPENAPI), ("asyncapi.yaml", ASYNCAPI)))


def _check(document: str, pointer: str, value: Any) -> None:
    schema = {"$ref": f"{_BASE}{document}#{pointer}"}
    validator = Draft202012Validator(schema, registry=_REGISTRY, format_checker=FormatChecker())
    errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]
    assert not errors, "\n".join([f"{document}#{pointer} does not describe {value!r}", *errors])


def _escape(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")


def operations() -> dict[tuple[str, str], str]:
    """(METHOD, path template) -> operationId."""
    return {(method.upper(), path): operation["operationId"]
            for path, item in OPENAPI["paths"].items()
            for method, operation in item.items() if method in ("get", "post", "put", "patch", "delete")}


def template_of(path: str) -> str | None:
    """The template that a request's path falls under. Literal segments win over parameters."""
    path = path.split("?")[0]
    matches = [template for template in OPENAPI["paths"]
               if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", template), path)]
    return min(matches, key=lambda template: template.count("{"), default=None)


def check_answer(method: str, path: str, status: int, headers: dict[str, str], body: Any) -> str:
    """Asserts that the specification describes this answer; the operationId."""
    template = template_of(path)
    assert template, f"openapi.yaml has no path for {path}"
    operation = OPENAPI["paths"][template].get(method.lower())
    assert operation, f"openapi.yaml has no {method} {template}"
    assert str(status) in operation["responses"], f"openapi.yaml: {method} {template} does not answer {status}: {body!r}"
    pointer = f"/paths/{_escape(template)}/{method.lower()}/responses/{status}"
    response = operation["responses"][str(status)]
    if "$ref" in response:
        pointer = response["$ref"][1:]
        response = OPENAPI["components"]["responses"][pointer.rsplit("/", 1)[1]]
    media, = response.get("content") or ["none"]
    assert headers.get("content-type", "none").split(";")[0] == media, headers
    if media == "application/json":
        _check("openapi.yaml", f"{pointer}/content/{_escape(media)}/schema", body)
    for name, header in response.get("headers", {}).items():
        assert not header.get("required") or name.lower() in headers, f"{name} is missing in {headers}"
        if name.lower() in headers and "$ref" not in header:
            _check("openapi.yaml", f"{pointer}/headers/{name}/schema", headers[name.lower()])
    return operation["operationId"]


def _messages(operation: str) -> dict[str, str]:
    """`type` -> the name of the message in components."""
    names = {}
    for message in ASYNCAPI["operations"][operation]["messages"]:
        channel, name = re.fullmatch(r"#/channels/(\w+)/messages/(\w+)", message["$ref"]).groups()
        target = ASYNCAPI["channels"][channel]["messages"][name]["$ref"].rsplit("/", 1)[1]
        names[ASYNCAPI["components"]["messages"][target]["payload"]["properties"]["type"]["const"]] = target
    return names


CONVERSATION_EVENTS = _messages("sendConversationEvents")
INBOX_EVENTS = _messages("sendInboxEvents")
CLIENT_FRAMES = _messages("receiveFrames")


def check_event(event: dict[str, Any], described: dict[str, str]) -> str:
    """Asserts that the specification describes this event; its type."""
    assert event["type"] in described, f"asyncapi.yaml does not know {event!r}"
    _check("asyncapi.yaml", f"/components/messages/{described[event['type']]}/payload", event)
    return event["type"]
