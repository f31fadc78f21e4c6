"""The files of deploy/ and the page about them: they parse, they fit each other, and every option in them exists."""

from __future__ import annotations

import re
import subprocess
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import REPOSITORY
from lab import process

DEPLOY = REPOSITORY / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
NODES = ["node1", "node2", "node3"]
UNIT = (DEPLOY / "travelchat@.service").read_text()


@pytest.fixture(scope="module")
def help_text() -> str:
    return subprocess.run([*process.command(), "--help"], capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def variables(help_text: str) -> set[str]:
    found = set(re.findall(r"\(Env:(TRAVELCHAT_\w+)\)", help_text))
    assert len(found) > 20
    return found


def ours(names: Any) -> set[str]:
    return {name for name in names if name.startswith("TRAVELCHAT_")}


# ---- compose.yaml ----


def test_the_nodes_of_compose_are_alike_and_are_told_what_exists(variables: set[str]):
    for name in NODES:
        node = COMPOSE["services"][name]
        assert {**node, "networks": None} == {**COMPOSE["x-node"], "networks": None}
        assert ours(node["environment"]) <= variables
        assert (REPOSITORY / node["build"]["dockerfile"]).exists()


def test_compose_refers_to_services_networks_volumes_and_files_that_it_has():
    services = COMPOSE["services"]
    for name, service in services.items():
        assert set(service.get("depends_on", {})) <= set(services), name
        assert set(service["networks"]) <= set(COMPOSE["networks"]), name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in COMPOSE["volumes"] or (DEPLOY / source).exists(), volume
        for other, condition in service.get("depends_on", {}).items():
            if condition["condition"] == "service_healthy":
                has_own = "healthcheck" in services[other]
                assert has_own or "HEALTHCHECK" in (DEPLOY / "Dockerfile").read_text(), other


def test_the_nodes_of_compose_trust_their_proxy_and_nobody_else():
    subnet = ip_network(COMPOSE["networks"]["inside"]["ipam"]["config"][0]["subnet"])
    addresses = {name: ip_address(COMPOSE["services"][name]["networks"]["inside"]["ipv4_address"])
                 for name in [*NODES, "nginx"]}
    assert len(set(addresses.values())) == 4 and all(address in subnet for address in addresses.values())
    assert COMPOSE["x-node"]["environment"]["TRAVELCHAT_TRUSTED_PROXY"] == str(addresses["nginx"])


def test_nginx_says_itself_whom_it_heard_and_passes_on_no_claim():
    config = (DEPLOY / "nginx.conf").read_text()
    assert re.findall(r"proxy_set_header X-Forwarded-For (.+);", config) == ["$remote_addr"]
    assert "$proxy_add_x_forwarded_for" not in config


def test_compose_asks_for_the_database_that_it_makes():
    made, asked = COMPOSE["services"]["postgres"]["environment"], COMPOSE["x-node"]["environment"]
    script = (DEPLOY / "postgres-role.sh").read_text()
    role = re.search(r"CREATE ROLE (\w+) LOGIN PASSWORD :'password';", script)[1]
    database, owner = re.search(r"CREATE DATABASE (\w+) OWNER (\w+);", script).groups()
    assert owner == role
    assert asked["TRAVELCHAT_STORAGE"] == f"postgres://{role}@postgres/{database}"
    assert asked["PGPASSWORD"] == made["POSTGRES_PASSWORD"]
    assert asked["TRAVELCHAT_BACKPLANE"] == "nats://nats:4222"


# ---- nginx.conf ----


def nginx_seconds(name: str) -> int:
    return int(re.search(rf"^ +{name} (\d+)s;", (DEPLOY / "nginx.conf").read_text(), re.MULTILINE)[1])


def test_nginx_knows_the_nodes_of_compose_and_waits_longer_than_their_pings(help_text: str):
    config = (DEPLOY / "nginx.conf").read_text()
    assert re.findall(r"^ +server (\S+)", config, re.MULTILINE)[:3] == [f"{name}:8080" for name in NODES]
    ping = float(re.search(r"--ping-interval SECONDS=(\S+)", help_text)[1])
    assert min(nginx_seconds("proxy_read_timeout"), nginx_seconds("proxy_send_timeout")) >= 2 * ping
    image = COMPOSE["services"]["nginx"]
    assert image["ports"] == ["8080:80"] and re.search(r"^ +listen 80;", config, re.MULTILINE)


# ---- Dockerfile ----


def dockerfile_packages() -> set[str]:
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    line = re.search(r"apt-get install -y --no-install-recommends ([^&]*)", text)[1]
    return set(line.split())


def test_the_container_has_every_library_that_the_server_is_linked_with():
    needed = set()
    dynamic = subprocess.run(["readelf", "-d", process.command()[0]], capture_output=True, text=True, check=True).stdout
    paths = dict(re.findall(r"(\S+) => (\S+)", subprocess.run(["ldd", process.command()[0]], capture_output=True,
                                                              text=True, check=True).stdout))
    for library in re.findall(r"\(NEEDED\).*\[(lib.+)\]", dynamic):
        path = Path(paths.get(library, library)).resolve()
        owner = subprocess.run(["dpkg", "-S", f"*/{path.parent.name}/{path.name}"], capture_output=True, text=True, check=True).stdout
        needed.add(owner.split(":")[0])
    needed -= {"libc6", "libgcc-s1"}  # of every Debian
    assert needed <= dockerfile_packages()


def test_the_container_has_nothing_that_it_does_not_need():
    text = (DEPLOY / "Dockerfile").read_text()
    for package in dockerfile_packages() - {"ca-certificates", "curl"}:
        libraries = subprocess.run(["dpkg", "-L", package], capture_output=True, text=True, check=True).stdout
        names = {Path(path).name for path in libraries.split() if ".so" in path}
        linked = subprocess.run(["ldd", process.command()[0]], capture_output=True, text=True, check=True).stdout
        assert any(name in linked for name in names), package
    assert "USER travelchat" in text


def test_the_container_is_configured_by_options_that_exist(variables: set[str]):
    text = (DEPLOY / "Dockerfile").read_text()
    assert ours(re.findall(r"\b(TRAVELCHAT_(?!BUILD_)\w+)=", text)) <= variables
    # What it builds with exists as well.
    cmake = (REPOSITORY / "CMakeLists.txt").read_text()
    for option in re.findall(r"-D(TRAVELCHAT_\w+)=", text):
        assert f"option({option} " in cmake
    for script in re.findall(r"scripts/[\w-]+", text):
        assert (REPOSITORY / script).exists()


# ---- systemd ----


def test_systemd_understands_the_unit(tmp_path: Path):
    # It wants to see the program.
    unit = tmp_path / "travelchat@8080.service"
    # Quoted: the checkout's path may have a space.
    program = f'"{Path(process.command()[0]).resolve()}"'
    unit.write_text(UNIT.replace("/usr/local/bin/travelchat-server", program))
    verified = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True)
    assert (verified.returncode, verified.stderr) == (0, "")


