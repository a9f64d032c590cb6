"""Values of options and texts for people."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import click

FORMATS = ("auto", "table", "json", "ndjson", "id")
FORMS = {
    "REF": "vendor:id or vendor/account:id, such as {ref}",
    "REFS": "vendor:id or vendor/account:id, such as {ref}; - reads them from stdin, divided by white space",
    "TIME": "90s, 30m, 1h30m or 2d; a number alone is seconds",
    "WHEN": "an age (90s, 2h, 1d), or a time (2026-01-31T12:00; +02:00 behind it, else this machine's time zone)",
    "SIZE": "1048576, 64M or 1G; a number alone is bytes",
    "NAMES": "names of fields, such as ref,state,counts.failed; a wrong one is answered with all",
    "CONDITION": "a name, one of = != < <= > >=, and a value: state=failed, counts.failed>0, state=failed,cancelled",
    "KINDS": "any of change, ended, lost and found, divided by commas",
    "ADDRESS": "an address and a port, such as 127.0.0.1:9464; a port alone is on loopback",
    "HOST": "a name or an address without a port, such as status.example.com",
    "K=V": "a name and a value, such as campaign=spring",
    "ID": "the id of a change, as events -o id prints it",
    "NAME": "a destination, as deliveries list prints it",
    "ACCOUNT": "the account's name in refs, such as acme for {vendor}/acme:ID: 1 to 64 of a-z, 0-9, _ and -",
    "URL": "https://host/path; http on loopback",
    "KEY=FILE": "a key and the file that holds it, such as {key}=/run/secrets/{vendor}; - reads a line from stdin",
}
"""The form of each value, by the word that stands for it in help; `{ref}` and the like are filled in by `help`."""
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Duration(click.ParamType[float]):
    """`90`, `90s`, `30m`, `1h30m`, `2d`: seconds without a unit."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds."""
        if isinstance(value, (int, float)):
            return float(value)
        text = str(value).strip().lower()
        if re.fullmatch(r"\d+(\.\d+)?", text):
            return float(text)
        if not re.fullmatch(r"(\d+(\.\d+)?[smhd])+", text):
            self.fail(f"{value!r} is not a duration; use 90s, 30m, 1h30m or 2d", param, ctx)
        return sum(float(number) * UNITS[unit] for number, _, unit in re.findall(r"(\d+(\.\d+)?)([smhd])", text))


class Size(click.ParamType[int]):
    """`1048576`, `64M`, `1G`: bytes without a unit."""

    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the bytes."""
        found = re.fullmatch(r"([0-9]{1,12})\s*([kmg]?)(?:i?b)?", str(value).strip().lower())
        if found is None or int(found[1]) < 1:
            self.fail(f"{value!r} is not a size; use 1048576, 64M or 1G", param, ctx)
        return int(found[1]) << 10 * " kmg".index(found[2] or " ")


class Timestamp(click.ParamType[datetime]):
    """`2h` ago, or a date and time: the machine's own if it has no offset."""

    name = "when"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return an aware time."""
        if isinstance(value, datetime):  # TOML has a type for times
            return value.astimezone()
        text = str(value).strip()
        try:
            return datetime.fromisoformat(text).astimezone()
        except (ValueError, OverflowError, OSError):
            pass
        try:
            return datetime.now(UTC) - timedelta(seconds=Duration().convert(text, param, ctx))
        except (click.BadParameter, OverflowError):
            self.fail(f"{value!r} is not a time; use an age (90s, 2h, 1d) or a time (2026-01-31T12:00)", param, ctx)


class Word(click.Choice[str]):
    """One of a few words; for another one the nearest is suggested."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the word."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            near = nearest(str(value), self.choices)
            self.fail(f"{error.message.removesuffix('.')}{f'; did you mean {near}?' if near else ''}", param, ctx)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that a mistyped one is likely to mean."""
    from difflib import get_close_matches  # noqa: PLC0415 (only after a mistake)

    return next(iter(get_close_matches(word.lower(), [*known], 1)), None)


def suggest(word: str, known: Iterable[str]) -> str:
    """Return the end of a message about a word that is not known: the nearest one, or all."""
    words = [*known]
    near = nearest(word, words)
    return f"did you mean {near}?" if near else f"there are {', '.join(words)}"


def humanize(seconds: float) -> str:
    """Return a duration for people: `45 s`, `12 min`, `3 h 20 min`."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def batches(number: int) -> str:
    """Return so many batches in words."""
    return f"{number} batch{'' if number == 1 else 'es'}"


def changes(number: int) -> str:
    """Return so many changes in words."""
    return f"{number} change{'' if number == 1 else 's'}"
