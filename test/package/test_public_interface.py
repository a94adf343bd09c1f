"""What `import fluxformer_core` offers, and what it does not load before a name is used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import fluxformer_core

COSTLY = ("torch", "pytorch_lightning", "lightning", "numpy", "cv2", "av")


def test_importing_the_package_loads_no_costly_library() -> None:
    code = f"import sys, fluxformer_core; print([name for name in {COSTLY!r} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert shown.stdout == "[]\n"


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
