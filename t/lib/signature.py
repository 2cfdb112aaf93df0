# Licensed under the Apache License, Version 2.0: see LICENSE.
"""Verifies signatures like a receiver: Standard Webhooks 1.0, "Signature scheme"."""

import base64
import hashlib
import hmac
import time


def sign(secret, message_id, timestamp, body):
    key = base64.b64decode(secret[6:] if secret.startswith("whsec_") else secret)
    signed = b".".join([message_id.encode(), str(timestamp).encode(), body])
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def verify(secret, headers, body, tolerance=300):
    """True if one of the signatures fits the secret and the timestamp is recent."""
    timestamp = headers.get("webhook-timestamp", "")
    if not timestamp.isdigit() or abs(time.time() - int(timestamp)) > tolerance:
        return False
    expected = sign(secret, headers.get("webhook-id", ""), timestamp, body)
    signatures = headers.get("webhook-signature", "").split(" ")
    return any(hmac.compare_digest(expected, given) for given in signatures)
