"""Reading published weights, in PyTorch's format or as safetensors, without running any code in the file."""

from __future__ import annotations

import hashlib
import pickle
import re
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from fluxformer_core.errors import BundleError

_HARMLESS: list[Any] = [(OrderedDict, "yacs.config.CfgNode")]
"""Classes of settings that trainings save beside the weights, each read as a plain dictionary instead. The class itself
is never imported."""


def read_weights_file(path: Path) -> Mapping[str, Any]:
    """The content of a file by name: tensors, or a dictionary of tensors beside the other state of a training.

    Raises:
        BundleError: if the file is missing or damaged, or holds more than plain data.
    """
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except OSError as error:
            raise BundleError(f"cannot read {path}: {error.strerror or 'no such file'}") from None
        except SafetensorError as error:
            raise BundleError(f"{path} is not a safetensors file, or is damaged: {in_a_line(error)}") from None
    try:
        with torch.serialization.safe_globals(_HARMLESS):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror}") from None
    except pickle.UnpicklingError as error:
        asked = re.search(r"GLOBAL (\S+)", str(error))
        run = asked and f"it asks for {asked[1].rstrip(',')} to be run, which weights have no need of"
        raise BundleError(f"{path} is refused: {run or 'it is damaged, or no PyTorch file'}") from None
    except Exception as error:  # a damaged file may raise any exception
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise BundleError(f"{path} is damaged, or no PyTorch file: {reason}") from None
    if not isinstance(content, Mapping):
        raise BundleError(f"{path} holds a {type(content).__name__} and no weights by name")
    return content


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file of any size, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def in_a_line(error: Exception) -> str:
    """The message of an error in one line; a message may quote line breaks from a damaged file."""
    return " ".join(str(error).splitlines())


def check_weights(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """Compare weights with those of a model.

    Raises:
        BundleError: if names, shapes or types differ, or a value is not finite.
    """
    wrong = [f"missing {key}" for key in expected if key not in found]
    wrong += [f"unexpected {key}" for key in found if key not in expected]
    for key in expected.keys() & found.keys():
        if expected[key].shape != found[key].shape:
            wrong.append(f"{key} has shape {tuple(found[key].shape)}, the model needs {tuple(expected[key].shape)}")
        elif expected[key].is_floating_point() != found[key].is_floating_point():
            wrong.append(f"{key} has type {found[key].dtype}, the model needs {expected[key].dtype}")
        elif not torch.isfinite(found[key]).all():
            wrong.append(f"{key} has values that are not finite")
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise BundleError(f"weights do not fit the model: {'; '.join(sorted(wrong)[:5])}{more}")
