"""The socket of a service of ours that answers over HTTP."""

import socket

from bike_assets.model.errors import AlreadyRunning


def listen(host: str, port: int, told: str, remedy: str) -> socket.socket:
    """A socket bound to this address. Raises AlreadyRunning, `told` and `remedy` around the address and the reason."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as err:
        listener.close()
        raise AlreadyRunning(f"{told} on {host}:{port} ({err.strerror}): {remedy}") from None
    return listener
