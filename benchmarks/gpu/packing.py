"""Packages for a machine that has torch and transformers but no network: made into one archive, and unpacked there.

This module needs nothing but Python.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from importlib.metadata import version
from pathlib import Path

ARCHIVE = "gpu-packages.tar.xz"

PACKAGES = (
    *("annotated-types", "pydantic", "pydantic-core", "typing-extensions", "typing-inspection"),
    *("hjson", "py-cpuinfo", "einops", "msgpack"),
    *("polars", "polars-runtime-32", "zlib-ng", "liger-kernel"),
    *("tensorboard", "absl-py", "protobuf"),
    "matplotlib",  # its fonts alone
)
"""What training and decoding import beside the stack of torch, transformers, accelerate, peft, timm and pyarrow."""

BUILT = ("deepspeed",)
"""Those of which there is no wheel: it is built here, of Python code alone."""

_PYTHON = "3.12"
_PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
_LEFT_OUT = ("/tests/", "/test/", "/matplotlib/backends/", "/mpl-data/sample_data/", "tensorboard/webfiles.zip")
"""Parts of file names of what nobody imports."""


def pack(folder: Path) -> Path:
    """Fetch the wheels of this environment's versions, put their contents into one archive and print its size."""
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / ARCHIVE
    with tempfile.TemporaryDirectory() as name:
        wheels, site = Path(name) / "wheels", Path(name) / "site"
        _fetch(wheels)
        for wheel in sorted(wheels.glob("*.whl")):
            zipfile.ZipFile(wheel).extractall(site)
        with tarfile.open(archive, "w:xz", preset=6) as packed:
            for path in sorted(site.rglob("*")):
                inside = path.relative_to(site).as_posix()
                if path.is_file() and not any(part in f"/{inside}" for part in _LEFT_OUT):
                    packed.add(path, inside)
    print(f"{archive}: {archive.stat().st_size / 2**20:.1f} MiB for Python {_PYTHON} on x86-64")
    return archive


def _fetch(wheels: Path) -> None:
    """All wheels, of the versions that are installed here where they are."""
    pip = [sys.executable, "-m", "pip"]
    target = ["--only-binary=:all:", "--python-version", _PYTHON, "--implementation", "cp"]
    target += [word for platform in _PLATFORMS for word in ("--platform", platform)]
    for package in PACKAGES:
        command = [*pip, "download", "-q", "--no-deps", *target, "-d", str(wheels), _pinned(package)]
        subprocess.run(command, check=True)
    for package in BUILT:
        command = [*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(wheels), _pinned(package)]
        subprocess.run(command, check=True, env=os.environ | {"DS_BUILD_OPS": "0"})


def _pinned(package: str) -> str:
    try:
        return f"{package}=={version(package)}"
    except ImportError:  # not installed here
        return package


def unpack(archive: Path) -> Path:
    """Unpack an archive beside it; returns the folder, which belongs into PYTHONPATH."""
    site = archive.resolve().with_name("gpu-packages")
    with tarfile.open(archive) as packed:
        if hasattr(tarfile, "data_filter"):  # Python 3.11.0 to 3.11.3 have none
            packed.extraction_filter = tarfile.data_filter
        packed.extractall(site)
    return site
