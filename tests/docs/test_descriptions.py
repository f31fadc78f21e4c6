"""Each record, option and error is described once: what C++, Python and Node write down besides is the same.

TypeScript's types of what travels are made from the specifications, which docs/types.mjs --check holds. Nothing here needs a
built package: Python's dataclasses are a file without imports, the rest is read as text.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import specs
from test_library import header, options_in_code

REPOSITORY = Path(__file__).resolve().parents[2]
PYTHON = REPOSITORY / "bindings/python/travelchat"
NODE = REPOSITORY / "bindings/node/src"
SCHEMAS = specs.OPENAPI["components"]["schemas"]
MESSAGES = specs.ASYNCAPI["components"]["messages"]


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"described_{path.stem}", path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TYPES = load(PYTHON / "types.py")


def snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda letter: "_" + letter[0].lower(), name)


def camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda letter: letter[1].upper(), name)


# ---- The wire's own ----


def resolve(schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = SCHEMAS[schema["$ref"].rsplit("/", 1)[1]]
    return schema


def members(schema: dict[str, Any]) -> dict[str, tuple[dict[str, Any], bool]]:
    """The members of an object with their schemas, and whether each is always there."""
    schema = resolve(schema)
    found = {name: (part, name in schema.get("required", [])) for name, part in schema.get("properties", {}).items()}
    for part in schema.get("allOf", []):
        found |= members(part)
    return found


def only(schema: str, *names: str) -> dict[str, tuple[dict[str, Any], bool]]:
    return {name: member for name, member in members(SCHEMAS[schema]).items() if name in names}


def payload(message: str) -> dict[str, tuple[dict[str, Any], bool]]:
    found = members(MESSAGES[message]["payload"])
    del found["type"]
    return found


# What a schema is called in each language: Python's annotation, C++'s type.
NAMED = {
    "Uuid": ("str", "Uuid"),
    "HostId": ("str", "std::string"),
    "Time": ("datetime", "TimePoint"),
    "Role": ("Role", "Role"),
    "Emoji": ("Emoji", "Emoji"),
    "Revision": ("int", "std::uint64_t"),
    "Reaction": ("Reaction", "Reaction"),
    "Message": ("Message", "Message"),
    # Without its reactions, which are empty there.
    "MessageFields": ("Message", "Message"),
    "ConversationRow": ("ConversationSummary", "ConversationSummary"),
    "ActiveTrip": ("ActiveTrip | None", "std::optional<ActiveTrip>"),
}
PLAIN = {"string": ("str", "std::string"), "boolean": ("bool", "bool"), "integer": ("int", "std::uint64_t")}
LANGUAGES = ("python", "c++")


def named(schema: dict[str, Any], is_required: bool, language: str) -> str:
    """The type of a member of this schema."""
    at = LANGUAGES.index(language)
    may_be_absent = not is_required
    if "anyOf" in schema:
        [schema] = [part for part in schema["anyOf"] if part.get("type") != "null"]
        may_be_absent = True
    if isinstance(schema.get("type"), list):
        [kind] = [kind for kind in schema["type"] if kind != "null"]
        schema, may_be_absent = {**schema, "type": kind}, True
    if "$ref" in schema:
        found = NAMED[schema["$ref"].rsplit("/", 1)[1]][at]
    elif schema["type"] == "array":
        item = named(schema["items"], True, language)
        found = (f"tuple[{item}, ...]", f"std::vector<{item}>")[at]
    else:
        found = PLAIN[schema["type"]][at]
    if may_be_absent:
        found = (f"{found} | None", f"std::optional<{found}>")[at]
    return found


def described(wire: dict[str, tuple[dict[str, Any], bool]], language: str) -> dict[str, str]:
    return {snake(name): named(schema, is_required, language) for name, (schema, is_required) in wire.items()}


CONVERSATION = members(SCHEMAS["Conversation"]) | only("ConversationRow", "unreadCount", "rev")
# Of each record: the wire's members, the ones that only the engine's own have, and the names that differ. `Conversation`
# has no list row around it on the wire, and knows there no `lastSeq`, which is that of the row's `lastMessage`.
RECORDS: dict[str, tuple[dict[str, tuple[dict[str, Any], bool]], dict[str, tuple[str, str]], dict[str, str]]] = {
    "Reaction": (members(SCHEMAS["Reaction"]), {}, {}),
    "Message": (members(SCHEMAS["Message"]), {}, {}),
    "Conversation": (CONVERSATION, {"last_seq": ("int", "std::uint64_t")}, {}),
    "ConversationSummary": (
        only("ConversationRow", "lastMessage"), {"conversation": ("Conversation", "Conversation")}, {}),
    "TypingChanged": (payload("typing"), {}, {}),
    "MessageCreated": (payload("newMessage"), {}, {}),
    "MessageChanged": (payload("messageUpdate"), {}, {}),
    "ReactionsChanged": (payload("reactionUpdate"), {}, {}),
    "MessagesSeen": (payload("seen"), {}, {}),
    "MessagesRead": (payload("read"), {}, {}),
    "CaughtUp": (payload("caughtUp"), {}, {}),
    "Resync": (payload("resync"), {}, {}),
    "ConversationUpdated": (payload("conversationUpdate"), {}, {"conversation": "summary"}),
}
# What only sockets are told, by the server and not by the engine.
OF_SOCKETS = {"alive", "error", "isTyping", "haveSeen"}


def record(name: str, language: str) -> dict[str, str]:
    wire, own, renamed = RECORDS[name]
    found = {renamed.get(member, member): type_ for member, type_ in described(wire, language).items()}
    return found | {member: types[LANGUAGES.index(language)] for member, types in own.items()}


def test_every_event_is_one_of_these_records() -> None:
    variant = re.search(r"using Event = std::variant<(.*?)>;", header("event.hpp"), re.DOTALL)[1]
    events = {name.strip() for name in variant.split(",")}
    assert len(events) == len(MESSAGES) - len(OF_SOCKETS)
    assert events <= set(RECORDS)
    assert {kind.__name__ for kind in TYPES.Event.__args__} == events


@pytest.mark.parametrize("name", RECORDS)
def test_a_dataclass_of_python_is_what_the_wire_says(name: str) -> None:
    fields = dataclasses.fields(getattr(TYPES, name))
    assert {field.name: field.type for field in fields} == record(name, "python")
    # What may be absent on the wire may be left out here, and nothing else.
    optional = {snake(member) for member, (_, is_required) in RECORDS[name][0].items() if not is_required}
    assert {field.name for field in fields if field.default is not dataclasses.MISSING} == optional


HEADERS = sorted(path.name for path in (REPOSITORY / "include/travelchat").glob("*.hpp"))
PUBLIC = "".join(header(name) for name in HEADERS)
INTERNAL = re.sub(r"//.*", "", (REPOSITORY / "src/core/hint.hpp").read_text())


def descriptions(text: str) -> dict[str, list[str]]:
    """What BOOST_DESCRIBE_STRUCT says of each struct: JSON, columns and the bindings' values are made from that."""
    found = re.findall(r"^BOOST_DESCRIBE_STRUCT\(([\w:]+), \(\),\s+\(([^)]*)\)\)$", text, re.MULTILINE)
    assert len(found) == text.count("BOOST_DESCRIBE_STRUCT(")
    return {struct: re.findall(r"\w+", names) for struct, names in found}


