"""ROS tests run on their own domain and this machine only. Without rclpy these tests are left out, with a notice."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fluxformer_core.bundle import Bundle

MISSING = [name for name in ("rclpy", "fluxformer") if importlib.util.find_spec(name) is None]
collect_ignore_glob = ["test_*.py"] if MISSING else []


def pytest_report_header() -> str:
    return f"test/ros is left out, not installed: {', '.join(MISSING)}" if MISSING else "test/ros runs over real DDS"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("filterwarnings", "ignore:module 'sre_:DeprecationWarning")  # rclpy's copy of lark


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.ros)


def domain() -> int:
    """A DDS domain (1..100) of this process, so that test processes that run side by side do not hear each other."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return 1 + ((os.getppid() if worker else os.getpid()) + worker) % 100


@pytest.fixture(scope="session")
def ros(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """ROS in this process, and an environment in which only the processes of the tests find each other."""
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    from fluxformer_ros.tools.graph import environment

    os.environ["ROS_DOMAIN_ID"] = str(domain())
    home = {name: str(tmp_path_factory.mktemp(name)) for name in ("ROS_HOME", "ROS_LOG_DIR")}
    os.environ.update(environment(), **home)
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    yield
    rclpy.shutdown()


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a small untrained model; no test may change it."""
    from ros_bench import untrained_bundle

    return untrained_bundle(tmp_path_factory.mktemp("model") / "untrained.safetensors")


@pytest.fixture(scope="session")
def bundle(model: Path) -> Bundle:
    """The same model, loaded."""
    return Bundle.load(model)
