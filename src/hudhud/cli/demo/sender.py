"""`python -m waemu.worker ARGS…`: Hudhud's worker, with its WhatsApp library led to the emulator.

WAEMU_ROOT_KEY holds the emulator's root key in hexadecimal.
"""

import os
from importlib import import_module

from waemu.keypatch import patch_root_key


def main() -> None:
    """Patches the library, then is the worker.

    Raises:
        KeyError: WAEMU_ROOT_KEY is not set.
        KeyPatchError: the library is not as expected.
    """
    root_key = bytes.fromhex(os.environ["WAEMU_ROOT_KEY"])
    import_module("hudhud.channels.linked.client")  # as Hudhud loads the library
    patch_root_key(root_key)
    from hudhud.worker.process import main as sender_process  # noqa: PLC0415 - loads only once the key is patched

    sender_process()


if __name__ == "__main__":
    main()
