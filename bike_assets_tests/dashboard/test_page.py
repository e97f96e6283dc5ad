from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, expect

from bike_assets.dashboard.live import Forgotten
from bike_assets.model.constants import MAX_GAP
from bike_assets.model.readings import State
from bike_assets_tests.dashboard.builders import description, fleet_polled, polled, station, system, vehicle
from bike_assets_tests.dashboard.memory_feed import MemoryFeed
from bike_assets_tests.dashboard.serving import Served, serve

STATION = {"name": "Torget", "address": "Storgata 1", "lat": 59.91, "lon": 10.75}


def now() -> datetime:
    return datetime.now(UTC)


def a_city() -> MemoryFeed:
    return MemoryFeed(
        system(),
        polled(at=now()),
        description("1", **STATION),
        station("1", state_since=now() - timedelta(minutes=12)),
        description("2", name="Havna", lat=59.92, lon=10.77),
        station("2", bikes_available=0, state=State.EMPTY),
    )


@contextmanager
def watched(browser: Browser, page: Served, path: str = "/", **given: object) -> Iterator[Page]:
    """The page in a tab that must not complain."""
    tab = browser.new_page(**given)  # type: ignore[arg-type]
    complaints: list[str] = []
    tab.on("pageerror", lambda err: complaints.append(str(err)))
    tab.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    tab.goto(page.url + path)
    try:
        yield tab
    finally:
        tab.close()
    assert complaints == []


def wait_for_stations(tab: Page, count: int) -> None:
    tab.wait_for_function("count => window.bikeLive?.stations.size === count", arg=count)


def test_stations_systems_and_counts_appear(browser: Browser) -> None:
    with serve(a_city()) as page, watched(browser, page) as tab:
        wait_for_stations(tab, 2)
        expect(tab.locator("#connection")).to_have_text("Live")
        expect(tab.locator("[data-system=oslo]")).to_contain_text("Oslo Bysykkel")
        expect(tab.locator("[data-system=oslo]")).to_contain_text("2 stations · 1 empty · 0 full · 5 bikes")
        expect(tab.locator("#legend [data-state=empty]")).to_have_text("Empty1")
        expect(tab.locator("#empty")).to_be_hidden()


def test_a_change_is_in_the_browsers_memory_and_says_when_it_came(browser: Browser) -> None:
    feed = a_city()
    with serve(feed) as page, watched(browser, page) as tab:
        wait_for_stations(tab, 2)
        put_at = now().timestamp()
        feed.put(station("1", bikes_available=77))
        tab.wait_for_function("() => window.bikeLive.stations.get('oslo/1').bikes_available === 77")
        received_at = tab.evaluate("window.bikeLive.receivedAt.get('oslo/1')") / 1000
        assert put_at - 0.001 <= received_at <= now().timestamp()


def test_a_click_on_a_station_opens_its_panel_and_escape_closes_it(browser: Browser) -> None:
    with serve(a_city()) as page, watched(browser, page, "/#map=16/59.91/10.75") as tab:
        wait_for_stations(tab, 2)
        panel = tab.locator("#station")
        box = tab.locator("#map").bounding_box()
        assert box is not None
        tab.locator("#map[data-drawn='2']").wait_for()
        middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        tab.mouse.move(*middle)
        expect(tab.locator("#hover")).to_contain_text("Torget")  # the map knows what is under the pointer
        tab.mouse.click(*middle)
        expect(panel).to_contain_text("Torget")
        expect(panel).to_contain_text("for 12 min")
        expect(panel).to_contain_text("Europe/Oslo")
        expect(panel).to_contain_text("installed, renting, returning")
        tab.keyboard.press("Escape")
        expect(panel).to_be_hidden()


def test_a_station_can_be_found_and_opened_by_the_keyboard_alone(browser: Browser) -> None:
    feed = a_city()
    with serve(feed) as page, watched(browser, page) as tab:
        wait_for_stations(tab, 2)
        tab.locator("#search").focus()
        tab.keyboard.type("HAVNA")
        tab.keyboard.press("ArrowDown")
        tab.keyboard.press("Enter")
        expect(tab.locator("#station-name")).to_have_text("Havna")
        feed.put(station("2", bikes_available=6))
        expect(tab.locator("#station .levels dd").first).to_have_text("6")


