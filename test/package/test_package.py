"""The package as others see it: its names, its interfaces, its version, and what an installation puts where."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from enum import IntEnum
from importlib import metadata
from pathlib import Path

import pytest

import fluxformer_core
from fluxformer_core.types import EventKind, State

ROOT = Path(__file__).resolve().parents[2]
INTERFACES = sorted(path for kind in ("action", "msg", "srv") for path in (ROOT / kind).iterdir())
UNIT_OR_RANGE = re.compile(
    r"\d|stamp|constants above|true:|seconds|metres|px|\bm\b|unit vector|hexadecimal|one of|empty|snake_case|e\.g\."
)


def definitions(message: Path) -> list[tuple[str, str, str]]:
    """(type, rest of the line, comment) of every line that declares something."""
    lines = (re.match(r"(\S+)\s+([^#]*?)\s*(?:#\s*(.*))?$", line) for line in message.read_text().splitlines())
    return [(m[1], m[2], m[3] or "") for m in lines if m and not m[1].startswith("#")]


def constants(name: str) -> dict[str, int]:
    message = ROOT / "msg" / f"{name}.msg"
    declared = (re.fullmatch(r"([A-Z_]+)\s*=\s*(\d+)", rest) for _, rest, _ in definitions(message))
    return {m[1]: int(m[2]) for m in declared if m}


@pytest.mark.parametrize(("name", "enum"), [("Recognition", State), ("ActionEvent", EventKind)])
def test_message_constants_are_the_values_of_the_library(name: str, enum: type[IntEnum]) -> None:
    assert constants(name) == {member.name: member.value for member in enum}


@pytest.mark.parametrize("interface", INTERFACES, ids=lambda path: path.stem)
def test_every_field_tells_its_unit_or_range(interface: Path) -> None:
    fields = [(rest, comment) for _, rest, comment in definitions(interface) if "=" not in rest]
    assert fields
    assert [field for field, comment in fields if not UNIT_OR_RANGE.search(comment)] == []


def test_every_interface_is_built() -> None:
    listed = re.findall(r"(?:action|msg|srv)/\w+\.\w+", (ROOT / "CMakeLists.txt").read_text())
    assert sorted(listed) == [f"{path.parent.name}/{path.name}" for path in INTERFACES]


def test_versions_agree() -> None:
    assert ET.parse(ROOT / "package.xml").findtext("version") == fluxformer_core.__version__


def test_an_installation_has_the_version_and_the_command_of_this_source() -> None:
    assert metadata.version("fluxformer") == fluxformer_core.__version__
    if not metadata.entry_points(group="console_scripts", name="fluxformer"):
        pytest.skip("installed by colcon, which leaves the command to pip")
    command = Path(sys.executable).with_name("fluxformer")
    shown = subprocess.run([command, "--help"], capture_output=True, text=True, timeout=60, check=True)
    assert "fluxformer" in shown.stdout


def test_preflight_names_the_cure_in_one_line() -> None:
    command = [sys.executable, ROOT / "messages" / "preflight.py"]
    without_compiler = {**os.environ, "CC": "no-such-compiler", "CXX": "no-such-compiler"}
    refused = subprocess.run(command, env=without_compiler, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "install one" in refused.stderr or "use another" in refused.stderr or "install ROS 2" in refused.stderr


def test_an_executable_runs_its_node_with_the_python_of_its_prefix(tmp_path: Path) -> None:
    executable, python = tmp_path / "lib" / "fluxformer" / "probe", tmp_path / "bin" / "python3"
    nodes = tmp_path / "nodes" / "fluxformer_ros" / "tools"
    for folder in (executable.parent, python.parent, nodes):
        folder.mkdir(parents=True)
    executable.write_text((ROOT / "cmake" / "executable.in").read_text().replace("@module@", "tools.probe"))
    executable.chmod(0o755)
    python.symlink_to(sys.executable)
    (nodes / "__init__.py").touch()
    (nodes.parent / "__init__.py").touch()
    (nodes / "probe_node.py").write_text("import sys\ndef main():\n    print(sys.executable, sys.argv)\n    return 3")
    environment = {**os.environ, "PYTHONPATH": str(nodes.parents[1])}
    environment.pop("_ROS_WHEELS_BOOTSTRAP_COMPLETE", None)
    ran = subprocess.run([executable, "a b"], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stderr) == (3, "")
    assert Path(ran.stdout.split()[0]).resolve() == python.resolve()
    assert ran.stdout.endswith(f"{[str(executable), 'a b']}\n")


@pytest.fixture
def prefix(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where fluxformer is installed: where a sourced ROS finds it, or else this virtual environment."""
    pytest.importorskip("fluxformer.msg", reason="the messages are not built: see docs/usage/install.md")
    from ament_index_python.packages import get_package_prefix

    if "AMENT_PREFIX_PATH" not in os.environ:
        monkeypatch.setenv("AMENT_PREFIX_PATH", sys.prefix)
    return Path(get_package_prefix("fluxformer"))


