"""Picking free ports."""

from __future__ import annotations

import random
import socket

# Below Linux's range for outgoing connections (32768 and up): there any client on this machine could be handed "our"
# port while the API server is stopped for an outage test.
FIRST_PORT, LAST_PORT = 20_000, 32_000


def free_ports(count: int) -> list[int]:
    """Different ports on 127.0.0.1 that nobody has bound now. Another may be quicker: be ready to pick again."""
    picked: list[int] = []
    generator = random.SystemRandom()  # processes started together must not try the same ports
    while len(picked) < count:
        port = generator.randint(FIRST_PORT, LAST_PORT)
        if port not in picked and _is_free(port):
            picked.append(port)
    return picked


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
