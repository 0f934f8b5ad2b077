"""Which logs a command opens."""

import pytest

from stream.errors import ConfigurationError
from stream.opening import open_service_log
from tests.stream.builders import configuration


def test_a_log_in_memory_is_refused_since_it_ends_with_its_process():
    with (
        pytest.raises(ConfigurationError, match="ends with its process") as caught,
        open_service_log(configuration(log="memory:"), create=True),
    ):
        pass
    assert "sqlite:PATH" in (caught.value.hint or "")
