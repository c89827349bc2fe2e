"""`python -m hudhud.cli.demo.sender ARGS…`: a sender whose WhatsApp library trusts the emulator.

WAEMU_ROOT_KEY holds the emulator's root key in hexadecimal.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING

from waemu.keypatch import patch_root_key

if TYPE_CHECKING:
    from hudhud.worker.build import Builders


def main(builders: "Builders | None" = None) -> None:
    """Patch the library, then run the sender; `builders` are those of `worker.process.main`.

    Raises:
        KeyError: WAEMU_ROOT_KEY is not set.
        KeyPatchError: the library has another structure than expected.
    """
    root_key = bytes.fromhex(os.environ["WAEMU_ROOT_KEY"])
    import_module("hudhud.channels.linked.client")  # loads the library like Hudhud
    patch_root_key(root_key)
    from hudhud.worker import process  # noqa: PLC0415 -- not before the key is patched

    process.main(builders)


if __name__ == "__main__":
    main()
