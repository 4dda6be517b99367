"""Real blocks, where the data folder is there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def data_folder(name: str) -> Path:
    """A folder of the shared test data; skips the test where it is absent."""
    folder = (ROOT / os.environ.get("ROUNDTRIP_DATA", "../shared/data")).resolve() / name
    if not folder.is_dir():
        pytest.skip(f"no {folder}: set ROUNDTRIP_DATA to the folder of test data")
    return folder


@pytest.fixture(scope="session")
def stored_blocks() -> Path:
    """The folder of stored mainnet blocks."""
    return data_folder("evm_blocks")


@pytest.fixture(scope="session")
def traces() -> Path:
    """The folder of traced mainnet blocks."""
    return data_folder("traces")