def test_the_unit_lets_the_server_do_little_beside_its_work(tmp_path: Path):
    unit = tmp_path / "travelchat@8080.service"
    unit.write_text(UNIT)
    rated = subprocess.run(["systemd-analyze", "security", "--no-pager", "--offline=yes", "--threshold=20", str(unit)],
                           capture_output=True, text=True)
    assert rated.returncode == 0, rated.stdout[-300:] + rated.stderr


def test_the_environment_of_the_unit_names_options_that_exist(variables: set[str]):
    lines = (DEPLOY / "travelchat.env").read_text().splitlines()
    names = {match[1] for line in lines if (match := re.match(r"#?([A-Z_]+)=", line))}
    assert {"TRAVELCHAT_STORAGE", "TRAVELCHAT_BACKPLANE", "TRAVELCHAT_DATA"} <= ours(names) <= variables
    assert names - ours(names) == {"PGPASSWORD"}


# ---- docs/deploy.md ----


def test_the_page_names_options_and_files_that_exist(help_text: str, variables: set[str]):
    text = (REPOSITORY / "docs" / "deploy.md").read_text()
    of_others = {"--preset", "--build", "--target", "--install", "--component", "--prefix", "--system", "--home-dir",
                 "--shell", "--now"}
    of_subcommands = {"--org", "--email", "--name", "--all"}
    known = set(re.findall(r"--[a-z][a-z-]+", help_text)) | of_others | of_subcommands
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) <= known
    assert set(re.findall(r"TRAVELCHAT_\w+", text)) <= variables
    for name in re.findall(r"`([\w@.]+\.(?:yaml|conf|service|env)|Dockerfile)`", text):
        assert (DEPLOY / name).exists(), name
