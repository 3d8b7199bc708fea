"""Where records go besides the store, as `pgwarden.yaml` says it: daily files, alarms. Reads no files."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from audit.alarm import Choice
from audit.export_lines import Form
from audit.syslog import FACILITIES, Place, parse_place
from audit.webhook import Hook, parse_hook

_DEFAULT_CHOICES: Final = (Choice.DENIALS, Choice.ALARMS)


class _Keys(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True)


class Export(_Keys):
    """Files of records in `directory`, one for each day. `keep_days` None keeps them for ever."""

    directory: Path
    format: Form = Form.JSONL
    keep_days: int | None = Field(default=None, ge=1, le=36_500)


class AlarmTarget(_Keys):
    """Somebody to be told: a syslog or a webhook. `sql_text`: with statements' texts, as records keep them."""

    syslog: str | None = None
    facility: Literal[tuple(FACILITIES)] = "authpriv"  # type: ignore[valid-type]
    webhook: str | None = Field(default=None, repr=False)
    secret_file: Path | None = None
    ca: Path | None = None
    send: tuple[Choice, ...] = Field(default=_DEFAULT_CHOICES, min_length=1)
    sql_text: bool = False

    @field_validator("syslog")
    @classmethod
    def _is_place(cls, value: str | None) -> str | None:
        if value is not None:
            parse_place(value)
        return value

    @field_validator("webhook")
    @classmethod
    def _is_hook(cls, value: str | None) -> str | None:
        if value is not None:
            parse_hook(value)
        return value

    @model_validator(mode="after")
    def _is_one(self) -> AlarmTarget:
        if (self.syslog is None) == (self.webhook is None):
            raise ValueError("name either syslog or webhook")
        given = self.model_fields_set
        if self.webhook is not None and self.secret_file is None:
            raise ValueError("webhook needs secret_file: without a signature anybody could raise alarms")
        if self.webhook is not None and "facility" in given:
            raise ValueError("facility: of use for syslog alone")
        if self.syslog is not None and self.secret_file is not None:
            raise ValueError("secret_file: of use for webhook alone")
        is_tls = self.place.scheme == "tls" if self.place is not None else bool(self.hook and self.hook.is_tls)
        if self.ca is not None and not is_tls:
            raise ValueError("ca: of use for tls:// and https:// alone")
        return self

    @property
    def place(self) -> Place | None:
        return None if self.syslog is None else parse_place(self.syslog)

    @property
    def hook(self) -> Hook | None:
        return None if self.webhook is None else parse_hook(self.webhook)
