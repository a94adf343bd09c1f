"""Files from the network: fetched with progress, checked before they are opened, kept in PyTorch's cache."""

from __future__ import annotations

import re
import tempfile
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlparse
from urllib.request import Request, urlopen

import torch
from tqdm import tqdm

from fluxformer_core.errors import BundleError
from fluxformer_core.weights_file import sha256_of

_CHUNK = 1 << 20
_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.\w+$")
"""PyTorch's convention: a published file's name ends with the first digits of its SHA-256."""


def fetch(url: str) -> Path:
    """The file behind a URL, in PyTorch's cache ($TORCH_HOME); downloaded, all or nothing, if it is not there.

    Raises:
        BundleError: if the file cannot be fetched completely.
    """
    parts = urlparse(url)
    name = Path(parts.path).name
    if parts.scheme not in ("http", "https") or not name.strip("."):
        raise BundleError(f"{url} is not the http(s) address of a file")
    target = Path(torch.hub.get_dir()) / "checkpoints" / name
    if target.is_file():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            part = Path(folder) / target.name
            _download(url, part)
            part.replace(target)
    except (OSError, HTTPException) as error:
        if isinstance(error, HTTPError):
            error.close()  # closes the connection
        reason = error.reason if type(error) is URLError else error
        raise BundleError(f"cannot fetch {url}: {reason}; fetch it elsewhere and convert the file") from None
    return target


def check_sha256(path: Path, expected: str | None = None) -> str:
    """The SHA-256 of a file, checked against the expected first digits, at least 8.

    Without expected digits, those in the file's name are expected, if the name follows PyTorch's convention.

    Raises:
        BundleError: if the SHA-256 is another one, or the file cannot be read.
    """
    if expected is not None and not re.fullmatch(r"[0-9a-fA-F]{8,64}", expected):
        raise BundleError(f"a SHA-256 has 64 hexadecimal digits: give the first 8 or more, not {expected!r}")
    named = _HASH_IN_NAME.search(path.name)
    wanted = expected.lower() if expected else named[1] if named else ""
    try:
        found = sha256_of(path)
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror}") from None
    if not found.startswith(wanted):
        told = "--sha256" if expected else "its name"
        raise BundleError(
            f"{path} is damaged or another file than {told} says: its SHA-256 begins with {found[: len(wanted)]}, "
            f"not {wanted}; remove it and fetch it again"
        )
    return found


def _download(url: str, path: Path) -> None:
    request = Request(url, headers={"User-Agent": "fluxformer"})  # some servers refuse Python's default User-Agent
    with path.open("wb") as file, urlopen(request, timeout=60) as response:
        length = int(response.headers.get("Content-Length", 0))
        with tqdm(total=length or None, desc=path.name, unit="B", unit_scale=True, unit_divisor=1024) as bar:
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
            if bar.n < length:
                raise OSError(f"the connection ended after {bar.n} of {length} bytes")
