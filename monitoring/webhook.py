"""One message to one web server: signed, in bounded time, to the address that was meant and to no other."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import socket
import ssl
import threading
from dataclasses import dataclass

from django.conf import settings

from monitoring.alert_messages import sign
from monitoring.channel_addresses import AddressError, Target

TIMEOUT_S = 10.0
"""For the whole of an attempt, once the name is looked up."""
MOST_READ = 4096
"""Bytes of the answer's body that are read; none of it is kept."""
SIGNATURE, TIMESTAMP, MESSAGE = "VITAL-Signature", "VITAL-Timestamp", "VITAL-Message"
"""Headers."""


class DeliveryError(Exception):
    """A message was not delivered; its words say why, and quote neither address nor answer.

    `is_final` is whether another attempt would be refused as well.
    """

    def __init__(self, text: str, *, is_final: bool = False) -> None:
        super().__init__(text)
        self.is_final = is_final


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is sent: the same id and content at each attempt."""

    message_id: str
    content: bytes
    secret: str


def secret_of(salt: str) -> str:
    """A channel's secret: made of its salt and the server's secret key, so that no database holds it."""
    made = hmac.new(settings.SECRET_KEY.encode(), f"vital.webhook.{salt}".encode(), hashlib.sha256)
    return f"vtw_{made.hexdigest()}"


def post(address: str, parcel: Parcel, timestamp: int, timeout_s: float = TIMEOUT_S) -> None:
    """Send it; returns when the answer is 2xx. Blocks. Raises DeliveryError.

    A redirect is not followed: it would lead where nobody looked at.
    """
    try:
        target = Target.of(address, settings.VITAL_WEBHOOK_HOSTS)
        ip = target.resolve()
    except AddressError as error:
        raise DeliveryError(str(error), is_final=True) from None
    except (OSError, UnicodeError):
        raise DeliveryError("the host's name has no address now") from None
    connection = _Pinned(target, ip, timeout_s)
    # Every single read has the timeout; a server that answers a byte at a time has it as a whole.
    watchdog = threading.Timer(timeout_s, connection.cut)
    watchdog.daemon = True
    watchdog.start()
    try:
        status = _exchange(connection, target, parcel, timestamp)
    except ssl.SSLCertVerificationError as error:
        raise DeliveryError(f"the certificate is not valid: {error.verify_message}") from None
    except TimeoutError:
        raise DeliveryError(f"no answer within {timeout_s:g} s") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        if connection.is_cut:
            raise DeliveryError(f"no answer within {timeout_s:g} s") from None
        raise DeliveryError(f"the connection failed ({type(error).__name__})") from None
    finally:
        watchdog.cancel()
        connection.close()
    if 300 <= status < 400:
        raise DeliveryError(f"the answer is {status}, a redirect, which is not followed", is_final=True)
    if not 200 <= status < 300:
        # 408 and 429 ask to come again; another 4xx says that this message is wrong, now and later.
        is_final = 400 <= status < 500 and status not in (408, 425, 429)
        raise DeliveryError(f"the answer is {status}", is_final=is_final)


def _exchange(connection: _Pinned, target: Target, parcel: Parcel, timestamp: int) -> int:
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "VITAL",
        TIMESTAMP: str(timestamp),
        SIGNATURE: sign(parcel.secret, timestamp, parcel.content),
        MESSAGE: parcel.message_id,
        "Connection": "close",
    }
    connection.request("POST", target.path, parcel.content, headers)
    answer = connection.getresponse()
    answer.read(MOST_READ)
    return answer.status


class _Pinned(http.client.HTTPConnection):
    """A connection to one IP address, which has to prove that it is the host."""

    def __init__(self, target: Target, ip: str, timeout_s: float) -> None:
        super().__init__(target.host, target.port, timeout=timeout_s)
        self.is_cut = False
        self.default_port = 443 if target.secure else 80
        self._target = target
        self._ip = ip

    def connect(self) -> None:
        """To the address that was looked at, and not to what the name may mean by now."""
        sock = socket.create_connection((self._ip, self.port), self.timeout)
        if self._target.secure:
            # The handshake comes after the socket has its name here: `cut` has to reach it.
            sock = ssl.create_default_context().wrap_socket(
                sock, server_hostname=self._target.host, do_handshake_on_connect=False
            )
        self.sock = sock
        if self.is_cut:  # while there was no socket yet
            raise TimeoutError
        if isinstance(sock, ssl.SSLSocket):
            sock.do_handshake()

    def cut(self) -> None:
        """End it from another thread."""
        self.is_cut = True
        if (open_socket := self.sock) is not None:
            try:
                # Below TLS, whose own shutdown would take its state from the thread that reads.
                socket.socket.shutdown(open_socket, socket.SHUT_RDWR)
            except OSError:
                return
