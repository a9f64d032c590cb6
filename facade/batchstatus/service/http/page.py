"""The page as HTML: everything that a vendor or a receiver said is escaped, and cut."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from importlib.resources import files
from string import Template

from batchstatus import BatchRef, BatchState, Counts, __version__, printable
from batchstatus.service.health import Health
from batchstatus.service.store import Destination, Group, Overview, RecentChange, Tracked

MAX_TEXT = 240
"""Characters of an error."""
MAX_WORD = 40
"""Characters of a vendor's word."""
MAX_ROWS = 12
"""Rows of a list that calls for nothing."""
NAMES = {
    None: "not read yet",
    BatchState.PENDING: "pending",
    BatchState.REQUIRES_ACTION: "requires action",
    BatchState.RUNNING: "running",
    BatchState.UNKNOWN: "unknown",
    BatchState.SUCCEEDED: "succeeded",
    BatchState.FAILED: "failed",
    BatchState.CANCELLED: "cancelled",
}
"""The states in the order in which they are shown."""
UNREAD = "unread"
"""The class of batches without a state."""
SECTIONS = ("numbers", "attention", "trouble", "open", "states", "accounts", "deliveries", "changes")


def asset(name: str) -> str:
    """Return the text of a file beside this one."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


class Page:
    """The page about one store."""

    def __init__(self, store: str) -> None:
        self._template = Template(asset("page.html"))
        self._store = escape(f"{printable(store)} · {__version__}")
        self._of: Overview | None = None
        self._parts: dict[str, str] = dict.fromkeys(SECTIONS, "")

    def whole(self, overview: Overview | None, health: Health) -> str:
        """Return all of it."""
        return self._template.substitute(self.parts(overview, health), store=self._store, at=self.now())

    def parts(self, overview: Overview | None, health: Health) -> dict[str, str]:
        """Return the sections by their ids: those of the last overview if there is none now."""
        if overview is not None and overview is not self._of:  # however many look at it
            self._of, self._parts = overview, _sections(overview, health)
        return {"health": _health(health), **self._parts}

    @staticmethod
    def now() -> str:
        """Return the time of this machine."""
        return datetime.now(UTC).isoformat(timespec="milliseconds")


def _sections(overview: Overview, health: Health) -> dict[str, str]:
    return {
        "numbers": _numbers(overview.groups),
        "attention": _attention(overview),
        "trouble": _trouble(overview),
        "open": _open(overview),
        "states": _states(overview.groups),
        "accounts": _accounts(overview.groups, health),
        "deliveries": _deliveries(overview.destinations),
        "changes": _changes(overview.changes),
    }


def _health(health: Health) -> str:
    if problems := health.problems():
        return f'<div class="bad"><h2>Not ready</h2>{_list(_text(problem) for problem in problems)}</div>'
    if failing := [name for name, account in health.accounts.items() if account.failing_since is not None]:
        return f'<p class="warn">Ready, but polls of {_text(" and ".join(sorted(failing)))} fail just now.</p>'
    return '<p class="good">Ready: polls and writes succeed.</p>'


def _numbers(groups: Sequence[Group]) -> str:
    numbers = [
        ("open", sum(group.batches for group in groups if not group.ended), ""),
        ("need action", _count(groups, BatchState.REQUIRES_ACTION), "warn"),
        ("lost", sum(group.lost for group in groups), "bad"),
        ("cannot be read", sum(group.troubled for group in groups), "bad"),
        ("late", sum(group.late for group in groups), "warn"),
        ("succeeded", _count(groups, BatchState.SUCCEEDED), ""),
        ("failed", _count(groups, BatchState.FAILED), ""),
        ("cancelled", _count(groups, BatchState.CANCELLED), ""),
    ]
    return _list(
        (f"<b>{number:,}</b> {name}" for name, number, _ in numbers),
        (kind if number else "" for _, number, kind in numbers),
    )


def _attention(overview: Overview) -> str:
    groups = overview.groups
    number = sum(
        (
            sum(group.lost for group in groups),
            _count(groups, BatchState.REQUIRES_ACTION),
            _count(groups, BatchState.UNKNOWN),
        )
    )
    lost = [
        _row(tracked, tracked.lost_since, f"lost, as the vendor denies it: {tracked.error or 'it does not say why'}")
        for tracked in overview.lost
    ]
    stuck = [_row(tracked, tracked.changed_at, _advice(tracked)) for tracked in overview.stuck]
    return _section("Needs attention", number, _list(lost + stuck), len(lost + stuck), "No batch does.")


def _advice(tracked: Tracked) -> str:
    if tracked.state is not BatchState.UNKNOWN:
        return ""
    return f"unknown word {(tracked.vendor_status or '')[:MAX_WORD]!r}: map it with the account's states"


def _trouble(overview: Overview) -> str:
    number = sum(group.troubled + group.late for group in overview.groups)
    by_reason: dict[str, list[str]] = {}
    for tracked in overview.troubled:
        reason = tracked.error or "Not read for minutes: more polls are due than the pace allows."
        by_reason.setdefault(reason, []).append(_row(tracked, tracked.read_at))
    lists = (f'<p class="why">{_text(reason)}</p>{_list(rows)}' for reason, rows in by_reason.items())
    return _section("In trouble, or late", number, "".join(lists), len(overview.troubled), "No batch is.")


def _open(overview: Overview) -> str:
    stuck = {BatchState.REQUIRES_ACTION, BatchState.UNKNOWN}
    number = sum(
        group.batches - group.lost for group in overview.groups if not group.ended and group.state not in stuck
    )
    rows = [_row(tracked, tracked.changed_at or tracked.added_at) for tracked in overview.unchanged[:MAX_ROWS]]
    return _section("On their way, unchanged for longest first", number, _list(rows), len(rows), "No batch is.")


def _states(groups: Sequence[Group]) -> str:
    numbers = {state: _count(groups, state) for state in NAMES}
    total = sum(numbers.values())
    rows = (
        f'<tr><th scope="row">{NAMES[state]}</th><td class="bar"><svg viewBox="0 0 100 1" preserveAspectRatio="none" '
        f'aria-hidden="true"><rect width="{100 * number / total:.2f}" height="1" class="{state or UNREAD}"/></svg></td>'
        f'<td class="number">{number:,}</td></tr>'
        for state, number in numbers.items()
        if number
    )
    return _section("Batches by state", total, f"<table>{''.join(rows)}</table>", total, "None is tracked yet.")


def _accounts(groups: Sequence[Group], health: Health) -> str:
    names = dict.fromkeys(group.account_ref for group in groups)
    rows = [_account(name, [group for group in groups if group.account_ref == name], health) for name in names]
    return _section("Accounts", len(rows), _list(rows), len(rows), "No batch is tracked yet.")


def _account(name: str, groups: Sequence[Group], health: Health) -> str:
    still_open = sum(group.batches for group in groups if not group.ended)
    times = [group.oldest_reading for group in groups if group.oldest_reading is not None]
    oldest = f"<span>oldest reading {_time(min(times))}</span>" if times else ""
    account, why = health.accounts.get(name), ""
    if account is None:
        condition = _chip("not polled yet")
    elif account.error is None:
        condition = _chip("answers", "good")
    else:
        condition = (
            _chip("fails", "bad") + f'<p class="why">{type(account.error).__name__}: {_text(account.error.detail)}</p>'
        )
    return f"<code>{_text(name)}</code> {condition} <span>{still_open:,} open</span> {oldest}{why}"


def _deliveries(destinations: Sequence[Destination]) -> str:
    rows = [_destination(destination) for destination in destinations]
    return _section("Deliveries", len(rows), _list(rows), len(rows), "There is no destination: run --deliver URL.")


def _destination(found: Destination) -> str:
    conditions = []
    if found.stopped_at is not None:
        conditions.append(f"{_chip('stopped', 'bad')} <span>{_time(found.stopped_at)}</span>")
    if found.waiting:
        conditions.append(_chip(f"{found.waiting:,} wait", "bad" if found.failed else ""))
    if found.set_aside:
        conditions.append(_chip(f"{found.set_aside:,} set aside", "bad"))
    condition = " ".join(conditions) or _chip("all arrived", "good")
    failed = f"<span>{found.failed:,} failed</span>" if found.failed else ""
    oldest = f"<span>oldest stored {_time(found.oldest_at)}</span>" if found.oldest_at else ""
    is_well = not (found.failed or found.set_aside or found.stopped_at)
    why = f'<p class="why">{_text(found.reason)}</p>' if found.reason and not is_well else ""
    return f"<code>{_text(found.name)}</code> {condition} {failed} {oldest}{why}"


def _changes(changes: Sequence[RecentChange]) -> str:
    rows = [_changed(change) for change in changes[:MAX_ROWS]]
    return "<h2>Last changes</h2>" + (_list(rows) if rows else '<p class="none">There were none.</p>')


def _changed(change: RecentChange) -> str:
    is_lost = change.state is None
    state = _chip(change.kind, "bad") if is_lost else _state(change.state, change.vendor_status)
    note = f'<p class="note">{_text(change.error)}</p>' if change.error else ""
    return f"{_ref(change.ref)} {state} {_progress(change.counts, change.vendor_status)} {_time(change.at)}{note}"


def _row(tracked: Tracked, since: datetime | None, note: str = "") -> str:
    word = tracked.vendor_status or ""
    when = _time(since) if since is not None else "<time>never</time>"
    said = f'<p class="note">{_text(note)}</p>' if note else ""
    return f"{_ref(tracked.ref)} {_state(tracked.state, word)} {_progress(tracked.counts, word)} {when}{said}"


def _section(title: str, number: int, content: str, shown: int, nothing: str) -> str:
    heading = f'<h2 data-count="{number}">{title} <span class="count">{number:,}</span></h2>'
    if not shown:
        return f'{heading}<p class="none">{nothing}</p>'
    rest = f'<p class="none">and {number - shown:,} more</p>' if number > shown else ""
    return heading + content + rest


def _list(rows: Iterable[str], kinds: Iterable[str] = itertools.repeat("")) -> str:
    items = (f'<li class="{kind}">{row}</li>' for row, kind in zip(rows, kinds, strict=False))
    return f"<ul>{''.join(items)}</ul>"


def _ref(ref: BatchRef) -> str:
    return f'<code class="ref">{_text(str(ref))}</code>'


def _chip(text: str, kind: str = "") -> str:
    return f'<span class="chip {kind}">{text}</span>'


def _state(state: BatchState | None, word: str) -> str:
    title = f' title="{_text(word, MAX_WORD)}"' if word else ""
    return f'<span class="chip state {state or UNREAD}"{title}>{NAMES[state]}</span>'


def _progress(counts: Counts, word: str) -> str:
    """Return how far a batch is; without counts there is only the vendor's word."""
    if counts.processed is None or not counts.total:
        return f'<span class="word">{_text(word, MAX_WORD)}</span>'
    bar = f'<progress max="{counts.total}" value="{min(counts.processed, counts.total)}"></progress>'
    failed = f", {counts.failed:,} failed" if counts.failed else ""
    return f'<span class="progress">{bar} <span>{counts.processed:,} of {counts.total:,}{failed}</span></span>'


def _time(moment: datetime) -> str:
    return f'<time datetime="{moment.isoformat()}">{moment:%Y-%m-%d %H:%M:%S} UTC</time>'


def _count(groups: Iterable[Group], state: BatchState | None) -> int:
    return sum(group.batches for group in groups if group.state == state)


def _text(text: str, most: int = MAX_TEXT) -> str:
    """Return a text as HTML."""
    shown = printable(text)
    return escape(shown if len(shown) <= most else f"{shown[:most]}…")
