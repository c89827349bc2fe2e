"""An emulator, and clients of it in separate processes."""

import hashlib
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from support.emulated_device import LinkedClient, SharedDevice, new_number
from waemu import noise, protobuf
from waemu.binary import Node, decode, encode
from waemu.client import EmulatorProcess
from waemu.curve import KeyPair, verify
from waemu.symmetric import hkdf

_SECONDS_TO_WAIT = 60.0


class RawClient:
    """A client that can send frames and stanzas no library would."""

    def __init__(self, websocket: ClientConnection, root_key: bytes, header: bytes) -> None:
        self.websocket = websocket
        self._root_key = root_key
        self._header = header

    def shake_hands(self, payload: bytes, key: KeyPair | None = None) -> None:
        """Run the initiator's side of Noise XX and check the server's certificates."""
        key, ephemeral = key or KeyPair(), KeyPair()
        state = _Initiator(self._header)
        state.mix_hash(ephemeral.public)
        hello = protobuf.encode({2: protobuf.encode({1: ephemeral.public})})
        self.websocket.send(self._header + len(hello).to_bytes(3, "big") + hello)
        server = protobuf.decode(protobuf.decode(self._receive_frame()).need(3))
        their_ephemeral = server.need(1)
        state.mix_hash(their_ephemeral)
        state.mix_key(ephemeral.agree(their_ephemeral))
        static = state.decrypt(server.need(2))
        state.mix_key(ephemeral.agree(static))
        self._check_chain(protobuf.decode(state.decrypt(server.need(3))), static)
        finish = {1: state.encrypt(key.public)}
        state.mix_key(key.agree(their_ephemeral))
        finish[2] = state.encrypt(payload)
        self.send_frame(protobuf.encode({4: protobuf.encode(finish)}))
        self._sending, self._receiving = state.split()

    def send_frame(self, frame: bytes) -> None:
        self.websocket.send(len(frame).to_bytes(3, "big") + frame)

    def send(self, stanza: Node) -> None:
        self.send_frame(self._sending.encrypt(encode(stanza)))

    def receive(self) -> Node:
        return decode(self._receiving.decrypt(self._receive_frame()))

    def wait_closed(self) -> None:
        """Read until the server has closed the connection."""
        with suppress(ConnectionClosed):
            while True:
                self._receive_frame()

    def _receive_frame(self) -> bytes:
        data = self.websocket.recv(timeout=_SECONDS_TO_WAIT)
        assert isinstance(data, bytes)
        assert int.from_bytes(data[:3], "big") == len(data) - 3
        return data[3:]

    def _check_chain(self, chain: protobuf.Message, static: bytes) -> None:
        leaf, intermediate = (protobuf.decode(chain.need(number)) for number in (1, 2))
        leaf_key, key = (protobuf.decode(each.need(1)).need(3) for each in (leaf, intermediate))
        assert verify(self._root_key, intermediate.need(1), intermediate.need(2))
        assert verify(key, leaf.need(1), leaf.need(2))
        assert leaf_key == static


class _Initiator:
    """The symmetric state of a Noise handshake, as in the Noise specification."""

    def __init__(self, header: bytes) -> None:
        name = b"Noise_XX_25519_AESGCM_SHA256".ljust(32, b"\0")
        self._hash = self._salt = name
        self._cipher = noise.FrameCipher(name)
        self.mix_hash(header)

    def mix_hash(self, data: bytes) -> None:
        self._hash = hashlib.sha256(self._hash + data).digest()

    def mix_key(self, secret: bytes) -> None:
        keys = hkdf(secret, 64, salt=self._salt)
        self._salt, self._cipher = keys[:32], noise.FrameCipher(keys[32:])

    def encrypt(self, plaintext: bytes) -> bytes:
        ciphertext = self._cipher.encrypt(plaintext, self._hash)
        self.mix_hash(ciphertext)
        return ciphertext

    def decrypt(self, ciphertext: bytes) -> bytes:
        plaintext = self._cipher.decrypt(ciphertext, self._hash)
        self.mix_hash(ciphertext)
        return plaintext

    def split(self) -> tuple[noise.FrameCipher, noise.FrameCipher]:
        keys = hkdf(b"", 64, salt=self._salt)
        return noise.FrameCipher(keys[:32]), noise.FrameCipher(keys[32:])


@pytest.fixture
def raw_client(emulator: EmulatorProcess) -> Iterator[Callable[..., RawClient]]:
    context = ssl.create_default_context(cafile=emulator.ca)
    with ExitStack() as clients:

        def start(header: bytes = noise.HEADER) -> RawClient:
            websocket = clients.enter_context(connect(emulator.websocket, ssl=context))
            return RawClient(websocket, emulator.root_key, header)

        yield start


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[EmulatorProcess]:
    with EmulatorProcess(log=tmp_path / "emulator.log") as running:
        for number in ("15550001111", "15552223333", "15554445555"):
            running.add_phone(number)
        yield running


@pytest.fixture
def new_client(emulator: EmulatorProcess, tmp_path: Path) -> Iterator[Callable[..., LinkedClient]]:
    """Start a client, by default as an unlinked device."""
    clients: list[LinkedClient] = []

    def start(store: Path | None = None, **options: str) -> LinkedClient:
        store = store or tmp_path / f"device-{len(clients)}.db"
        client = LinkedClient(emulator, store, tmp_path / "client.log", **options)
        clients.append(client)
        return client

    yield start
    for client in clients:
        client.kill()


@pytest.fixture(scope="session")
def _lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedDevice]:
    folder = tmp_path_factory.mktemp("lasting")
    with EmulatorProcess(log=folder / "emulator.log") as running:
        account = new_number()
        running.add_phone(account)
        client = LinkedClient(running, folder / "device.db", folder / "client.log")
        client.pair(account)
        yield SharedDevice(running, client, account)
        client.kill()


@pytest.fixture
def shared(_lasting: SharedDevice) -> SharedDevice:
    """The shared device, connected and without faults; the test must leave it linked."""
    made = SharedDevice(_lasting.emulator, _lasting.client, _lasting.account)
    made.prepare()
    return made
