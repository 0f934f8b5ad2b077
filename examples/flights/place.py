"""Where one demo keeps its files and its log, and the configuration that says so."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path

from consumers.transport import Log
from consumers.transports import open_log

ROOT = Path(__file__).parents[2]
CONFIGURATION = Path(__file__).with_name("flights.yaml")
MARKER = ".driftline-demo"  # says that the folder is the demo's own, to be emptied


class UnfitError(Exception):
    """The demo cannot be run as asked; the message says why and what to do."""


@dataclass(frozen=True)
class Place:
    """The files of one demo, all in one folder, and its log: there too, or on the Kafka at
    HOST:PORT, where each demo has topics of its own."""

    folder: Path
    kafka: str | None = None
    _started: int = field(default_factory=lambda: int(time.time()))

    @property
    def service(self) -> str:
        """The service's name, after which Kafka's topics are named."""
        return "flights" if self.kafka is None else f"flights-{self._started}"

    @property
    def rows(self) -> Path:
        """The year as a file."""
        return self.folder / "flights.parquet"

    @property
    def configuration(self) -> Path:
        """The service's configuration."""
        return self.folder / CONFIGURATION.name

    @property
    def url(self) -> str:
        """The service's log."""
        if self.kafka is not None:
            return f"kafka://{self.kafka}"
        return f"sqlite:{self.folder / 'flights.db'}"

    @property
    def picture(self) -> Path:
        """What the demo leaves to look at."""
        return self.folder / "flights.png"

    def log(self) -> Log:
        """The log, as any reader may open it."""
        return open_log(self.url, self.service)

    def configure(self) -> Path:
        """Writes the example's configuration for a service that lies here."""
        text = CONFIGURATION.read_text()
        changes = {
            "name: flights\n": f"name: {self.service}\n",
            "log: sqlite:var/flights.db\n": f"log: {self.url}\n",
            "file:var/flights-snapshots": f"file:{self.folder}/flights-snapshots",
        }
        for was, is_now in changes.items():
            assert was in text, "the configuration names its service, its log and its snapshots"
            text = text.replace(was, is_now)
        self.configuration.write_text(text)
        return self.configuration

    def clear(self) -> None:
        """Empties the demo's own folder; any other with something in it is refused."""
        folder = self.folder
        if folder.exists():
            if any(folder.iterdir()) and not (folder / MARKER).exists():
                raise UnfitError(
                    f"{folder} holds files that are not the demo's; give another --folder"
                )
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        (folder / MARKER).touch()


def shown(path: Path) -> str:
    """A path as one would type it here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
