"""The id of the task in crates/core/src/protocol/manifest/tests.rs, by an independent writer of the
canonical encoding (docs/formats.md). HPKE configurations are those of `Keypair::derive(n, [n; 32])`,
derived here by RFC 9180's DeriveKeyPair and X25519:

    pip install cryptography && python3 tests/golden/task_id.py > tests/golden/task_id.txt
"""
import hashlib
import hmac
import struct

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def labeled_extract(salt, label, ikm, suite):
    return hmac.new(salt or bytes(32), b"HPKE-v1" + suite + label + ikm, hashlib.sha256).digest()


def labeled_expand(prk, label, info, length, suite):
    data = struct.pack(">H", length) + b"HPKE-v1" + suite + label + info
    return hmac.new(prk, data + b"\x01", hashlib.sha256).digest()[:length]


def config(n):
    suite = b"KEM" + struct.pack(">H", 0x20)
    prk = labeled_extract(b"", b"dkp_prk", bytes([n]) * 32, suite)
    secret = labeled_expand(prk, b"sk", b"", 32, suite)
    public = X25519PrivateKey.from_private_bytes(secret).public_key()
    raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return struct.pack(">BHHHH", n, 0x20, 1, 1, 32) + raw


def number(value):
    return struct.pack(">Q", value)


def real(value):
    return struct.pack(">d", value)


def text(value):
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack(">I", len(data)) + data


start = 1_800_000_000
fields = [
    number(1), text("ab" * 32), text("shop"), number(3),
    number(12), number(4), real(1.0), text(bytes([7]) * 32),
    number(10), real(4.0), real(1e-6), number(2), real(1.687891), text("zero-out"), number(1000),
    text("https://leader.example/"), text(config(1)),
    text("https://helper.example/dap/"), text(config(2)),
    text(config(3)), number(3600), number(start), number(start + 7 * 86400),
]
print(hashlib.sha256(b"onshelf task 1" + b"".join(fields)).hexdigest())
