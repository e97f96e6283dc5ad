"""What the tests need of the system, installed or told of in a sentence."""

import subprocess
from pathlib import Path

from bike_assets_tests.conftest import CHECKOUT


def ensure(programs: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the script where these programs are all that there is."""
    return subprocess.run(["/bin/sh", str(CHECKOUT / "tools" / "ensure"), *words], env={"PATH": str(programs)},
                          capture_output=True, text=True, check=False)  # fmt: skip


def test_what_is_there_under_any_of_its_names_is_not_installed(tmp_path: Path) -> None:
    (tmp_path / "chromium-browser").touch(mode=0o755)
    done = ensure(tmp_path, "chromium", "chromium", "chromium-browser")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_cannot_be_installed_is_told_with_what_to_do(tmp_path: Path) -> None:
    done = ensure(tmp_path, "postgresql", "postgres")
    said = "The tests need postgres and it was not found: install it (Debian's package is postgresql), then run "
    assert (done.returncode, done.stderr) == (1, f"{said}`make test` again.\n")


def test_a_package_that_does_not_come_is_told_too(tmp_path: Path) -> None:
    apt = tmp_path / "apt-get"
    apt.write_text("#!/bin/sh\nexit 100\n")
    apt.chmod(0o755)
    (tmp_path / "id").symlink_to("/usr/bin/id")
    (tmp_path / "sudo").symlink_to(apt)
    done = ensure(tmp_path, "chromium", "chromium")
    assert done.returncode == 1
    assert "The tests need chromium" in done.stderr