def test_no_request_leaves_the_host(browser: Browser) -> None:
    with serve(a_city()) as page:
        context = browser.new_context()
        asked: list[str] = []
        context.on("request", lambda request: asked.append(request.url))
        tab = context.new_page()
        tab.goto(page.url)
        wait_for_stations(tab, 2)
        tab.locator("[data-system=oslo]").click()
        tab.locator("#search").fill("torget")
        tab.keyboard.press("Enter")
        expect(tab.locator("#station-name")).to_have_text("Torget")
        context.close()
    assert any(url.endswith("/countries-50m.json") for url in asked)
    hosts = {urlsplit(url).netloc for url in asked if not url.startswith(("data:", "blob:"))}
    assert hosts == {f"127.0.0.1:{page.port}"}


def test_a_station_becomes_unknown_by_the_passing_of_time(browser: Browser) -> None:
    feed = MemoryFeed(system(), polled(at=now()), description(), station())
    with serve(feed) as page, watched(browser, page) as tab:
        wait_for_stations(tab, 1)
        assert tab.evaluate("window.bikeLive.shown.get('oslo/1')") == "available"
        tab.clock.install(time=now())
        tab.clock.fast_forward(int(MAX_GAP.total_seconds() * 1000) + 1000)
        tab.wait_for_function("() => window.bikeLive.shown.get('oslo/1') === 'unknown'")
        expect(tab.locator("#legend [data-state=unknown]")).to_have_text("Unknown1")


def test_an_absent_station_is_unknown(browser: Browser) -> None:
    feed = MemoryFeed(system(), polled(at=now()), description(), station(absent_since=now()))
    with serve(feed) as page, watched(browser, page) as tab:
        wait_for_stations(tab, 1)
        assert tab.evaluate("window.bikeLive.shown.get('oslo/1')") == "unknown"


def test_a_forgotten_station_is_gone(browser: Browser) -> None:
    feed = a_city()
    with serve(feed) as page, watched(browser, page) as tab:
        wait_for_stations(tab, 2)
        feed.put(Forgotten("station_state", "oslo/2"))
        wait_for_stations(tab, 1)
        expect(tab.locator("[data-system=oslo]")).to_contain_text("1 station ·")


def test_a_page_without_stations_says_what_to_do(browser: Browser) -> None:
    with serve(MemoryFeed()) as page, watched(browser, page) as tab:
        expect(tab.locator("#empty")).to_contain_text("No station yet")
        expect(tab.locator("#empty")).to_contain_text("bike replay")


def test_a_broker_that_is_down_is_said_on_screen_until_it_is_back(browser: Browser) -> None:
    feed = a_city()
    with serve(feed) as page, watched(browser, page) as tab:
        wait_for_stations(tab, 2)
        feed.break_down()
        expect(tab.locator("#banner")).to_contain_text("does not answer")
        expect(tab.locator("#connection")).to_have_text("Kafka is away")
        assert tab.evaluate("window.bikeLive.stations.size") == 2
        feed.mend()
        expect(tab.locator("#banner")).to_be_hidden()
        expect(tab.locator("#connection")).to_have_text("Live")


def test_a_name_with_markup_is_shown_as_it_is(browser: Browser) -> None:
    name = "<img src=x onerror=alert(1)>"
    feed = MemoryFeed(system(name=name), polled(at=now()), description(name=name), station())
    with serve(feed) as page, watched(browser, page) as tab:
        wait_for_stations(tab, 1)
        tab.locator("#search").fill("img")
        tab.keyboard.press("Enter")
        expect(tab.locator("#station-name")).to_have_text(name)
        expect(tab.locator("[data-system=oslo] b")).to_have_text(name)


def test_the_page_fits_a_phone(browser: Browser) -> None:
    with serve(a_city()) as page, watched(browser, page, viewport={"width": 360, "height": 700}) as tab:
        wait_for_stations(tab, 2)
        assert tab.evaluate("document.documentElement.scrollWidth") <= 360
        tab.locator("#drawer-button").click()
        expect(tab.locator("#sidebar a[href='/dictionary']")).to_be_visible()
        tab.locator("[data-system=oslo]").click()
        expect(tab.locator("#sidebar")).to_be_hidden()


