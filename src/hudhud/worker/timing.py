"""How often the threads of a sender's process look for work, and how long its end may take."""

from dataclasses import dataclass

from hudhud.senders import records


@dataclass(frozen=True, slots=True)
class Timing:
    """All in seconds. The defaults are for use; tests shorten what would keep them waiting."""

    idle: float = 1.0
    """The sending loop looks for work this often, and tries again what failed."""
    batch: float = 0.02
    """What comes in meanwhile is sent together where batches are allowed: few large transactions
    leave SQLite's lock to those who accept."""
    beat: float = records.HEARTBEAT_MS / 1000

    command_poll: float = 1.0
    command_pause: float = 0.2
    """The doorbell rings at every commit, of which there can be hundreds a second."""

    record_poll: float = 0.25
    gather: float = 0.05
    """What the channel tells meanwhile shares a transaction."""
    receipt_held: float = 60.0
    """A receipt may come before its send is recorded."""

    last_send: float = 4.0
    """The supervisor allows 7 s for this one and the two that follow."""
    channel_stop: float = 2.0
    last_record: float = 0.5
