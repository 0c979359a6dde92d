"""A service account's key file, made for one test, and what the stand-in must know of it."""

import json

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from standins.vertex import Account

EMAIL = "robot@my-project.iam.gserviceaccount.com"


def make(key_id: str = "key-1") -> tuple[rsa.RSAPrivateKey, Account]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key, Account(key.public_key(), key_id)


def key_file(key: rsa.RSAPrivateKey, token_uri: str, key_id: str = "key-1") -> dict:
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {
        "type": "service_account", "project_id": "my-project", "private_key_id": key_id, "private_key": pem.decode(),
        "client_email": EMAIL, "client_id": "1", "token_uri": token_uri, "universe_domain": "googleapis.com",
    }


def text(key: rsa.RSAPrivateKey, token_uri: str, key_id: str = "key-1") -> str:
    return json.dumps(key_file(key, token_uri, key_id))
