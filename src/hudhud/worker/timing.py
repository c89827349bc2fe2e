"""Intervals and timeouts of a sender's process."""

from dataclasses import dataclass

from hudhud.senders import records


@dataclass(frozen=True, slots=True)
class Timing:
    """Intervals and timeouts in seconds; tests shorten them."""

    idle: float = 1.0
    """How often the sending loop looks for work, and retries after an error."""
    round: float = 0.025
    """Pause to collect messages and receipts for one round, if the channel sends in batches: few
    large transactions leave SQLite's lock to requests."""
    beat: float = records.HEARTBEAT_MS / 1000

    command_poll: float = 1.0
    command_pause: float = 0.2
    """The doorbell rings at every commit, possibly hundreds of times per second."""

    record_poll: float = 0.25
    """How often receipts are looked for while there is nothing to send."""
    gather: float = 0.05
    """Pause to collect a channel's events for one transaction."""
    receipt_held: float = 60.0
    """How long to keep a receipt that comes before its send is recorded."""

    last_send: float = 4.0
    """The supervisor allows 7 s for this and the next two."""
    channel_stop: float = 2.0
    last_record: float = 0.5
