"""Each channel is described by one row of the registry."""

from typing import get_args

import pytest

from hudhud.channels.base import SANDBOX, ChannelParts, KnownAccount
from hudhud.channels.registry import CHANNELS, UNKNOWN, ChannelType, channel_type, pairable
from hudhud.channels.sandbox import SandboxChannel
from hudhud.core.english import ENGLISH
from hudhud.core.errors import StartRefused
from hudhud.core.settings import Settings, load_settings


def parts() -> ChannelParts:
    account = KnownAccount(sender="main", device=None, carries="none", until=None)
    return ChannelParts(
        load_settings(), account, database_url=None, has_written=lambda _phone: False
    )


def test_setting_accepts_the_channels_of_the_registry() -> None:
    assert set(get_args(Settings.model_fields["channel"].annotation)) == set(CHANNELS)


def test_sandbox_is_built_from_its_row() -> None:
    assert isinstance(channel_type(SANDBOX).build(parts()), SandboxChannel)


@pytest.mark.parametrize("row", [*CHANNELS.values(), UNKNOWN])
def test_row_uses_words_of_the_catalog(row: ChannelType) -> None:
    assert row.label.code in ENGLISH
    assert row.ready.code in ENGLISH


def test_only_linked_devices_can_be_paired() -> None:
    assert pairable() == ["linked"]


def test_sender_of_an_unknown_channel_is_shown_but_not_started() -> None:
    row = channel_type("pigeon")
    assert row.label.english() == "Sender of an unknown channel"
    with pytest.raises(StartRefused, match="Update Hudhud"):
        row.build(parts())
