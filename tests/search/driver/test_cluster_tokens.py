"""A cluster with Ray's token, or without, and a machine that has it not so: told before any trial."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from atoll.search.driver import ray_cluster
from atoll.spaces.errors import AtollError

HEAD = """
import sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
print(cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""
DRIVER = """
import sys
from pathlib import Path
from atoll.search.driver.ray_cluster import cluster, ray_environment
from atoll.spaces.errors import AtollError

try:
    with ray_environment(sys.argv[1]), cluster(sys.argv[1], 1, Path()):
        print("in")
except AtollError as error:
    print(error)
"""
A, B = "a" * 64, "b" * 64


def clean(home: Path, **variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    return {**kept, "HOME": str(home), **variables}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("head", "drivers"),
    [
        (
            {"RAY_AUTH_MODE": "disabled"},
            [
                ({"RAY_AUTH_TOKEN": A}, "runs without a token, and this .* put RAY_AUTH_MODE=disabled"),
                ({"RAY_AUTH_TOKEN": A, "RAY_AUTH_MODE": "disabled"}, "^in$"),
            ],
        ),
        (
            {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": A},
            [
                ({}, r"wants its token, .*copy ~/.ray/auth_token .*\(RAY_AUTH_MODE is not set here\)"),
                ({"RAY_AUTH_TOKEN": B}, r"wants its token, .* \(RAY_AUTH_MODE is token here\)"),
                ({"RAY_AUTH_TOKEN": A}, "^in$"),
            ],
        ),
    ],
    ids=["without", "with"],
)  # fmt: skip
def test_what_to_do_is_told(
    head: dict[str, str], drivers: list[tuple[dict[str, str], str]], tmp_path: Path
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HEAD],
        env=clean(tmp_path, **head), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as cluster:  # fmt: skip
        assert cluster.stdin is not None and cluster.stdout is not None
        address = cluster.stdout.readline().strip()
        for variables, message in drivers:
            told = subprocess.run(
                [sys.executable, "-c", DRIVER, address],
                env=clean(tmp_path, **variables), capture_output=True, text=True, timeout=120,
            )  # fmt: skip
            assert re.search(message, told.stdout.strip()), told
            assert told.stdout.count("\n") == 1
        cluster.stdin.close()


def test_a_cluster_that_lacks_atoll_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    class Asked:
        def __call__(self, *_: Any) -> "Asked":
            return self

        remote = __call__

    def answer(_asked: Any, timeout: float) -> bool:
        raise ray.exceptions.RaySystemError("cannot unpickle\nModuleNotFoundError: No module named 'atoll'")

    monkeypatch.setattr(ray, "remote", lambda **_: Asked())
    monkeypatch.setattr(ray, "get", answer)
    with pytest.raises(
        AtollError, match=r"at h:1 cannot run Atoll \(ModuleNotFoundError: .*same wheel of Atoll"
    ):
        ray_cluster._check_workers("h:1")
