"""Records to events and labels, strictly: what is not certain is refused, with its reason."""

from __future__ import annotations

from typing import NamedTuple, cast

from consumers.errors import RejectedError
from consumers.record import Record
from consumers.settings import EventsSettings
from consumers.strict_json import SCALARS, read_object, shown
from consumers.times import MAX_TIME_MS, parse_time_ms

Value = bool | int | float | str

MAX_ID_BYTES = 512
_ID_CHARACTERS = MAX_ID_BYTES // 4  # no more than these fit whatever they are: spares encoding


class Event(NamedTuple):
    """One thing to predict on. Features are never empty; `label` is None when not yet known."""

    id: str
    time_ms: int
    features: dict[str, Value]
    label: Value | None


class Label(NamedTuple):
    """The truth for an event's id, as the labels topic gives it."""

    id: str
    label: Value
    time_ms: int | None
    annotator: str | None


_new_event = tuple.__new__  # 0.1 µs less than Event(…)


class EventDecoder:
    """Events from records, by the settings it was built with.

    Pure: the same record and merge time give the same event or the same refusal. An event of 10
    floats, id, label and epoch time takes 1.9 µs, 0.7 of it orjson's; with a time in RFC 3339 3.3.
    """

    __slots__ = ("_features", "_id", "_key", "_label", "_max_ahead_ms", "_max_bytes", "_time")

    def __init__(self, settings: EventsSettings) -> None:
        self._id = settings.id
        self._time = settings.time
        self._label = settings.label
        self._features = settings.features
        # With listed features only those are taken, the key among them if it is listed.
        self._key = settings.key if settings.features is None else None
        self._max_bytes = settings.max_bytes
        self._max_ahead_ms = round(settings.max_ahead.total_seconds() * 1000)

    def decode(self, record: Record, merge_ms: int) -> Event:
        """The record's event; `merge_ms` is its merge time, milliseconds since the epoch.

        A null feature is absent, a null label is none. An integer id becomes its digits, so 7 and
        "7" are one id. Raises RejectedError: empty, too_large, not_json, not_object,
        duplicate_keys, wrong_type, missing_id, missing_time, bad_time, future_time, bad_label,
        no_features.
        """
        time_field = self._time
        data = read_object(record.value, self._max_bytes, time_field)

        id_field = self._id
        if id_field is None:
            event_id = f"{record.partition}-{record.offset}"
        else:
            event_id = data.pop(id_field, None)  # type: ignore[assignment]
            if type(event_id) is not str or not 0 < len(event_id) <= _ID_CHARACTERS:
                event_id = _id_text(id_field, event_id)

        if time_field is None:
            time_ms = merge_ms
        else:
            time = data.pop(time_field, None)
            if type(time) is int and 0 <= time <= MAX_TIME_MS:
                time_ms = time
            else:
                time_ms = _time_ms(time_field, time)
            if time_ms - merge_ms > self._max_ahead_ms:
                raise RejectedError(
                    "future_time",
                    f"the field {shown(time_field)} must be at most {self._max_ahead_ms} ms ahead"
                    f" of when the event came, not {time_ms - merge_ms} ms: {shown(time)}",
                )

        label_field = self._label
        label = None
        if label_field is not None:
            label = data.pop(label_field, None)
            if label is not None and type(label) not in SCALARS:
                raise RejectedError(
                    "bad_label",
                    f"the field {shown(label_field)} must be a boolean, a number or a string,"
                    f" not {shown(label)}",
                )

        if self._key is not None:
            data.pop(self._key, None)
        names = self._features
        # Events that hold just what is listed, in that order, are spared the copy: 0.6 of 0.8 µs.
        if names is not None and tuple(data) != names:
            data = {name: data[name] for name in names if name in data}
        # 0.33 µs for 10 floats; SCALARS.issuperset(map(type, …)) takes 0.45.
        for value in data.values():
            if type(value) is not float and type(value) not in SCALARS:
                data = _without_nulls(data)
                break
        if not data:
            raise RejectedError("no_features", _no_features_detail(names))
        return _new_event(Event, (event_id, time_ms, data, label))


class LabelDecoder:
    """Labels from records of the labels topic: `{"id", "label", "time"?, "annotator"?}`.

    Other fields are ignored. Pure.
    """

    __slots__ = ("_max_bytes",)

    def __init__(self, max_bytes: int = 1_000_000) -> None:
        self._max_bytes = max_bytes

    def decode(self, record: Record) -> Label:
        """The record's label.

        Raises RejectedError: empty, too_large, not_json, not_object, duplicate_keys, wrong_type,
        missing_id, bad_time, bad_label (absent and null among them).
        """
        data = read_object(record.value, self._max_bytes, "time")
        event_id = _id_text("id", data.get("id"))
        label = data.get("label")
        if type(label) not in SCALARS:
            what = "absent" if "label" not in data else shown(label)
            raise RejectedError(
                "bad_label",
                f'the field "label" must be a boolean, a number or a string, not {what}',
            )
        time = data.get("time")
        annotator = data.get("annotator")
        if annotator is not None and type(annotator) is not str:
            raise RejectedError(
                "wrong_type", f'the field "annotator" must be a string, not {shown(annotator)}'
            )
        return Label(
            event_id,
            cast(Value, label),
            None if time is None else _time_ms("time", time),
            annotator,
        )


def _id_text(field: str, value: object) -> str:
    if value is None or value == "":
        what = "absent or null" if value is None else '""'
        raise RejectedError("missing_id", f"the field {shown(field)} must hold the id, not {what}")
    if type(value) is int:
        return str(value)
    if type(value) is not str:
        # An integer beyond 64 bits arrives here as a float that has lost its last digits.
        raise RejectedError(
            "wrong_type",
            f"the field {shown(field)} must be a string or an integer of 64 bits,"
            f" not {shown(value)}",
        )
    size_bytes = len(value.encode())
    if size_bytes > MAX_ID_BYTES:
        raise RejectedError(
            "wrong_type",
            f"the field {shown(field)} must be at most {MAX_ID_BYTES} bytes,"
            f" not {size_bytes}: {shown(value)}",
        )
    return value


def _time_ms(field: str, value: object) -> int:
    if value is None:
        raise RejectedError(
            "missing_time", f"the field {shown(field)} must hold the time, not absent or null"
        )
    try:
        return parse_time_ms(value)
    except ValueError as error:
        raise RejectedError("bad_time", f"the field {shown(field)} {error}") from None


def _without_nulls(data: dict[str, object]) -> dict[str, object]:
    for name, value in data.items():
        if value is not None and type(value) not in SCALARS:
            raise RejectedError(
                "wrong_type",
                f"the field {shown(name)} must be a boolean, a number, a string or null,"
                f" not {shown(value)}",
            )
    return {name: value for name, value in data.items() if value is not None}


def _no_features_detail(names: tuple[str, ...] | None) -> str:
    if names is None:
        return "an event must hold a field beside id, time, label and key that is not null"
    listed = ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
    return f"an event must hold one of the listed features, not null: {listed}"