@pytest.mark.ros
def test_the_executables_are_where_ros_looks_for_them(prefix: Path) -> None:
    executables = [path for path in (prefix / "lib" / "fluxformer").iterdir() if os.access(path, os.X_OK)]
    assert sorted(path.name for path in executables) == ["listener", "player", "recognizer", "recorder"]


@pytest.mark.ros
@pytest.mark.parametrize("folder", ["action", "config", "launch", "msg", "srv"])
def test_the_installed_files_are_those_of_this_source(prefix: Path, folder: str) -> None:
    installed = prefix / "share" / "fluxformer" / folder
    source = [path for path in (ROOT / folder).iterdir() if path.is_file()]
    assert source
    differing = [path.name for path in source if path.read_bytes() != (installed / path.name).read_bytes()]
    assert differing == [], "the installation is older than this source: run make test, or colcon build"


@pytest.mark.ros
def test_the_index_lists_every_interface(prefix: Path) -> None:
    from ament_index_python.resources import get_resource

    listed, _ = get_resource("rosidl_interfaces", "fluxformer")
    assert {f"{path.parent.name}/{path.name}" for path in INTERFACES} <= set(listed.split())


@pytest.mark.ros
@pytest.mark.usefixtures("prefix")
def test_built_messages_have_the_values_of_the_library() -> None:
    from fluxformer.msg import ActionEvent, Recognition

    assert [getattr(Recognition, state.name) for state in State] == list(State)
    assert [getattr(ActionEvent, kind.name) for kind in EventKind] == list(EventKind)


COSTLY = ("torch", "pytorch_lightning", "lightning", "numpy", "cv2", "av")


def test_importing_the_package_loads_no_costly_library() -> None:
    code = f"import sys, fluxformer_core; print([name for name in {COSTLY!r} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert shown.stdout == "[]\n"


@pytest.mark.ros
@pytest.mark.usefixtures("prefix")
def test_the_tools_around_the_recogniser_start_without_torch() -> None:
    tools = ", ".join(f"fluxformer_ros.tools.{name}_node" for name in ("listener", "player", "recorder"))
    code = f"import sys, {tools}; print('torch' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert shown.stdout == "False\n"


@pytest.mark.parametrize("name", fluxformer_core.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(fluxformer_core, name).__name__ == name
    assert name in dir(fluxformer_core)


def test_type_checkers_see_the_same_names_in_the_same_modules() -> None:
    tree = ast.parse(Path(str(fluxformer_core.__file__)).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imported = {statement.module: {alias.name for alias in statement.names} for statement in block.body}
    assert imported == {f"fluxformer_core.{module}": set(names) for module, names in fluxformer_core._MODULES.items()}
    assert sorted(set().union(*imported.values())) == sorted(fluxformer_core.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'recognise'"):
        _ = fluxformer_core.recognise
