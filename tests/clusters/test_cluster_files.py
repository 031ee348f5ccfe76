"""The cluster files pass Ray's own validation and install what the project pins."""

from pathlib import Path

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).parents[2]
CLUSTER_FILES = sorted((ROOT / "clusters").glob("*.yaml"))


def test_there_is_a_cluster_file() -> None:
    assert [file.name for file in CLUSTER_FILES] == ["local.yaml"]


@pytest.mark.parametrize("file", CLUSTER_FILES, ids=lambda file: file.name)
def test_ray_accepts_it(file: Path) -> None:
    validate_config(prepare_config(yaml.safe_load(file.read_text())))


def test_a_node_a_machine() -> None:
    cluster = yaml.safe_load((ROOT / "clusters/local.yaml").read_text())
    machines = len(cluster["provider"]["worker_ips"])
    assert (cluster["min_workers"], cluster["max_workers"]) == (machines, machines)


def test_the_readme_names_the_pinned_torch() -> None:
    (pin,) = (line for line in (ROOT / "constraints.txt").read_text().split() if line.startswith("torch=="))
    assert f'"{pin}+cpu"' in (ROOT / "clusters/README.md").read_text()
