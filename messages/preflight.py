"""Says in one line why the messages cannot be built on this machine, before anything is downloaded or compiled.

The Makefile also runs this file by itself, so this file must parse with a Python that is too old for the project.
"""

import os
import platform
import shutil
import sys
import sysconfig

WHEELS_FROM, WHEELS_TO = (3, 10), (3, 14)  # the CPython versions for which the ROS 2 wheels exist
COMPILERS = {"C": ("CC", "cc", "gcc", "clang"), "C++": ("CXX", "c++", "g++", "clang++")}  # variable first


def find_obstacle() -> "str | None":
    """Returns what prevents a build, with the cure; None if nothing does."""
    python = f"{platform.python_implementation()} {sys.version_info[0]}.{sys.version_info[1]}"
    if platform.python_implementation() != "CPython" or not WHEELS_FROM <= sys.version_info[:2] <= WHEELS_TO:
        wanted = f"CPython 3.{WHEELS_FROM[1]} to 3.{WHEELS_TO[1]}"
        return f"the ROS 2 wheels need {wanted}, this is {python}: use another (with make: PYTHON=python3.12)"
    machine = f"{platform.system()} {platform.machine()}"
    if machine != "Linux x86_64" or platform.libc_ver()[0] != "glibc":
        return f"the ROS 2 wheels need Linux x86_64 with glibc, this is {machine}: install ROS 2 and build with colcon"
    lacking = [language for language, names in COMPILERS.items() if not _has_compiler(*names)]
    if lacking:
        return f"no {' and no '.join(lacking)} compiler: install one (Debian, Ubuntu: apt install build-essential)"
    headers = sysconfig.get_path("include")
    if not os.path.isfile(os.path.join(headers, "Python.h")):
        needed = f"python3.{sys.version_info[1]}-dev"
        return f"no Python.h in {headers}: install the headers (Debian, Ubuntu: apt install {needed})"
    return None


def _has_compiler(variable: str, *usual: str) -> bool:
    chosen = os.environ.get(variable, "").split()[:1]
    return any(shutil.which(name) for name in chosen or usual)


if __name__ == "__main__":
    obstacle = find_obstacle()
    if obstacle:
        sys.exit(f"fluxformer: {obstacle}")