def members_of_struct(struct: str, text: str) -> dict[str, str]:
    """Its members with their types, as they are declared."""
    indent = ""
    for name in struct.split("::"):
        body = re.search(rf"^{indent}struct {name} \{{\n(.*?)^{indent}\}};", text, re.MULTILINE | re.DOTALL)
        text = body[1] if body else ""
        indent += "  "
    fields = re.findall(rf"^{indent}(?!friend |static |return )([\w:<>]+) (\w+)(?: = [^;]+|\{{.*\}})?;", text, re.MULTILINE)
    return {member: type_ for type_, member in fields}


DESCRIBED = {struct: text for text in (PUBLIC, INTERNAL) for struct in descriptions(text)}


@pytest.mark.parametrize("struct", DESCRIBED)
def test_a_struct_of_cpp_is_described_whole(struct: str) -> None:
    text = DESCRIBED[struct]
    assert descriptions(text)[struct] == list(members_of_struct(struct, text))


@pytest.mark.parametrize("name", RECORDS)
def test_a_struct_of_cpp_is_what_the_wire_says(name: str) -> None:
    members = members_of_struct(name, PUBLIC)
    assert {member: members[member] for member in descriptions(PUBLIC)[name]} == record(name, "c++")


@pytest.mark.parametrize("name", ["Role", "Emoji"])
def test_an_enum_of_python_has_the_values_of_the_wire(name: str) -> None:
    assert [value.value for value in getattr(TYPES, name)] == SCHEMAS[name]["enum"]


def test_a_trip_of_python_is_what_the_wire_says() -> None:
    [trip] = [part for part in SCHEMAS["ActiveTrip"]["anyOf"] if part.get("type") != "null"]
    assert {field.name: field.type for field in dataclasses.fields(TYPES.ActiveTrip)} == described(members(trip), "python")


# ---- Errors ----


def test_the_error_codes_of_python_are_those_of_the_wire() -> None:
    """bindings/python/tests compares what the module has with the specification; this is what type checkers see."""
    module = ast.parse((PYTHON / "errors.pyi").read_text())
    classes = [node.name for node in module.body if isinstance(node, ast.ClassDef)]
    codes = [snake(name).removeprefix("_") for name in classes if name != "TravelchatError"]
    assert sorted(codes) == sorted(SCHEMAS["ErrorCode"]["enum"])


