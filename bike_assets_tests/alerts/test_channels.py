"""Each channel against a real server on this machine."""

import itertools
import socket
import ssl
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bike_assets.alerts.channels import MailServer, channels, mail, slack, webhook
from bike_assets.alerts.incidents import Event, Severity
from bike_assets.local.ports import free_ports
from bike_assets.model.errors import NotSent
from bike_assets_tests.alerts import servers
from bike_assets_tests.alerts.builders import alert
from bike_assets_tests.alerts.servers import PASSWORD, USER, HttpServer

CANARY = "canary-0123456789"
UI = "http://127.0.0.1:3000"


def test_a_webhook_gets_an_object_that_a_program_can_take_apart(server: HttpServer) -> None:
    webhook(f"{server.url}/alerts?token={CANARY}", UI)(alert())
    assert server.paths == [f"/alerts?token={CANARY}"]
    assert server.taken == [{
        "id": "service/poller@2026-06-01T12:00:00+00:00", "event": "open", "severity": "error",
        "incident": "service/poller", "says": "The poller <is> dead & gone.", "since": "2026-06-01T12:00:00+00:00",
        "at": "2026-06-01T12:00:00+00:00", "url": f"{UI}/runs/1",
    }]  # fmt: skip


def test_both_alerts_of_an_incident_carry_one_id(server: HttpServer) -> None:
    for event in Event:
        webhook(server.url, UI)(alert(event))
    assert [each["event"] for each in server.taken] == ["open", "over"]
    assert len({each["id"] for each in server.taken}) == 1


def test_slack_gets_text_and_blocks_with_its_own_signs_escaped(server: HttpServer) -> None:
    slack(server.url, UI)(alert())
    (body,) = server.taken
    assert body["text"] == ":red_circle: error: service/poller: The poller &lt;is&gt; dead &amp; gone."
    assert [each["type"] for each in body["blocks"]] == ["section", "context"]
    assert "The poller &lt;is&gt; dead &amp; gone." in body["blocks"][0]["text"]["text"]
    assert f"<{UI}/runs/1|Dagster>" in body["blocks"][1]["elements"][0]["text"]


def test_slack_tells_an_error_a_warning_and_an_end_apart(server: HttpServer) -> None:
    for each in (alert(), alert(severity=Severity.WARNING), alert(Event.OVER)):
        slack(server.url, UI)(each)
    assert [each["text"].split()[:2] for each in server.taken] == [
        [":red_circle:", "error:"], [":large_yellow_circle:", "warning:"], [":large_green_circle:", "over:"]]


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_server_that_does_not_take_it_is_named_and_its_address_is_not(server: HttpServer, status: int) -> None:
    server.statuses = [status, status]
    for channel in (webhook, slack):
        with pytest.raises(NotSent, match=f"answered with status {status}") as refused:
            channel(f"{server.url}/{CANARY}", UI)(alert())
        assert CANARY not in str(refused.value)
        assert refused.value.__cause__ is None


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/{canary}", "no-address-{canary}", "http://[{canary}"])
def test_a_server_that_is_down_is_named_and_its_address_is_not(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    with pytest.raises(NotSent, match="Slack could not be reached") as refused:
        slack(url.format(port=free_ports(1)[0], canary=CANARY), UI)(alert())
    assert refused.value.__suppress_context__
    assert CANARY not in f"{refused.value} {caplog.text}"


def test_a_server_that_answers_a_byte_at_a_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bike_assets.alerts.channels.SEND_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        is_over = threading.Event()

        def drip() -> None:
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                for byte in itertools.cycle(b"HTTP/1.1 200 OK"):
                    connection.send(bytes([byte]))
                    if is_over.wait(0.05):
                        return

        dripping = threading.Thread(target=drip)
        dripping.start()
        with pytest.raises(NotSent, match="the webhook could not be reached"):
            webhook(f"http://127.0.0.1:{listening.getsockname()[1]}/", UI)(alert())
        is_over.set()
        dripping.join(5)


def test_a_mail_goes_to_all_with_the_incident_in_its_subject() -> None:
    (port,) = free_ports(1)
    server = servers.MailServer(port)
    send = mail(MailServer("127.0.0.1", port, starttls=False), "from@example.org",
                ["ops@example.org", "night@example.org"], UI)
    send(alert())
    send(alert(Event.OVER))
    server.close()
    first, second = server.taken
    assert first["Subject"] == "bike_assets error: service/poller"
    assert first["To"] == "ops@example.org, night@example.org"
    assert first.get_content().split("\r\n\r\n")[0] == "The poller <is> dead & gone."
    assert f"{UI}/runs/1" in first.get_content()
    assert first["Importance"] == "high"
    assert (second["Subject"], second["Importance"]) == ("bike_assets over: service/poller", None)
    assert second["References"] == first["Message-ID"], "both are one thread"


def test_a_warning_by_mail_is_not_important() -> None:
    (port,) = free_ports(1)
    server = servers.MailServer(port)
    mail(MailServer("127.0.0.1", port, starttls=False), "a@example.org", ["b@example.org"], UI)(
        alert(severity=Severity.WARNING))
    server.close()
    assert [(each["Subject"], each["Importance"]) for each in server.taken] == [
        ("bike_assets warning: service/poller", None)]


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A certificate for 127.0.0.1 that this test's clients trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    public, private = tmp_path / "certificate.pem", tmp_path / "key.pem"
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                          serialization.NoEncryption()))
    monkeypatch.setenv("SSL_CERT_FILE", str(public))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return context


def test_mail_goes_encrypted_and_with_a_name_where_the_server_asks_for_it(tls: ssl.SSLContext) -> None:
    (port,) = free_ports(1)
    server = servers.MailServer(port, tls)
    mail(MailServer("127.0.0.1", port, True, USER, PASSWORD), "a@example.org", ["b@example.org"], UI)(alert())
    for refused in (MailServer("127.0.0.1", port, False, USER, PASSWORD),
                    MailServer("127.0.0.1", port, True, USER, "wrong-0123"), MailServer("127.0.0.1", port, True)):
        with pytest.raises(NotSent, match=f"127.0.0.1:{port} did not take it") as said:
            mail(refused, "a@example.org", ["b@example.org"], UI)(alert())
        assert PASSWORD not in str(said.value)
    server.close()
    assert len(server.taken) == 1


def test_a_mail_server_that_is_down_is_named() -> None:
    (port,) = free_ports(1)
    with pytest.raises(NotSent, match=f"mail: 127.0.0.1:{port} did not take it"):
        mail(MailServer("127.0.0.1", port, starttls=False), "a@example.org", ["b@example.org"], UI)(alert())


def test_only_what_is_set_is_a_channel() -> None:
    server = MailServer("127.0.0.1", 25, starttls=False)
    assert channels(UI, webhook_url=None, slack_url=None, recipients=[], mail_server=server, sender=None) == {}
    found = channels(UI, webhook_url="http://x", slack_url="http://y", recipients=["a@b"], mail_server=server,
                     sender=None)
    assert list(found) == ["webhook", "slack", "mail"]
