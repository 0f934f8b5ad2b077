"""Four small streams in which something changes, as CSV files: data to try driftline on.

    .venv/bin/python examples/sample_data.py var/samples

Each file belongs to the configuration of the same name beside this script. The figures are drawn
with a fixed seed, so everybody gets the same files.
"""

from __future__ import annotations

import csv
import math
import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

Row = dict[str, object]

START = datetime(2026, 3, 1, tzinfo=UTC)
SEED = 7


def payments() -> Iterator[Row]:
    """30 days of card payments; fraud is reported days later, some of it never.

    From the 18th day on fraudsters buy little things with devices that are known.
    """
    rng = random.Random(SEED)
    for number in range(6_000):
        paid_at = START + timedelta(seconds=432 * number)
        changed = number >= 3_600
        fraud = rng.random() < 0.15
        amount = rng.lognormvariate(3.4, 0.6)
        new_device = rng.random() < 0.1
        country = rng.choice(["AT", "CH", "DE", "FR", "IT"])
        if fraud and not changed:
            amount, new_device = 4 * amount, rng.random() < 0.9
        elif fraud:
            amount, new_device = 0.3 * amount, False
        known_at = paid_at + timedelta(hours=rng.uniform(2, 60))
        reported = rng.random() < 0.97
        yield {
            "payment_id": f"p{number}",
            "paid_at": _text(paid_at),
            "amount": round(amount, 2),
            "country": country,
            "new_device": str(new_device).lower(),
            "fraud": str(fraud).lower() if reported else "",
            "reported_at": _text(known_at) if reported else "",
        }


def activity() -> Iterator[Row]:
    """What somebody does, from a sensor's readings; half-way the sensor is put on another wrist."""
    rng = random.Random(SEED)
    means = {"sit": (0.1, 1.0), "walk": (1.2, 0.4), "run": (2.6, -0.5)}
    for number in range(3_000):
        doing = rng.choice(list(means))
        sway, tilt = means[doing]
        turned = -1.0 if number >= 1_500 else 1.0
        yield {
            "seen_at": _text(START + timedelta(seconds=number)),
            "sway": round(rng.gauss(sway, 0.4), 3),
            "tilt": round(turned * rng.gauss(tilt, 0.3), 3),
            "pulse": round(rng.gauss(60 + 25 * sway, 6)),
            "activity": doing,
        }


def energy() -> Iterator[Row]:
    """A house's consumption by the hour; in its second half a heat pump has been installed."""
    rng = random.Random(SEED)
    for number in range(3_000):
        hour = number % 24
        outside = 8 + 7 * math.sin((hour - 9) / 24 * math.tau) + rng.gauss(0, 2)
        heating = 0.35 * max(0.0, 17 - outside) if number >= 1_500 else 0.0
        evening = 1.2 if 17 <= hour <= 22 else 0.3
        yield {
            "hour_id": f"h{number}",
            "metered_at": _text(START + timedelta(hours=number)),
            "outside_celsius": round(outside, 1),
            "evening": int(17 <= hour <= 22),
            "weekend": int((number // 24) % 7 >= 5),
            "kwh": round(max(0.05, rng.gauss(evening + heating, 0.15)), 3),
        }


def servers() -> Iterator[Row]:
    """A server's readings by the minute; incidents are rare, and marked by those on call.

    From the 2,000th minute on every answer takes twice as long, which nobody has marked.
    """
    rng = random.Random(SEED)
    for number in range(3_000):
        incident = number >= 300 and rng.random() < 0.01
        usual_ms = 44 if number >= 2_000 else 22
        yield {
            "read_at": _text(START + timedelta(minutes=number)),
            "load": round(min(1.0, rng.gauss(0.35, 0.05) + (0.5 if incident else 0.0)), 3),
            "latency_ms": round(rng.gauss(usual_ms, 4) * (9 if incident else 1), 1),
            "errors": rng.randint(20, 60) if incident else rng.randint(0, 2),
            "incident": str(incident).lower(),
        }


STREAMS = {"payments": payments, "activity": activity, "energy": energy, "servers": servers}


def write(folder: Path) -> None:
    """Writes the four files into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in STREAMS.items():
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            found = list(rows())
            writer = csv.DictWriter(file, list(found[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(found)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "var/samples"))
