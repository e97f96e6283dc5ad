"""Where alerts go: a webhook, Slack, e-mail. Each takes an alert within SEND_S or raises NotSent without a secret."""

import smtplib
import ssl
import time
from email.message import EmailMessage
from typing import Any, NamedTuple

from bike_assets.alerts.incidents import Alert, Channel, Event, Severity
from bike_assets.model.errors import NotSent
from bike_assets.sources.redaction import redact_http_logs

SEND_S = 10.0


class MailServer(NamedTuple):
    """Through which mail goes out; `user` and `password` where it asks for them."""

    host: str
    port: int
    starttls: bool
    user: str | None = None
    password: str | None = None


def headline(alert: Alert) -> str:
    """The alert in a few words, for a subject or a phone's first line."""
    if alert.event is Event.OVER:
        return f"over: {alert.trouble.key}"
    return f"{alert.trouble.severity}: {alert.trouble.key}"


def channels(
    dagster_url: str, *, webhook_url: str | None, slack_url: str | None,
    recipients: list[str], mail_server: MailServer, sender: str | None,
) -> dict[str, Channel]:  # fmt: skip
    """Those that are set, by name; none is needed."""
    found: dict[str, Channel] = {}
    if webhook_url is not None:
        found["webhook"] = webhook(webhook_url, dagster_url)
    if slack_url is not None:
        found["slack"] = slack(slack_url, dagster_url)
    if recipients:
        found["mail"] = mail(mail_server, sender or recipients[0], recipients, dagster_url)
    return found


def webhook(url: str, dagster_url: str) -> Channel:
    """A JSON object a POST: what any receiver can take apart. `id` is that of the incident."""

    def send(alert: Alert) -> None:
        trouble = alert.trouble
        _post("the webhook", url, {
            "id": alert.id, "event": alert.event, "severity": trouble.severity, "incident": trouble.key,
            "says": alert.says, "since": trouble.since.isoformat(), "at": alert.at.isoformat(),
            "url": dagster_url + trouble.path,
        })  # fmt: skip

    return send


def slack(url: str, dagster_url: str) -> Channel:
    """Slack's incoming webhook: `text` for the notification, `blocks` for the channel."""

    def send(alert: Alert) -> None:
        link = f"<{dagster_url}{alert.trouble.path}|Dagster>"
        said = f"*{_escaped(headline(alert))}*\n{_escaped(alert.says)}"
        when = f"since {alert.trouble.since:%Y-%m-%d %H:%M:%S} UTC · {link}"
        _post("Slack", url, {
            "text": f"{_mark(alert)} {_escaped(headline(alert))}: {_escaped(alert.says)}",
            "blocks": [
                {"type": "section", "text": {"type": "mrkdwn", "text": f"{_mark(alert)} {said}"}},
                {"type": "context", "elements": [{"type": "mrkdwn", "text": when}]},
            ],
        })  # fmt: skip

    return send


def mail(server: MailServer, sender: str, recipients: list[str], dagster_url: str) -> Channel:
    """A plain mail; both mails of an incident are one thread."""

    def send(alert: Alert) -> None:
        message = EmailMessage()
        message["Subject"] = f"bike_assets {headline(alert)}"
        message["From"], message["To"] = sender, ", ".join(recipients)
        thread = f"<{alert.id.encode().hex()}@bike_assets>"
        message["References" if alert.event is Event.OVER else "Message-ID"] = thread
        if alert.trouble.severity is Severity.ERROR and alert.event is Event.OPEN:
            message["Importance"] = "high"
        message.set_content(
            f"{alert.says}\n\nsince {alert.trouble.since:%Y-%m-%d %H:%M:%S} UTC\n{dagster_url}{alert.trouble.path}\n"
        )
        try:
            _hand_over(server, message)
        except (smtplib.SMTPException, OSError) as err:
            # Never str(err): a server's answer may repeat what it was given.
            raise NotSent(f"mail: {server.host}:{server.port} did not take it ({type(err).__name__})") from None

    return send


def _hand_over(server: MailServer, message: EmailMessage) -> None:
    with smtplib.SMTP(server.host, server.port, timeout=SEND_S) as smtp:
        if server.starttls:
            smtp.starttls(context=ssl.create_default_context())
        if server.user is not None:
            smtp.login(server.user, server.password or "")
        smtp.send_message(message)


def _post(who: str, url: str, body: dict[str, Any]) -> None:
    import requests  # 0.1 s that nobody needs who only loads the definitions

    from bike_assets.sources.deadlines import DeadlineAdapter, set_deadline

    redact_http_logs()
    set_deadline(time.monotonic() + SEND_S)
    with requests.Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, DeadlineAdapter())
        try:
            with session.post(url, json=body, timeout=SEND_S, allow_redirects=False, stream=True) as answer:
                status = answer.status_code
        except (requests.RequestException, OSError, ValueError) as err:
            # from None, and never str(err): it carries the URL, and whoever has that can write there.
            raise NotSent(f"{who} could not be reached ({type(err).__name__})") from None
    if not 200 <= status < 300:
        raise NotSent(f"{who} answered with status {status}")


def _mark(alert: Alert) -> str:
    if alert.event is Event.OVER:
        return ":large_green_circle:"
    return ":red_circle:" if alert.trouble.severity is Severity.ERROR else ":large_yellow_circle:"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
