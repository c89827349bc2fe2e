"""Certificates of the emulator are valid at whatever date they are made."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from cryptography import x509

from chaos.clocks import Moment, moments
from waemu import protobuf
from waemu.noise import ServerKeys
from waemu.tls import make_tls

LONGEST_RUN = timedelta(days=1)
MOMENTS = list(moments(datetime.now(UTC)))


@pytest.fixture(params=MOMENTS, ids=[each.name for each in MOMENTS])
def moment(request: pytest.FixtureRequest) -> Moment:
    """Each moment of `make chaos`."""
    found: Moment = request.param
    return found


def test_tls_certificates_are_valid_during_a_run(moment: Moment, tmp_path: Path) -> None:
    with time_machine.travel(moment.at):
        make_tls(tmp_path)
    for file in ("ca.pem", "server.pem"):
        certificate = x509.load_pem_x509_certificate((tmp_path / file).read_bytes())
        assert certificate.not_valid_before_utc < moment.at
        assert certificate.not_valid_after_utc > moment.at + LONGEST_RUN


def test_handshake_certificates_are_valid_during_a_run(moment: Moment) -> None:
    with time_machine.travel(moment.at):
        chain = protobuf.decode(ServerKeys().chain)
    for number in (1, 2):
        details = protobuf.decode(protobuf.decode(chain.need(number)).need(1))
        begin, end = details.integer(4), details.integer(5)
        assert begin is not None
        assert begin < moment.at.timestamp()
        assert end is not None
        assert end > (moment.at + LONGEST_RUN).timestamp()
