"""TLS as a client: whose server certificates are believed, and what is shown to servers."""

from __future__ import annotations

import os
import ssl
import tempfile
from contextlib import suppress
from typing import IO

from aimem.ports.material import PeerMaterial


def client_context(material: PeerMaterial) -> ssl.SSLContext:
    """How peers are asked: their certificate and its name are verified, always; ours is shown if there is one.

    A certificate that is named as an authority is believed although it signs only itself, or was signed by another.
    Raises: ValueError whose text goes on from the name of the certificate or the key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.set_alpn_protocols(["http/1.1"])
    try:
        if material.ca is None:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        else:
            context.load_verify_locations(cadata=material.ca.decode("ascii"))
        if material.certificate is not None:
            _load(context, material.certificate + (material.key or b""))
    except (ssl.SSLError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot be used: {getattr(error, 'reason', None) or 'it is no text'}") from error
    return context


def _load(context: ssl.SSLContext, pem: bytes) -> None:
    """Hand over what the library reads from files only: by a file that has no name."""
    with _nameless() as file:
        file.write(pem)
        file.seek(0)
        context.load_cert_chain(f"/dev/fd/{file.fileno()}")


def _nameless() -> IO[bytes]:
    with suppress(AttributeError):      # not every system keeps files in memory
        return os.fdopen(os.memfd_create("certificate", os.MFD_CLOEXEC), "r+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)
