"""What `bike ci` writes for machines and people, whatever stands in the rows."""

from xml.etree import ElementTree as ET

import pytest
from junitparser import JUnitXml

from bike_assets.defs.build import Broken, Built, Checked
from bike_assets.local.report import SHOWN, Part, Report, as_json, junit, markdown, outcome

SEE_ALL = 'bike sql "FROM warehouse.fact_station_hour WHERE polls < 0"'
HOURS = "warehouse.fact_station_hour"
PASSED = Checked(HOURS, "keys_are_unique", passed=True, checked=24)
FAILED = Checked(HOURS, "hours_add_up", passed=False, checked=24, bad=7, see_all=SEE_ALL,
                 first_bad=[{"station_id": str(number), "name": "Besançon"} for number in range(7)])  # fmt: skip
WARNED = FAILED._replace(check="levels_fit_capacity", is_error=False)
NOTHING = Checked(HOURS, "stream_equals_batch", passed=True)
NOT_RUN = Checked("warehouse.fact_system_day", "system_days_add_up")
BROKEN = Broken("dim_date", "warehouse.dim_date could not be built: no space left.")
EACH = {"passed": PASSED, "failed": FAILED, "warned": WARNED, "nothing to check": NOTHING, "not run": NOT_RUN}
AGAIN = ["bike replay monday.jsonl.xz", "bike drain", "bike build 2024-11-30 2024-11-30"]


def report(*steps: Built | Checked | Broken) -> Report:
    return Report([Part("the tables that the stream fills", [PASSED]), Part("2024-11-30", steps)], AGAIN)


ALL = report(BROKEN, Built(HOURS, 24), *EACH.values())


def case(text: str, name: str) -> ET.Element:
    """The only case of this name in the suite of the days."""
    (found,) = ET.fromstring(text).findall(f"testsuite[@name='2024-11-30']/testcase[@name='{name}']")  # noqa: S314
    return found


@pytest.mark.parametrize(("name", "check"), EACH.items(), ids=str)
def test_a_check_has_one_outcome(name: str, check: Checked) -> None:
    assert outcome(check) == name
    assert outcome(Checked(HOURS, "x", passed=False)) == "failed", "nothing was there, and something must be"


@pytest.mark.parametrize(("steps", "is_good"), [
    ([PASSED, WARNED, NOTHING], True), ([PASSED, FAILED], False), ([PASSED, BROKEN], False),
], ids=["warns", "failed", "broken"])  # fmt: skip
def test_what_fails_at_error_or_is_not_done_is_not_good_and_a_warning_is(
    steps: list[Checked | Broken], is_good: bool
) -> None:
    assert report(*steps).is_good is is_good
    assert as_json(report(*steps))["passed"] is is_good
    assert markdown(report(*steps)).startswith(f"# bike ci: {'all holds' if is_good else 'something does not hold'}\n")


def test_what_the_recordings_have_nothing_for_is_skipped_in_the_xml_and_a_warning_in_the_page() -> None:
    missing = WARNED._replace(checked=0, bad=0, first_bad=(), missing="No recording has it.")
    found = report(missing)
    assert (found.is_good, len(found.of("warned"))) == (True, 1)
    (skipped,) = case(junit(found), "levels_fit_capacity")
    assert (skipped.tag, skipped.get("message")) == ("skipped", "No recording has it.")
    assert f"## {HOURS}: levels_fit_capacity warned\n\nNo recording has it.\n" in markdown(found)


def test_the_xml_has_the_shape_of_junits_and_its_counts_are_right() -> None:
    root = ET.fromstring(junit(ALL))  # noqa: S314 - our own
    assert root.tag == "testsuites"
    for suite in root:
        assert suite.tag == "testsuite"
        cases = list(suite)
        assert {each.tag for each in cases} == {"testcase"}
        for each in cases:
            assert each.get("name")
            assert each.get("classname")
            assert [child.tag for child in each] in ([], ["failure"], ["error"], ["skipped"], ["system-out"])
        counted = {name: sum(each.find(tag) is not None for each in cases)
                   for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped"))}  # fmt: skip
        assert {name: int(suite.attrib[name]) for name in counted} == counted
        assert int(suite.attrib["tests"]) == len(cases)
    assert [(suite.get("name"), suite.get("tests")) for suite in root] == [
        ("the tables that the stream fills", "1"), ("2024-11-30", "6"),
    ]  # fmt: skip
    assert [root.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["7", "1", "1", "2"]
    assert len(list(JUnitXml.fromstring(junit(ALL).encode()))) == 2


def test_a_failure_shows_the_first_bad_rows_and_how_to_see_the_others() -> None:
    failed = case(junit(ALL), "hours_add_up")
    failure = failed.find("failure")
    assert failure is not None
    assert (failed.get("classname"), failure.get("message")) == (HOURS, "7 bad rows; 24 were looked at.")
    lines = (failure.text or "").splitlines()
    assert lines[:2] == ['{"station_id": "0", "name": "Besançon"}', '{"station_id": "1", "name": "Besançon"}']
    assert lines[SHOWN:] == ["To see all of them, in an empty home:", *AGAIN, SEE_ALL]


def test_a_warning_passes_and_says_what_it_found() -> None:
    warned = case(junit(ALL), "levels_fit_capacity")
    assert [child.tag for child in warned] == ["system-out"]
    assert (warned[0].text or "").startswith("WARN: 7 bad rows; 24 were looked at.\n{")


def test_what_was_not_looked_at_is_skipped_with_its_reason() -> None:
    said = {name: case(junit(ALL), name)[0].get("message") for name in ("stream_equals_batch", "system_days_add_up")}
    assert said == {"stream_equals_batch": "There was nothing to check.",
                    "system_days_add_up": "Not run: what failed before it ended the run."}  # fmt: skip


def test_what_was_not_done_is_an_error_with_its_reason() -> None:
    (error,) = case(junit(ALL), BROKEN.what)
    assert (error.tag, error.get("message")) == ("error", BROKEN.reason)


def test_nothing_in_a_row_breaks_the_xml_or_a_table() -> None:
    evil = FAILED._replace(first_bad=[{"name": "a\x00\x0b\ufffe]]>&<b> | c\n`d` \\"}])
    failure = case(junit(report(evil)), "hours_add_up").find("failure")
    assert failure is not None
    assert "]]>&<b> | c" in (failure.text or "")
    rows = [line for line in markdown(report(evil)).splitlines() if line.startswith("| a")]
    assert len(rows) == 1
    assert rows[0].endswith(r"]]>&\<b> \| c \`d\` \\ |")


def test_the_summary_shows_what_is_wrong_first_and_then_every_table_and_check() -> None:
    text = markdown(ALL)
    for wanted in (
        "- **dim_date** was not done: warehouse.dim_date could not be built: no space left.",
        f"## {HOURS}: hours_add_up failed\n\n7 bad rows; 24 were looked at.\n\n| station_id | name |\n",
        f"    {SEE_ALL}\n", f"| {HOURS} | 24 |\n", f"| {HOURS} | hours_add_up | failed | 24 | 7 |\n",
        "| warehouse.fact_system_day | system_days_add_up | not run | 0 | 0 |\n", f"    {AGAIN[0]}\n",
    ):  # fmt: skip
        assert wanted in text, wanted
    assert text.index("hours_add_up failed") < text.index("levels_fit_capacity warned") < text.index("## 2024-11-30")
