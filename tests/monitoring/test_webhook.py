"""A webhook goes where it was meant to go, signed, in bounded time, and nowhere else."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from monitoring import webhook
from monitoring.alert_messages import body
from monitoring.channel_addresses import AddressError, Target, fault_of_address
from monitoring.webhook import DeliveryError, Parcel, post, secret_of
from tests.monitoring.receiver import Receiver, is_from_vital, receiver

PARCEL = Parcel("m1", body("m1", "test", "2026-03-01T12:00:00+00:00", []), "vtw_secret")


@pytest.fixture
def there(settings: Any) -> Iterator[Receiver]:
    """A receiver that the deployment allows."""
    with receiver() as listening:
        settings.VITAL_WEBHOOK_HOSTS = [listening.host]
        yield listening


def test_what_arrives_is_signed_and_whole(there: Receiver) -> None:
    post(there.url, PARCEL, timestamp=1000)
    (one,) = there.received
    assert (one.path, one.content) == ("/alerts?x=1", PARCEL.content)
    assert one.headers["Content-Type"] == "application/json"
    assert one.headers["Host"] == there.host
    assert one.headers["VITAL-Message"] == "m1"
    assert is_from_vital("vtw_secret", one.headers, one.content, now=1000)
    assert json.loads(one.content)["kind"] == "test"


@pytest.mark.parametrize(
    ("status", "is_final"), [(500, False), (503, False), (429, False), (408, False), (400, True), (404, True)]
)
def test_answer_that_is_no_success_is_told_with_whether_it_may_change(
    there: Receiver, status: int, is_final: bool
) -> None:
    there.statuses = [status]
    with pytest.raises(DeliveryError, match=f"the answer is {status}") as refused:
        post(there.url, PARCEL, timestamp=1000)
    assert refused.value.is_final is is_final


def test_redirect_is_not_followed(there: Receiver) -> None:
    with receiver() as elsewhere:
        there.statuses, there.location = [307], elsewhere.url
        with pytest.raises(DeliveryError, match="redirect") as refused:
            post(there.url, PARCEL, timestamp=1000)
        assert refused.value.is_final
        assert elsewhere.received == []


def test_no_more_of_the_answer_is_read_than_a_bound(there: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    there.answer = b"x" * 1_000_000
    read: list[int | None] = []
    whole = HTTPResponse.read

    def counted(self: Any, amount: int | None = None) -> bytes:
        read.append(amount)
        found: bytes = whole(self, amount)
        return found

    monkeypatch.setattr(HTTPResponse, "read", counted)
    there.statuses = [200]
    post(there.url, PARCEL, timestamp=1000)
    assert read == [webhook.MOST_READ]


def test_server_that_says_nothing_is_given_up(there: Receiver) -> None:
    there.hold.clear()
    with pytest.raises(DeliveryError, match=r"no answer within 0\.2 s"):
        post(there.url, PARCEL, timestamp=1000, timeout_s=0.2)


def test_server_that_answers_a_byte_at_a_time_is_given_up(settings: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        settings.VITAL_WEBHOOK_HOSTS = [f"127.0.0.1:{port}"]
        over = threading.Event()

        def drip() -> None:
            talking, _ = listening.accept()
            with talking:
                for byte in b"HTTP/1.1 200 OK\r\n" + b"X-Slow: 1\r\n" * 1000:
                    if over.wait(0.05):
                        return
                    try:
                        talking.sendall(bytes([byte]))
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            with pytest.raises(DeliveryError, match="no answer"):
                post(f"http://127.0.0.1:{port}/", PARCEL, timestamp=1000, timeout_s=0.5)
        finally:
            over.set()
            thread.join()


def test_server_that_takes_the_connection_too_late_is_told_nothing(
    there: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, is_over = socket.create_connection, threading.Event()
    cut = webhook._Pinned.cut

    def connect(*args: Any, **kwargs: Any) -> socket.socket:
        connected = real(*args, **kwargs)
        assert is_over.wait(10)
        return connected

    def cut_and_say(connection: webhook._Pinned) -> None:
        cut(connection)
        is_over.set()

    monkeypatch.setattr(socket, "create_connection", connect)
    monkeypatch.setattr(webhook._Pinned, "cut", cut_and_say)
    with pytest.raises(DeliveryError, match=r"no answer within 0\.2 s"):
        post(there.url, PARCEL, timestamp=1000, timeout_s=0.2)
    assert there.received == []


def test_server_that_never_ends_its_handshake_is_given_up(settings: Any) -> None:
    """It takes the connection, and says nothing of TLS."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        settings.VITAL_WEBHOOK_HOSTS = [f"127.0.0.1:{port}"]
        with pytest.raises(DeliveryError, match=r"no answer within 0\.2 s"):
            post(f"https://127.0.0.1:{port}/", PARCEL, timestamp=1000, timeout_s=0.2)


