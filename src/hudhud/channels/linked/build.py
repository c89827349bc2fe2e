"""Construct the channel of a linked device from the settings."""

from hudhud.channels.base import ChannelParts
from hudhud.channels.linked.channel import LinkedChannel
from hudhud.channels.linked.session_store import session_store
from hudhud.channels.linked.timing import Timing


def build(parts: ChannelParts, timing: Timing | None = None) -> LinkedChannel:
    """Build the channel of one sender."""
    settings, account = parts.settings, parts.account
    return LinkedChannel(
        sender=account.sender,
        session=session_store(
            data_dir=settings.data_dir,
            folder=settings.baileys_session_dir_name,
            sender=account.sender,
            database_url=parts.database_url,
        ),
        device=account.device,
        proxy=settings.whatsapp_proxy,
        initial_retry=settings.baileys_initial_retry_delay_ms / 1000,
        log_level=settings.baileys_internal_log_level,
        wrote_first=parts.has_written,
        banned_until=account.until if account.carries == "none" else None,
        strangers_refused_until=account.until if account.carries == "known" else None,
        timing=timing,
    )
