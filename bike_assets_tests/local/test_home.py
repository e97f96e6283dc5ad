"""The sockets of a home are for its user alone: where others may have had a hand in it, none is made."""

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bike_assets.local.home import is_private, make_private, socket_of
from bike_assets.model.errors import NotPrivate


@pytest.fixture
def ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A socket of a home, in a temporary directory in which nothing is yet."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return socket_of(tmp_path / "home", "code")


@pytest.fixture
def no_umask() -> Iterator[None]:
    """Files are made for everybody, as gRPC makes its socket."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("no_umask")
def test_whatever_the_umask_only_its_user_comes_to_a_socket(ours: Path) -> None:
    make_private(ours.parent)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(ours))
    assert ours.stat().st_mode & 0o777 == 0o777
    assert ours.parent.stat().st_mode & 0o777 == 0o700


def test_what_was_made_before_is_taken_again(ours: Path) -> None:
    assert not is_private(ours.parent)
    make_private(ours.parent)
    ours.touch()
    make_private(ours.parent)
    assert ours.exists()


def refused(sockets: Path) -> bool:
    with pytest.raises(NotPrivate, match=rf"^{sockets} is not a directory that only you may enter: .*\.$"):
        make_private(sockets)
    return not is_private(sockets)


@pytest.mark.parametrize("mode", [0o777, 0o750, 0o701])
def test_a_directory_that_others_may_enter_is_refused(ours: Path, mode: int) -> None:
    ours.parent.mkdir()
    ours.parent.chmod(mode)
    assert refused(ours.parent)


def test_a_directory_of_another_user_is_refused(ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_private(ours.parent)
    monkeypatch.setattr(os, "getuid", lambda: -1)
    assert refused(ours.parent)


def test_a_link_to_a_directory_of_ours_is_refused(ours: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    ours.parent.symlink_to(tmp_path / "elsewhere")
    assert refused(ours.parent)


def test_a_file_in_its_place_is_refused(ours: Path) -> None:
    ours.parent.touch(mode=0o700)
    assert refused(ours.parent)