def test_vehicles_fit_a_phone(browser: Browser) -> None:
    with serve(a_fleet(now())) as page, watched(browser, page, viewport={"width": 390, "height": 844}) as tab:
        wait_for_stations(tab, 2)
        tab.locator("#drawer-button").click()
        tab.locator("li:has([data-system=oslo]) summary").click()
        expect(tab.locator("li:has([data-system=oslo]) .fleet .levels")).to_be_visible()
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390
        wide = "[...document.querySelectorAll('#systems *')].filter((one) => one.scrollWidth > one.clientWidth + 1"
        wide += " && getComputedStyle(one).overflow === 'visible' && one.clientWidth > 0).map((one) => one.className)"
        assert tab.evaluate(wide) == []


def a_fleet(at: datetime) -> MemoryFeed:
    """Six e-bikes beside the stations: two that can be taken, one of them for long; and a system of vehicles alone."""
    feed = a_city()
    feed.put(
        vehicle("long", stands_since=at - timedelta(days=3), station_id="1", lat=None, lon=None, battery_pct=91.0),
        vehicle("empty", stands_since=at - timedelta(hours=25), battery_pct=8.0, lat=59.92, lon=10.77),
        vehicle("reserved", is_reserved=True, battery_pct=40.0, stands_since=at),
        vehicle("broken", is_disabled=True, battery_pct=None, stands_since=at),
        fleet_polled(at=at),
        system("brest", name="Velozef"),
        vehicle("z", system_id="brest", stands_since=at),
        fleet_polled("brest", at=at),
    )
    return feed


def test_vehicles_are_counted_and_those_left_behind_are_named_with_place_and_time(browser: Browser) -> None:
    with serve(a_fleet(now())) as page, watched(browser, page) as tab:
        fleet = tab.locator("li:has([data-system=oslo]) .fleet")
        expect(fleet.locator("summary")).to_have_text("4 vehicles · 2 available · 2 abandoned")
        expect(fleet.locator(".levels")).to_be_hidden()
        fleet.locator("summary").focus()
        tab.keyboard.press("Enter")
        expect(fleet.locator(".levels dd")).to_have_text(["2", "1", "1", "2"])
        expect(fleet.locator(".bands div:visible")).to_have_text(
            ["under 20 %1", "20 to 60 %1", "60 % and more1", "not known1"])
        expect(fleet.locator("section", has_text="Best charged").locator("li")).to_have_text(["long91 %", "empty8 %"])
        expect(fleet.locator("section", has_text="Not moved").locator("li")).to_have_text(
            ["longfor 3 daysat Torget", "emptyfor 25 h 0 minat 59.92000, 10.77000"])


def test_a_system_of_vehicles_alone_is_listed_by_them(browser: Browser) -> None:
    at = now()
    feed = MemoryFeed(system("brest", name="Velozef"), vehicle("z", system_id="brest"), fleet_polled("brest", at=at))
    with serve(feed) as page, watched(browser, page) as tab:
        item = tab.locator("li:has([data-system=brest])")
        expect(item).to_contain_text("Velozef")
        expect(item.locator("summary")).to_contain_text("1 vehicle · 1 available")
        expect(item.locator(".age")).to_contain_text("polled")
        expect(item.locator(".counts")).to_be_hidden()
        expect(tab.locator("#empty")).to_be_hidden()


def test_what_a_poll_says_of_vehicles_comes_on_screen_by_itself(browser: Browser) -> None:
    feed = a_fleet(now())
    with serve(feed) as page, watched(browser, page) as tab:
        summary = tab.locator("li:has([data-system=oslo]) summary")
        expect(summary).to_contain_text("4 vehicles")
        feed.put(vehicle("fresh", stands_since=now()), Forgotten("vehicle_state", "oslo/long"), fleet_polled(at=now()))
        expect(summary).to_have_text("4 vehicles · 2 available · 1 abandoned")
        feed.put(Forgotten("vehicle_state", "oslo"))
        expect(summary).to_be_hidden()


def test_vehicles_that_nobody_has_looked_at_for_long_are_not_said_to_be_there_now(browser: Browser) -> None:
    with serve(a_fleet(now() - timedelta(hours=2))) as page, watched(browser, page) as tab:
        fleet = tab.locator("li:has([data-system=oslo]) .fleet")
        fleet.locator("summary").click()
        expect(fleet.locator(".old")).to_have_text("Last seen 2 h 0 min ago; how it is now is not known.")
