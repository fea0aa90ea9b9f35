"""The production shape: what runs, that its parts know of each other, and that no secret stands in it."""

import copy
import json
import re
import tomllib
from typing import Any

import pytest
from jsonschema import Draft201909Validator

from broker.settings import Settings
from ops.tools import NoToolError, compose_schema
from tests.unit.operating import OPS, read

COMPOSE = read(OPS / "compose.yaml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
VERSION = tomllib.loads((OPS.parent / "pyproject.toml").read_text())["project"]["version"]


@pytest.fixture(scope="module")
def schema() -> Draft201909Validator:
    """The compose specification's, as Debian has it."""
    try:
        return Draft201909Validator(json.loads(compose_schema().read_text()))
    except NoToolError as why:
        pytest.skip(f"the compose schema: {why}")


def flaws(schema: Draft201909Validator, compose: dict[str, Any]) -> list[str]:
    """Where it is not of the schema's form, which is older than the name of the whole."""
    found = schema.iter_errors({part: said for part, said in compose.items() if part != "name"})
    return [f"{flaw.json_path}: {flaw.message}" for flaw in found]


def test_it_is_of_the_form_that_the_compose_specification_demands(schema: Draft201909Validator) -> None:
    assert flaws(schema, COMPOSE) == []


@pytest.mark.parametrize(
    ("where", "said"), [("restarts", "always"), ("healthcheck", {"tests": []}), ("ports", [{"publish": 1}])]
)
def test_the_schema_would_find_a_word_that_is_none(schema: Draft201909Validator, where: str, said: object) -> None:
    wrong = copy.deepcopy(COMPOSE)
    wrong["services"]["api-1"][where] = said
    assert flaws(schema, wrong)


def running(command: str) -> set[str]:
    return {name for name, service in SERVICES.items() if service.get("command") == [command]}


def test_as_many_of_each_run_as_production_is_to_have() -> None:
    assert [len(running(command)) for command in ("api", "worker", "publisher")] == [2, 3, 1]
    assert sum(name.startswith("kafka-") for name in SERVICES) == 3
    assert {"postgres", "prometheus", "alertmanager", "grafana", "node-exporter"} <= SERVICES.keys()


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES.keys())
def test_an_image_is_named_by_its_version(service: dict[str, Any]) -> None:
    assert re.fullmatch(r"[a-z/-]+:v?\d+\.\d+(\.\d+)?", service["image"])


def test_our_own_image_has_our_own_version() -> None:
    ours = {service["image"] for service in SERVICES.values() if "build" in service}
    assert ours == {f"sagsbro:{VERSION}"}
    assert (OPS.parent / SERVICES["api-1"]["build"]["dockerfile"]).exists()


def test_what_a_service_names_is_there() -> None:
    for service in SERVICES.values():
        assert set(service.get("depends_on", {})) <= SERVICES.keys()
        assert set(service["networks"]) <= COMPOSE["networks"].keys()
        wanted = {one if isinstance(one, str) else one["source"] for one in service.get("secrets", [])}
        assert wanted <= COMPOSE["secrets"].keys()
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source == "/" or source in COMPOSE["volumes"] or (OPS / source).exists()


def test_every_disk_and_every_secret_is_somebodys() -> None:
    mounted = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert COMPOSE["volumes"].keys() <= mounted
    used = {one if isinstance(one, str) else one["source"] for s in SERVICES.values() for one in s.get("secrets", [])}
    assert used == COMPOSE["secrets"].keys()


def test_secrets_come_from_files_and_stand_in_no_environment() -> None:
    assert all(set(secret) == {"file"} for secret in COMPOSE["secrets"].values())
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            secret = re.search("PASSWORD|TOKEN|SECRET|DATABASE|_KEY", name)
            assert secret is None or str(value).startswith("/run/secrets/"), name


def test_nothing_but_this_machine_reaches_a_published_port() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == len(set(ports)) == 5
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("name", ["api-1", "api-2", "publisher"])
def test_what_asks_or_tells_others_can_reach_them(name: str) -> None:
    assert any(not COMPOSE["networks"][one].get("internal") for one in COMPOSE["services"][name]["networks"])


def test_the_settings_it_gives_exist() -> None:
    given = {name for service in SERVICES.values() for name in service.get("environment", {})}
    ours = {name.removeprefix("SAGSBRO_").lower() for name in given if name.startswith("SAGSBRO_")}
    assert ours
    assert ours <= set(Settings.model_fields)


def test_prometheus_asks_every_process_by_its_name_and_port() -> None:
    (job,) = [one for one in read(OPS / "prometheus/prometheus.yml")["scrape_configs"] if one["job_name"] == "sagsbro"]
    for group in job["static_configs"]:
        kind = group["labels"]["process"]
        port = {"api": "SAGSBRO_API_PORT"}.get(kind, "SAGSBRO_METRICS_PORT")
        asked = {f"{name}:{SERVICES[name]['environment'][port]}" for name in running(kind)}
        assert set(group["targets"]) == asked


def test_acknowledged_is_on_two_of_three_disks() -> None:
    for name in ("kafka-1", "kafka-2", "kafka-3"):
        environment = SERVICES[name]["environment"]
        assert (environment["KAFKA_DEFAULT_REPLICATION_FACTOR"], environment["KAFKA_MIN_INSYNC_REPLICAS"]) == (3, 2)
    assert SERVICES["worker-1"]["environment"]["SAGSBRO_REPLICATION"] == 3


def test_three_nodes_are_tried_with_the_settings_that_kafka_has_here() -> None:
    lines = (OPS / "embedded" / "nodes.properties").read_text().splitlines()
    tried = dict(line.split("=", 1) for line in lines if "=" in line)
    where = {"cluster.id", "listeners", "advertised.listeners", "controller.quorum.voters", "log.dirs", "node.id"}
    for node in (service for name, service in SERVICES.items() if name.startswith("kafka-")):
        said = {
            name.removeprefix("KAFKA_").lower().replace("_", "."): str(value)
            for name, value in node["environment"].items()
        }
        assert said.keys() - where <= tried.keys()
        assert {name: value for name, value in said.items() if name not in where} == {
            name: tried[name] for name in said.keys() - where
        }
