"""Tables lose no data, and bars tell the truth."""

from __future__ import annotations

import io
import json
import re

import pytest
from batchstatus import Batch, BatchRef, BatchState, Counts, ItemFailure
from batchstatus.cli.summary import Totals, summary
from batchstatus.cli.table import HEAD, Row, Table, cells
from commandline import run, terminal
from hypothesis import example, given
from hypothesis import strategies as st
from raw_server import response, serving
from rich.console import Console
from screens import screen

UUID = "550e8400-e29b-41d4-a716-446655440000"


def drawn(rows, columns=None):
    return [line.plain for line in Table(screen(columns)).lines([HEAD, *rows])]


def batch(id_="1748392", state=BatchState.RUNNING, message="", vendor="gameball", **fields):
    counts = Counts(total=1000, processed=221, failed=len(message) and 1)
    failures = (ItemFailure(message=message),) if message else ()
    default = {"counts": counts, "progress": 0.221, "failures": failures}
    fields = {"vendor_status": "processing", "raw": None, "payload": None, "read_at": None, **default, **fields}
    return Batch(ref=BatchRef(vendor, id_), state=state, **fields)


row = st.builds(
    Row,
    ref=st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=90),
    state=st.sampled_from([state.name for state in BatchState]),
    style=st.just("cyan"),
    word=st.text(max_size=40),
    progress=st.none() | st.floats(0, 1),
    done=st.from_regex(r"[0-9]{0,9}/[0-9]{1,9}", fullmatch=True),
    remark=st.text(max_size=120),
    time=st.sampled_from(["", "12:00:00"]),
)


def without_blanks(text):
    return re.sub(r"\s", "", text)


@given(st.lists(row, min_size=1, max_size=5), st.integers(12, 200))
def test_a_terminal_shows_refs_states_and_counts_whole(rows, columns):
    """At any width no line is longer than that; a ref that is longer than a line is folded."""
    found = drawn(rows, columns)
    assert max(map(cells, found)) <= columns
    shown = without_blanks("".join(found))
    for each in rows:
        assert without_blanks(each.ref) in shown
        assert each.state in shown
        assert each.done in shown


@given(st.lists(row, min_size=1, max_size=5))
@example([Row(ref="1", state="PENDING", style="dim", word="\N{EMOJI MODIFIER FITZPATRICK TYPE-1-2}", done="0/8")])
def test_off_a_terminal_all_is_whole(rows):
    """A line for each row, none of which ends in blanks."""
    found = drawn(rows)
    assert len(found) == len(rows) + 1
    for line, each in zip(found[1:], rows, strict=True):
        assert all(text in line for text in (each.ref, each.state, each.word.rstrip(), each.done, each.remark.rstrip()))
        assert line == line.rstrip()


def test_columns_are_as_wide_as_their_content():
    assert drawn([Row.of_batch(batch()), Row.of_batch(batch("17", BatchState.PENDING, progress=None))]) == [
        "BATCH             STATE    VENDOR'S WORD                     DONE",
        "gameball:1748392  RUNNING  processing     ██░░░░░░░░░░   221/1000",
        "gameball:17       PENDING  processing                    221/1000",
    ]


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        pytest.param(
            100,
            "gameball:1748392  RUNNING  processing  ██░░░░░░░░░░   221/1000  1 failed: the address of this custo…",
            id="the message is cut",
        ),
        pytest.param(70, "gameball:1748392  RUNNING  ██░░░░░░░░░░   221/1000  1 failed: the add…", id="more of it"),
        pytest.param(52, "gameball:1748392  RUNNING  ██░░░░░░░░░░   221/1000", id="no message"),
        pytest.param(45, "gameball:1748392  RUNNING  █░░░░░░   221/1000", id="a shorter bar"),
        pytest.param(40, "gameball:1748392  RUNNING   221/1000", id="no bar"),
        pytest.param(30, "gameball:1748392\n  RUNNING  █░░░░░░░   221/1000", id="two lines"),
    ],
)
def test_the_message_gives_way_first_then_the_bar(columns, line):
    rows = [Row.of_batch(batch(message="the address of this customer is not known to the payment provider " * 3))]
    assert "\n".join(text.plain for text in Table(screen(columns)).lines(rows)) == line


@pytest.mark.parametrize(
    ("columns", "word"),
    [(120, "AVAILABLE_TO_EXECUTE"), (97, "AVAILABLE_TO_EXE…"), (94, "AVAILABLE_TO_…"), (93, "")],
)
def test_a_long_word_is_whole_if_there_is_room(columns, word):
    """It takes none from the message."""
    row = Row.of_batch(batch(vendor_status="AVAILABLE_TO_EXECUTE", message="unknown customer"))
    (line,) = (text.plain for text in Table(screen(columns)).lines([row]))
    assert re.search(r"RUNNING  (.*?) *█", line)[1] == word
    assert line.endswith("1 failed: unknown customer")


