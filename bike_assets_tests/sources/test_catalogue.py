"""The public catalogue: what is found in it, and what it makes a source of."""

from collections import Counter

import pytest

from bike_assets.model.errors import WrongSettings
from bike_assets.sources.catalogue import catalogue, find, folded, near, source_of
from bike_assets.sources.config import GbfsSource, JcdecauxSource


def ids(*words: str, **given: str) -> list[str]:
    return [each.system_id for each in find(words, **given)]


def test_the_whole_catalogue_is_there_and_every_system_has_what_a_source_needs() -> None:
    assert len(catalogue()) == 1520
    for each in catalogue():
        assert each.system_id, each
        assert each.url.startswith(("https://", "http://"))
        assert len(each.country) == 2
        assert each.country.isupper()


@pytest.mark.parametrize(("text", "same"), [
    ("Tromsø", "tromso"), ("GÖTEBORG", "goteborg"), ("Łódź", "lodz"), ("Besançon", "besancon"), ("Straße", "strasse"),
])  # fmt: skip
def test_case_and_accents_are_no_difference(text: str, same: str) -> None:
    assert folded(text) == same


def test_words_are_looked_for_in_name_place_and_id_and_all_of_them_must_be_there() -> None:
    assert "rydetromso" in ids("TROMSO")
    assert ids("oslobysykkel") == ["oslobysykkel"]
    assert ids("Bysykkel", "oslo") == ["oslobysykkel"]
    assert ids("oslo", "antwerp") == []
    assert len(ids()) == 1520


def test_country_and_city_narrow_it() -> None:
    assert "bruxelles" in ids(country="be", city="BRUS")
    assert {each.country for each in find(country="BE")} == {"BE"}
    assert ids(country="BE", city="Oslo") == []


def test_a_country_that_is_no_code_is_refused() -> None:
    with pytest.raises(WrongSettings, match=r"^Belgium is no country code: give the two letters of ISO 3166, as BE\.$"):
        find(country="Belgium")


def test_a_system_becomes_a_source_with_its_place() -> None:
    source = source_of("bruxelles")
    assert isinstance(source, GbfsSource)
    assert (source.city, source.country) == ("Brussels", "BE")
    assert source.url == "https://api.cyclocity.fr/contracts/bruxelles/gbfs/v3/gbfs.json"
    assert source.name is None, "its own feed names it"


def test_a_contract_of_jcdecaux_becomes_a_source() -> None:
    assert source_of("jcdecaux:Lyon") == JcdecauxSource(contract="lyon")
    with pytest.raises(WrongSettings, match="lyom is no contract of JCDecaux that is known here"):
        source_of("jcdecaux:lyom")


@pytest.mark.parametrize(("given", "meant"), [("oslo", "oslobysykkel"), ("OsloBysykkel", "oslobysykkel"),
                                              ("oslobysikel", "oslobysykkel")])  # fmt: skip
def test_an_id_that_there_is_not_is_told_with_those_that_may_be_meant(given: str, meant: str) -> None:
    assert near(given)[0] == meant
    with pytest.raises(WrongSettings, match=rf"^{given} is not in the catalogue; near to it are {meant}"):
        source_of(given)


def test_nothing_near_leads_to_the_search() -> None:
    with pytest.raises(WrongSettings, match=r"^qqqqqq is not in the catalogue; `bike sources find` searches it\.$"):
        source_of("qqqqqq")


def test_a_feed_that_needs_an_authentication_is_refused_with_who_gives_it() -> None:
    with pytest.raises(WrongSettings, match=r"needs an authentication \(DB-Client-Id\|DB-Api-Key\).*see https://"):
        source_of("stadtrad_hamburg")
    assert {each.system_id for each in catalogue() if each.authentication} >= {"stadtrad_hamburg", "sponti"}


def test_an_address_with_a_key_in_it_is_refused() -> None:
    with_key = [each.system_id for each in catalogue() if "apiKey=" in each.url]
    assert len(with_key) == 1
    with pytest.raises(WrongSettings, match=r"its address carries a key, which no sources file may hold\.$"):
        source_of(with_key[0])


def test_an_id_of_two_systems_is_refused_and_both_are_named() -> None:
    twice = [each for each, count in Counter(listed.system_id for listed in catalogue()).items() if count > 1]
    assert twice == ["citiz_la_rochelle"]
    with pytest.raises(WrongSettings, match=r"stands for 2 systems, Citiz La Rochelle \(.*\) and Yélo \("):
        source_of(twice[0])
