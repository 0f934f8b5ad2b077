"""What happened over New York in 2013, to set beside the alerts: storms, furloughs, a crash.

Dates are days in New York. The service never sees this table: it only names alerts afterwards.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
# An evening's late flights land, and tell of it, in the night.
AFTERMATH = timedelta(days=1)


class Happening(NamedTuple):
    """Something with a name; `first` to `last` are both included."""

    name: str
    first: date
    last: date


HAPPENINGS = (
    # Wikipedia, "February 2013 North American blizzard": formed on the 7th, 11.4 in. in New York.
    Happening("Blizzard Nemo", date(2013, 2, 7), date(2013, 2, 10)),
    # Wikipedia, "March 2013 nor'easter"; The Weather Channel's name for it was Saturn.
    Happening("Nor'easter Saturn", date(2013, 3, 5), date(2013, 3, 9)),
    # Reuters, April 22, 2013: the controllers' first day was the 21st; called off on the 27th.
    Happening("FAA furloughs", date(2013, 4, 21), date(2013, 4, 27)),
    # Wikipedia, "June 12-13, 2013, derecho series".
    Happening("Two derechos", date(2013, 6, 12), date(2013, 6, 13)),
    # CBS New York, July 2, 2013: tornadoes at Berkeley Heights, N.J., and Greenwich, Conn.
    Happening("Tornadoes", date(2013, 7, 1), date(2013, 7, 1)),
    # CNN, July 23, 2013: Southwest 345 lost its nose gear on LaGuardia's runway 4 at 17:40.
    Happening("LaGuardia crash", date(2013, 7, 22), date(2013, 7, 23)),
    # Claims Journal, October 10, 2013: a squall line, and a tornado at Paramus, N.J.
    Happening("Paramus tornado", date(2013, 10, 7), date(2013, 10, 7)),
    # Weather Underground, December 7, 2013: from December 1 in the West to early on the 7th.
    Happening("Storm Cleon", date(2013, 12, 5), date(2013, 12, 7)),
    # NYC Area Weather, "December 14-15, 2013 Storm Summary"; The Weather Channel's Electra.
    Happening("Storm Electra", date(2013, 12, 14), date(2013, 12, 15)),
)


def name_of(time: datetime) -> str | None:
    """Gives the name of what happened then, or the day before; None where nothing has a name."""
    day = time.astimezone(NEW_YORK).date()
    for happening in HAPPENINGS:
        if happening.first <= day <= happening.last + AFTERMATH:
            return happening.name
    return None