def test_a_long_ref_has_a_line_of_its_own():
    rows = [Row.of_batch(batch(UUID, vendor="believe")), Row.of_batch(batch("批次-日本語"))]
    assert [text.plain for text in Table(screen(60)).lines(rows)] == [
        f"believe:{UUID}",
        "  RUNNING  processing  ██░░░░░░░░░░   221/1000",
        "gameball:批次-日本語",
        "  RUNNING  processing  ██░░░░░░░░░░   221/1000",
    ]


def test_characters_of_full_width_keep_the_columns():
    found = drawn([Row.of_batch(batch("批次-日本語")), Row.of_batch(batch("1748392"))], 80)
    assert {cells(line.partition("RUNNING")[0]) for line in found[1:]} == {22}


@pytest.mark.parametrize("state", [*BatchState])
@pytest.mark.parametrize("progress", [0.0, 0.25, 0.999, 1.0])
def test_a_bar_is_true_in_any_state_without_colours(state, progress):
    """A full one means all: of a batch that failed or was cancelled, it shows how far that came."""
    line = drawn([Row.of_batch(batch(state=state, progress=progress))], 80)[1]
    assert line.count("█") == int(progress * 12)
    assert line.count("█") + line.count("░") == 12


@pytest.mark.parametrize(
    ("state", "colour"),
    [
        (BatchState.RUNNING, "36"),
        (BatchState.SUCCEEDED, "32"),
        (BatchState.FAILED, "1;31"),
        (BatchState.CANCELLED, "35"),
        (BatchState.REQUIRES_ACTION, "33"),  # without its background, in which an empty bar would look full
    ],
)
def test_a_bar_has_the_colour_of_its_state(state, colour):
    to = screen(80, color_system="standard")
    for line in Table(to).lines([Row.of_batch(batch(state=state, progress=0.5))]):
        to.print(line)
    assert f"\x1b[{colour}m██████\x1b[0m\x1b[2m░░░░░░\x1b[0m" in to.file.getvalue()


def test_what_the_output_cannot_encode_is_drawn_otherwise():
    latin = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    (line,) = Table(Console(file=latin)).lines([Row.of_batch(batch(progress=0.5))])
    assert "######......" in line.plain


def test_a_cancelled_batch_shows_how_far_it_came(user):
    body = {"batchId": "1", "status": "cancelled", "totalItems": 480, "processedItems": 120, "failedItems": 0}
    with serving(lambda _: [response(json.dumps(body).encode())]) as server:
        said = run(user | {"GAMEBALL_BASE_URL": server.url}, "status", "gameball:1", "-o", "table")
    assert re.search(r"^gameball:1  CANCELLED  cancelled +███░░░░░░░░░ +120/480$", said.stdout, re.MULTILINE)


def test_a_pipe_gets_whole_lines_whatever_the_environment_says(user, simulator):
    """COLUMNS and FORCE_COLOR are about terminals."""
    ref = simulator.add("believe", status="FINALIZED")
    for name in ("COLUMNS", "FORCE_COLOR"):
        said = run(user | {name: "40"}, "status", ref, "-o", "table")
        (line,) = re.sub(r"\x1b\[[0-9;]*m", "", said.stdout).splitlines()[1:]
        assert line == f"{ref}  REQUIRES_ACTION  FINALIZED      needs approval"


def test_a_narrow_terminal_shows_each_ref_whole(user, simulator):
    refs = [simulator.add("believe"), simulator.add("gameball", status="processing", total=1000)]
    text, _ = terminal(user, "status", *refs, columns=60)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert all(re.search(rf"^{ref}\r?$", plain, re.MULTILINE) for ref in refs)
    assert "500/1000" in plain


def test_a_word_without_end_shifts_its_own_line_only():
    rows = [Row.of_batch(batch("1", vendor_status="x" * 1_000_000)), Row.of_batch(batch("2"))]
    long, short = drawn(rows)[1:]
    assert "x" * 1_000_000 in long
    assert len(short) < 150


def test_very_many_rows_are_a_table_like_any_other():
    rows = [Row.of_batch(batch(str(number))) for number in range(5_000)]
    assert len({cells(line.partition("RUNNING")[0]) for line in drawn(rows)[1:]}) == 1


def test_the_summary_counts_each_kind():
    totals = Totals.of(
        [
            batch(state=BatchState.FAILED),
            batch(state=BatchState.SUCCEEDED, message="refused"),
            batch(state=BatchState.REQUIRES_ACTION),
            batch(),
        ]
    )
    assert summary(totals, 6, errors=1, left="about 3 min left").plain == (
        "2 of 6 ended · 1 failed or cancelled · 1 with failed items · 1 needs approval · 1 could not be read"
        " · about 3 min left"
    )
    totals.add(batch(state=BatchState.FAILED), -1)
    assert summary(totals, 6).plain.startswith("1 of 6 ended · 1 with failed items")
