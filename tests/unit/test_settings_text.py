"""What of a configuration is recorded: enough to know how pgwarden ran, and no secret."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, Field

from proxy.config import load_config
from proxy.settings_text import settings_text


class Later(BaseModel):
    webhook_secret: str = ""
    marked: str = Field(default="", repr=False)
    parts: dict[str, str] = {}


def test_what_was_given_is_told_and_secrets_arent(tmp_path: Path) -> None:
    file = tmp_path / "pgwarden.yaml"
    file.write_text(
        "listen: 127.0.0.1:7000\nworkers: 2\n"
        "databases: {shop: {upstream: 'postgresql://gateway:hidden1@db/shop', pool: {mode: transaction, size: 7}}}\n"
        "audit: {store: 'postgresql://w:hidden2@db/audit', durability: strict, retention_days: null}\n"
    )
    text = settings_text(load_config(file, {}))
    assert "hidden" not in text
    told = json.loads(text)
    assert told["workers"] == 2
    assert told["databases"]["shop"]["pool"] == {"mode": "transaction", "size": 7}
    assert told["audit"].items() >= {"durability": "strict", "retention_days": None, "store": "..."}.items()
    assert "session" not in told  # a default


def test_fields_of_later_are_hidden_by_mark_and_by_name() -> None:
    text = settings_text(Later(webhook_secret="hidden", marked="hidden", parts={"api_key": "hidden", "a": "b"}))
    assert json.loads(text) == {"marked": "...", "parts": {"a": "b", "api_key": "..."}, "webhook_secret": "..."}
