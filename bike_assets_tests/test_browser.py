import pytest

from bike_assets.model.errors import SomethingMissing
from bike_assets_tests.browser import find_chromium


def test_a_missing_browser_is_one_sentence_with_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SomethingMissing, match="install Chromium"):
        find_chromium()