def test_nobody_listens(settings: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    settings.VITAL_WEBHOOK_HOSTS = ["127.0.0.1"]
    with pytest.raises(DeliveryError, match="the connection failed") as refused:
        post(f"http://127.0.0.1:{port}/", PARCEL, timestamp=1000)
    assert not refused.value.is_final


def test_https_wants_a_certificate_of_the_host(there: Receiver) -> None:
    """Plain text is no TLS: nothing is sent to who cannot prove who he is."""
    with pytest.raises(DeliveryError, match="the connection failed"):
        post(there.url.replace("http://", "https://"), PARCEL, timestamp=1000)
    assert there.received == []


def test_https_with_a_certificate_of_the_host_arrives(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an authority that SSL_CERT_FILE names; of another host's name it is refused."""
    pem = certificate(tmp_path, "alerts.example.org")
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    settings.VITAL_WEBHOOK_HOSTS = ["alerts.example.org", "other.example.org"]
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda _host, port, *args, **kwargs: real("127.0.0.1", port, *args, **kwargs)
    )
    with receiver(pem) as there:
        post(f"https://alerts.example.org:{there.port}/", PARCEL, timestamp=1000)
        with pytest.raises(DeliveryError, match="certificate is not valid"):
            post(f"https://other.example.org:{there.port}/", PARCEL, timestamp=1000)
        monkeypatch.delenv("SSL_CERT_FILE")
        with pytest.raises(DeliveryError, match="certificate is not valid"):
            post(f"https://alerts.example.org:{there.port}/", PARCEL, timestamp=1000)
    assert len(there.received) == 1


def certificate(directory: Path, host: str) -> Path:
    """A key and a certificate of it, signed by itself, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = directory / f"{host}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


def test_what_is_looked_up_is_what_is_connected_to(there: Receiver, settings: Any) -> None:
    """The name leads here when it is looked at, and would lead elsewhere at a second look."""
    settings.VITAL_WEBHOOK_HOSTS = ["alerts.example.org"]
    asked: list[str] = []
    real = socket.getaddrinfo

    def resolve(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host == "alerts.example.org":
            asked.append(host)
            return real("127.0.0.1", port, *args, **kwargs)
        return real(host, port, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", resolve)
        post(f"http://alerts.example.org:{there.port}/", PARCEL, timestamp=1000)
    assert asked == ["alerts.example.org"]
    assert there.received[0].headers["Host"] == f"alerts.example.org:{there.port}"


@pytest.mark.parametrize(
    "ip",
    [
        "127.0.0.1",
        "10.0.0.5",
        "192.168.1.1",
        "169.254.169.254",
        "0.0.0.0",
        "::1",
        "fe80::1%eth0",
        "fd00::1",
        "::ffff:127.0.0.1",
        "224.0.0.1",
        "100.64.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:a00:1::1",
        "::7f00:1",
        "fec0::1",
    ],
)
def test_address_within_is_asked_only_where_the_deployment_says_so(ip: str) -> None:
    target = Target.of("https://alerts.example.org/", listed=[])
    with pytest.raises(AddressError, match="VITAL_WEBHOOK_HOSTS"):
        target.first_allowed([ip])
    with pytest.raises(AddressError):
        target.first_allowed(["93.184.215.14", ip])
    assert Target.of("https://alerts.example.org/", listed=["alerts.example.org"]).first_allowed([ip]) == ip


def test_public_address_is_asked() -> None:
    target = Target.of("https://alerts.example.org/", listed=[])
    assert target.first_allowed(["93.184.215.14"]) == "93.184.215.14"
    assert target.first_allowed(["2606:2800:21f::1"]) == "2606:2800:21f::1"
    assert target.first_allowed(["64:ff9b::5db8:d70e"]) == "64:ff9b::5db8:d70e"


@pytest.mark.parametrize(
    ("kind", "address", "fault"),
    [
        ("webhook", "https://alerts.example.org/vital?x=1", ""),
        ("webhook", "https://alerts.example.org:8443", ""),
        ("webhook", "http://listed.example.org/", ""),
        ("webhook", "http://LISTED.example.org:80/", ""),
        ("webhook", "http://alerts.example.org/", "Use https"),
        ("webhook", "ftp://alerts.example.org/", "address like"),
        ("webhook", "https:///vital", "address like"),
        ("webhook", "https://user:pass@alerts.example.org/", "name and password"),
        ("webhook", "https://alerts.example.org/#x", "Leave out"),
        ("webhook", "https://alerts.example.org/a b", "no blanks"),
        ("webhook", "https://alerts.example.org/\r\nX: y", "no blanks"),
        ("webhook", "https://alerts.example.org:port/", "has to be a number"),
        ("email", "ops@example.org", ""),
        ("email", "ops@example.org, it@example.org", ""),
        ("email", "ops", "no e-mail address"),
        ("email", "ops@example.org\nBcc: x@example.org", "no e-mail address"),
        ("email", "", "One to"),
        ("email", ",".join(["ops@example.org"] * 21), "One to"),
    ],
)
def test_address_is_checked_where_it_is_set(kind: str, address: str, fault: str, settings: Any) -> None:
    settings.VITAL_WEBHOOK_HOSTS = ["listed.example.org"]
    found = fault_of_address(kind, address)
    assert (fault in found) if fault else (found == "")


def test_forbidden_address_is_final(settings: Any) -> None:
    with pytest.raises(DeliveryError) as refused:
        post("https://127.0.0.1/", PARCEL, timestamp=1000)
    assert refused.value.is_final


def test_secret_is_of_the_channel_and_of_the_server(settings: Any) -> None:
    one = secret_of("salt")
    assert one.startswith("vtw_")
    assert one == secret_of("salt") != secret_of("other")
    settings.SECRET_KEY = "x" * 60
    assert secret_of("salt") != one