def test_errors_stand_in_one_table() -> None:
    sources = [path for folder in ("src", "include", "bindings/node/native", "bindings/python/src", "examples")
               for path in (REPOSITORY / folder).rglob("*.[ch]pp") if "node_modules" not in path.parts]
    assert len(sources) > 100
    rows = {path.relative_to(REPOSITORY).as_posix() for path in sources
            if re.search(r'\{\s*errc::\w+,\s*"\w+",\s*\d+,', path.read_text())}
    assert rows == {"src/core/error.cpp"}


# ---- Options and counts ----


def interface(name: str, file: str) -> set[str]:
    """The members of an interface of the Node package, in C++'s way of writing."""
    body = re.search(rf"^export interface {name}(?: extends \w+)? \{{\n(.*?)^\}}", (NODE / file).read_text(),
                     re.MULTILINE | re.DOTALL)[1]
    return {snake(member) for member in re.findall(r"^  (\w+)\??:", body, re.MULTILINE)}


def parameters(function: str, file: str, of: str | None = None) -> set[str]:
    """The parameters of a function or a constructor of the Python package that are given by name."""
    body = ast.parse((PYTHON / file).read_text()).body
    if of is not None:
        [kind] = [node for node in body if isinstance(node, ast.ClassDef) and node.name == of]
        body = kind.body
    [found] = [node for node in body if isinstance(node, ast.FunctionDef) and node.name == function]
    return {argument.arg for argument in [*found.args.args, *found.args.kwonlyargs]}


def fields_of(kind: str, file: str) -> set[str]:
    [found] = [node for node in ast.parse((PYTHON / file).read_text()).body
               if isinstance(node, ast.ClassDef) and node.name == kind]
    return {node.target.id for node in found.body if isinstance(node, ast.AnnAssign)}


# What only one of them has, and why.
LOG = {"log"}  # Python's is the logger `travelchat`
BACKPLANE = {"backplane"}  # the third argument of the constructor in C++; Node has none
OF_A_LISTENER = {"address", "port", "listens", "header_timeout", "body_timeout", "idle_timeout", "write_timeout",
                 "handshake_timeout", "tls"}  # the application's own HTTP server listens
OF_A_CERTIFICATE = {"tls_certificate", "tls_key", "hsts_max_age"}  # `tls` of C++
OF_THE_SERVER = {"engine", "host", "app", "max_host_calls", "self"}  # given, and of the way to Python


def test_the_options_of_an_engine_are_the_same_everywhere() -> None:
    in_code = set(options_in_code("EngineOptions", "engine.hpp"))
    assert interface("EngineOptions", "types.ts") == in_code
    assert parameters("__init__", "_base.py", "EngineBase") - {"self", "storage"} == in_code - LOG | BACKPLANE


def test_what_an_engine_counts_is_the_same_everywhere() -> None:
    in_code = set(options_in_code("EngineStats", "engine.hpp"))
    assert len(in_code) > 8
    assert interface("EngineStats", "types.ts") == in_code
    assert {field.name for field in dataclasses.fields(TYPES.EngineStats)} == in_code


@pytest.mark.parametrize("name, file", [("sqlite", "sqlite_storage.hpp"), ("postgres", "postgres_storage.hpp")])
def test_the_options_of_a_storage_are_the_same_everywhere(name: str, file: str) -> None:
    in_code = set(options_in_code(f"{name.capitalize()}StorageOptions", file))
    assert interface(f"{name.capitalize()}Options", "storage.ts") == in_code
    assert parameters(name, "storage.py") == in_code - LOG


def test_the_options_of_a_server_are_the_same_everywhere() -> None:
    in_code = set(options_in_code("BeastServerOptions", "beast_server.hpp"))
    assert interface("ServerOptions", "host.ts") == in_code - OF_A_LISTENER - LOG | {"probes", "on_error"}
    python = parameters("__init__", "server.py", "Server")
    assert python == in_code - LOG - {"tls", "listens"} | OF_A_CERTIFICATE | OF_THE_SERVER
    # In front of an application stands the server that runs it.
    of_that_server = OF_A_LISTENER | OF_A_CERTIFICATE | {"trusted_proxies", "max_header_bytes", "ping_interval",
                                                         "silence_timeout", "close_timeout"}
    assert parameters("__init__", "asgi.py", "ChatApp") == python - of_that_server


def test_the_limits_of_a_server_are_the_same_everywhere() -> None:
    in_code = set(options_in_code("RateLimits", "beast_server.hpp"))
    body = re.search(r"rateLimits\?:\n.*?\{\n(.*?)\n      \};", (NODE / "host.ts").read_text(), re.DOTALL)[1]
    in_node = {snake(name) for name in re.findall(r"^ +(\w+)\?:", body, re.MULTILINE)}
    # Connections are the application's own.
    assert in_node == in_code - {"connections_per_address"}
    assert fields_of("RateLimits", "server.py") == in_code
