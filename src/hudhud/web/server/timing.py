"""Time limits of connections."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConnectionTiming:
    """Times in seconds. The defaults are for production; tests use shorter ones."""

    head: float = 10.0
    """How long the request line and headers may take, from the connection or the first byte."""
    body: float = 30.0
    """How long a body may make no progress."""
    keep_alive: float = 75.0
    """How long a connection may idle between requests; load balancers usually keep them 60 s."""
    write: float = 30.0
    """How long a peer may read nothing of its answer."""
    linger: float = 1.0
    """How long input is discarded after a refusal, so that the peer can read the answer."""
    sweep: float = 0.5
    """How often the limits are checked."""
    report: float = 60.0
    """How often a full server is reported."""
