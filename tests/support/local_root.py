"""Certificates for public listeners on loopback, vouched for by a root of the test's own."""

from __future__ import annotations

from pathlib import Path

from federation.node.settings import ListenTls
from federation.trust.certificates import pem
from tests.support.seams import FixedClock
from tests.support.speaking import Node


class LocalRoot:
    """`file` is the root for those who call; `certificate` writes one for a listener."""

    def __init__(self, folder: Path, *hosts: str, seed: int = 70) -> None:
        self._node = Node(folder, "https://root.example", FixedClock(), seed=seed, hosts=hosts)
        self.file = folder / "root.pem"
        self.file.write_bytes(pem(self._node.certificate))

    def certificate(self, folder: Path) -> ListenTls:
        """A key and a certificate for the hosts in two files of `folder`, new ones every time."""
        self._node.rotate()
        secret, begin, chain = self._node.own.leaf_file.read_text().partition("-----BEGIN CERTIFICATE-----")
        folder.mkdir(parents=True, exist_ok=True)
        files = ListenTls(certificate=str(folder / "public.pem"), private_key=str(folder / "public.key"))
        Path(files.private_key).write_text(secret)
        Path(files.certificate).write_text(begin + chain)
        return files

    @property
    def serial(self) -> int:
        """Of the certificate made last."""
        assert self._node.own.leaf is not None
        return self._node.own.leaf.serial_number
