from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.integration.s3.server import BINARY, S3Server, find_binary, running


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    binary = find_binary()
    if binary is None:
        missing = f"NO S3 SERVER: {BINARY} is not there; `make test-tools` builds it where Go is"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    with running(binary, tmp_path_factory.mktemp("s3") / "buckets") as server:
        yield server
