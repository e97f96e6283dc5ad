"""What `bike ci` found, for the machines and the people that read it: JUnit XML and Markdown."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from bike_assets.defs.build import Broken, Built, Checked

Outcome = Literal["passed", "failed", "warned", "nothing to check", "not run"]

SHOWN = 5
"""The first bad rows of a check that does not hold."""

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def outcome(check: Checked) -> Outcome:
    """What became of a check: one that found no row to look at has not passed."""
    if check.passed is None:
        return "not run"
    if not check.passed:
        return "failed" if check.is_error else "warned"
    return "passed" if check.checked else "nothing to check"


@dataclass(frozen=True)
class Part:
    """A run of the report: the tables of the stream, or of the warehouse's days in a row."""

    title: str
    steps: Sequence[Built | Checked | Broken]

    @property
    def tables(self) -> list[Built]:
        """What was built."""
        return [step for step in self.steps if isinstance(step, Built)]

    @property
    def checks(self) -> list[Checked]:
        """Every check, run or not, by table."""
        return sorted((step for step in self.steps if isinstance(step, Checked)), key=lambda each: each.what)

    @property
    def broken(self) -> list[Broken]:
        """What could not be done."""
        return [step for step in self.steps if isinstance(step, Broken)]


@dataclass(frozen=True)
class Report:
    """All parts, and the commands that make the same tables again, to look at what is wrong in them."""

    parts: Sequence[Part]
    again: Sequence[str]

    @property
    def is_good(self) -> bool:
        """Whether all was done, and no check at ERROR failed."""
        return not any(part.broken for part in self.parts) and not self.of("failed")

    def of(self, *outcomes: Outcome) -> list[Checked]:
        """The checks with one of these outcomes."""
        return [check for part in self.parts for check in part.checks if outcome(check) in outcomes]

    @property
    def summary(self) -> str:
        """The counts, in a line."""
        counts = Counter(outcome(check) for part in self.parts for check in part.checks)
        broken = sum(len(part.broken) for part in self.parts)
        told = [f"{count} {what}" for what, count in counts.items()] + [f"{broken} steps broken"] * bool(broken)
        return f"{sum(counts.values())} checks: {', '.join(told)}"


def sentence(check: Checked) -> str:
    """What a check that does not hold found."""
    if check.missing:
        return check.missing
    if not check.checked:
        return "There was nothing to check, and there must be something."
    return f"{check.bad} bad rows; {check.checked} were looked at."


def as_json(report: Report) -> dict[str, Any]:
    """The report for a program."""
    return {
        "passed": report.is_good,
        "parts": [
            {
                "title": part.title,
                "tables": [each._asdict() for each in part.tables],
                "checks": [{**each._asdict(), "outcome": outcome(each)} for each in part.checks],
                "broken": [each._asdict() for each in part.broken],
            }
            for part in report.parts
        ],
        "again": list(report.again),
    }


def junit(report: Report) -> str:
    """JUnit's XML: a suite a part, a case a check, its class the table.

    A check that only warns passes, and says what it found in its output; one that the recordings have nothing for is
    skipped.
    """
    xml = JUnitXml("bike ci")
    for part in report.parts:
        suite = TestSuite(_xml(part.title))
        suite.add_testcases([*map(_broken_case, part.broken), *(_case(each, report) for each in part.checks)])
        xml.add_testsuite(suite)
    xml.update_statistics()  # type: ignore[no-untyped-call]
    text = xml.tostring().decode()  # type: ignore[no-untyped-call]
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'


def _broken_case(step: Broken) -> TestCase:
    case = TestCase(_xml(step.what), "run")
    case.result = [Error(_xml(step.reason))]
    return case


def _case(check: Checked, report: Report) -> TestCase:
    case = TestCase(check.check, check.table)
    match outcome(check):
        case "failed":
            failure = Failure(sentence(check), "ERROR")
            failure.text = _xml(_details(check, report))
            case.result = [failure]
        case "warned" if check.missing:
            case.result = [Skipped(_xml(sentence(check)))]
        case "warned":
            case.system_out = _xml(f"WARN: {sentence(check)}\n{_details(check, report)}")
        case "nothing to check":
            case.result = [Skipped("There was nothing to check.")]
        case "not run":
            case.result = [Skipped("Not run: what failed before it ended the run.")]
    return case


def _details(check: Checked, report: Report) -> str:
    rows = [json.dumps(row, ensure_ascii=False) for row in check.first_bad[:SHOWN]]
    return "\n".join([*rows, *_how_to_see(check, report)])


def _how_to_see(check: Checked, report: Report) -> Iterator[str]:
    if check.see_all:
        yield "To see all of them, in an empty home:"
        yield from report.again
        yield check.see_all


def _xml(text: str) -> str:
    """Without what XML cannot carry: a name out of a feed can hold anything."""
    return _NOT_IN_XML.sub("\ufffd", text)


def markdown(report: Report) -> str:
    """A page for people: what does not hold comes first."""
    lines = [f"# bike ci: {'all holds' if report.is_good else 'something does not hold'}", "", f"{report.summary}."]
    for part in report.parts:
        lines += [f"- **{_cell(each.what)}** was not done: {_cell(each.reason)}" for each in part.broken]
    for check in report.of("failed", "warned"):
        lines += ["", *_wrong(check)]
    for part in report.parts:
        lines += ["", f"## {part.title}"]
        lines += _table(("table", "rows"), [(each.table, each.rows) for each in part.tables])
        lines += _table(("table", "check", "result", "rows looked at", "bad"), [
            (each.table, each.check, outcome(each), each.checked, each.bad) for each in part.checks
        ])  # fmt: skip
    lines += ["", "## To make these tables again", "", "In an empty home:", "", *_code(report.again)]
    return "\n".join(lines) + "\n"


def _wrong(check: Checked) -> Iterator[str]:
    yield f"## {check.what} {outcome(check)}"
    yield from ("", sentence(check))
    shown = check.first_bad[:SHOWN]
    yield from _table(list(shown[0]) if shown else (), [list(row.values()) for row in shown])
    if check.see_all:
        yield from ("", "All of them:", "", *_code([check.see_all]))


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """A table after an empty line, or nothing where it has no row."""
    if rows:
        yield ""
        yield _row(head)
        yield _row(["---"] * len(head))
        yield from map(_row, rows)


def _code(lines: Sequence[str]) -> Iterator[str]:
    """Lines to be copied: indented, so that nothing in them ends the block."""
    yield from (f"    {line}" for line in lines)


def _row(cells: Sequence[object]) -> str:
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _cell(value: object) -> str:
    """A value that cannot break out of its cell."""
    text = " ".join(("" if value is None else str(value)).split())
    return re.sub(r"([\\|`<\[])", r"\\\1", text)
