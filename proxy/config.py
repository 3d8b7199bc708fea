"""What `pgwarden.yaml`, the environment, secret files and the command line say, as one frozen Config.

Order, the first that says something wins: command line, environment (``PGWARDEN_``, ``__`` between levels),
secret files (same names, lower case, in the secrets folder), YAML, defaults. Unknown keys are errors that
name file, line and column. Relative paths count from the folder of the YAML file.
It reads files; it must not start anything, and it knows nothing of policies. `config_model` has the keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NestedSecretsSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from proxy.config_model import (
    DEFAULT_ADMIN,
    DEFAULT_LISTEN,
    Admin,
    Audit,
    BulkLane,
    Bus,
    ClientCertificates,
    Config,
    ConfigError,
    Database,
    Keepalive,
    Keys,
    Lane,
    Lanes,
    Limits,
    Pool,
    PoolMode,
    Sessions,
    SqlText,
    Tls,
    TlsMode,
    reason_of,
)
from proxy.config_values import Address, UnixAddress
from proxy.config_ways_out import AlarmTarget, Export
from proxy.dsn import DsnError

PREFIX: Final = "PGWARDEN_"
SECRETS_FOLDER: Final = Path("/run/secrets")

Path_ = tuple[str, ...]  # a key's path, outermost first
Place = tuple[int, int]  # line and column, both from 1


@dataclass(frozen=True, slots=True)
class _Yaml:
    """A YAML file's values and where each key stands."""

    name: str
    values: Mapping[str, Any] = field(default_factory=dict)
    places: Mapping[Path_, Place] = field(default_factory=dict)

    def place(self, path: Path_) -> str:
        """``file:line:column`` of the key, or of the nearest key around it."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.places:
                line, column = self.places[path[:length]]
                return f"{self.name}:{line}:{column}"
        return self.name


def load_config(
    file: Path | None,
    environment: Mapping[str, str],
    overrides: Mapping[str, Any] | None = None,
    secrets: Path = SECRETS_FOLDER,
    base: Path | None = None,
) -> Config:
    """All sources together. `overrides` is nested like the YAML and stands for the command line.

    `base` is where relative paths count from when there is no file (default: the current folder).
    Raises ConfigError with all problems at once.
    """
    text = _Yaml("") if file is None else _read_yaml(file)
    layers: list[Mapping[str, Any]] = [
        text.values,
        *_settings_layers(environment, secrets),
        {} if overrides is None else overrides,
    ]
    merged: dict[str, Any] = {}
    for layer in layers:
        merged = _merge(merged, layer)
    try:
        config = Config.model_validate(merged)
    except ValidationError as error:
        raise ConfigError(_explain(error, text, layers[1:])) from None
    return _checked(_anchored(config, _folder(file, base)), text)


def _folder(file: Path | None, base: Path | None) -> Path:
    return (base or Path()).resolve() if file is None else file.resolve().parent


class _Settings(BaseSettings):
    """The keys again, for pydantic-settings, which reads names and nesting off the class."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", arbitrary_types_allowed=True, extra="forbid"
    )
    listen: str | None = None
    unix_socket_permissions: str | None = None
    handshake_timeout: str | None = None
    session: Sessions | None = None
    keepalive: Keepalive | None = None
    limits: Limits | None = None
    admin: Admin | None = None
    tls: Tls | None = None
    databases: dict[str, Database] | None = None
    policies: Path | None = None
    audit: Audit | None = None
    keys: Keys | None = None
    workers: str | None = None


class _Environment(EnvSettingsSource):
    """pydantic-settings' reader over a mapping that is passed in."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._given = {name.lower(): value for name, value in environment.items()}
        super().__init__(_Settings)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return dict(self._given)


def _settings_layers(environment: Mapping[str, str], secrets: Path) -> list[dict[str, Any]]:
    """What secret files say, then what the environment says: the later one wins."""
    folder = secrets if secrets.is_dir() else None
    try:
        files = SecretsSettingsSource(_Settings, folder)
        nested = NestedSecretsSettingsSource(files, secrets_dir_missing="ok")
        return [nested(), _Environment(environment)()]
    except SettingsError as error:
        raise ConfigError([f"environment or secret files: {error}"]) from None


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        if isinstance(under, Mapping) and isinstance(value, Mapping):
            value = _merge(under, value)
        merged[key] = value
    return merged


def _explain(error: ValidationError, text: _Yaml, above: list[Mapping[str, Any]]) -> list[str]:
    problems = error.errors(include_url=False, include_input=False)
    return sorted((_explain_one(problem, text, above) for problem in problems), key=_in_reading_order)


def _in_reading_order(problem: str) -> list[tuple[int, str]]:
    """Numbers count as numbers, so that line 10 comes after line 9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in problem.split(":")]


def _explain_one(problem: Any, text: _Yaml, above: list[Mapping[str, Any]]) -> str:
    path = tuple(str(part) for part in problem["loc"])
    message = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        message = f"unknown key; known here: {', '.join(_known_keys(path[:-1]))}"
    return f"{_origin(path, text, above)}: {'.'.join(path)}: {message}"


def _origin(path: Path_, text: _Yaml, above: list[Mapping[str, Any]]) -> str:
    name = PREFIX + "__".join(path).upper()
    files, environment, command_line = above
    if _has(command_line, path):
        return "command line"
    if _has(environment, path):
        return name
    if _has(files, path):
        return f"secret file {name.lower()}"
    return text.place(path) or "configuration"


def _has(layer: Any, path: Path_) -> bool:
    for key in path:
        if not isinstance(layer, Mapping) or key not in layer:
            return False
        layer = layer[key]
    return True


_SECTIONS: Final[Mapping[str, type[BaseModel]]] = {
    "admin": Admin,
    "tls": Tls,
    "audit": Audit,
    "session": Sessions,
    "keepalive": Keepalive,
    "limits": Limits,
    "keys": Keys,
}


_BUS_FILES: Final = ("password_file", "ca", "certificate", "key")


def _known_keys(path: Path_) -> list[str]:
    match path:
        case ("databases", _):
            return list(Database.model_fields)
        case ("audit", "bus"):
            return list(Bus.model_fields)
        case ("databases", _, "pool"):
            return list(Pool.model_fields)
        case ("databases", _, "lanes"):
            return list(Lanes.model_fields)
        case ("databases", _, "lanes", "interactive"):
            return list(Lane.model_fields)
        case ("databases", _, "lanes", "bulk"):
            return list(BulkLane.model_fields)
        case ("audit", "export"):
            return list(Export.model_fields)
        case ("audit", "alarms", _):
            return list(AlarmTarget.model_fields)
        case (section,) if section in _SECTIONS:
            return list(_SECTIONS[section].model_fields)
    return list(Config.model_fields)


def _anchored(config: Config, base: Path) -> Config:
    def at(path: Path | None) -> Path | None:
        return None if path is None else base / path

    tls = {name: at(getattr(config.tls, name)) for name in ("certificate", "key", "client_ca")}
    databases = config.databases and {
        name: database.model_copy(
            update={"password_file": at(database.password_file), "lanes": _lanes_at(database, at)}
        )
        for name, database in config.databases.items()
    }
    bus = config.audit.bus and config.audit.bus.model_copy(
        update={name: at(getattr(config.audit.bus, name)) for name in _BUS_FILES}
    )
    key = config.audit.signing_key
    if key is not None and key.startswith("file:"):
        key = f"file:{base / key.removeprefix('file:')}"
    audit = {"directory": at(config.audit.directory), "bus": bus, "signing_key": key}
    return config.model_copy(
        update={
            "tls": config.tls.model_copy(update=tls),
            "databases": databases,
            "policies": at(config.policies),
            "audit": config.audit.model_copy(update=audit | _anchored_ways_out(config.audit, at)),
        }
    )


def _lanes_at(database: Database, at: Callable[[Path | None], Path | None]) -> Lanes | None:
    lanes = database.lanes
    if lanes is None:
        return None
    bulk = lanes.bulk.model_copy(update={"password_file": at(lanes.bulk.password_file)})
    return lanes.model_copy(update={"bulk": bulk})


def _anchored_ways_out(audit: Audit, at: Callable[[Path | None], Path | None]) -> dict[str, Any]:
    export = audit.export and audit.export.model_copy(update={"directory": at(audit.export.directory)})
    alarms = tuple(
        alarm.model_copy(update={"secret_file": at(alarm.secret_file), "ca": at(alarm.ca)}) for alarm in audit.alarms
    )
    return {"export": export, "alarms": alarms}


def _checked(config: Config, text: _Yaml) -> Config:
    """Files that must be there are looked at now: a typo is found at start and not by the first client."""
    wanted: list[tuple[Path_, Path | None]] = [
        (("tls", name), getattr(config.tls, name)) for name in ("certificate", "key", "client_ca")
    ]
    for name, database in (config.databases or {}).items():
        wanted.append((("databases", name, "password_file"), database.password_file))
        if database.lanes is not None:
            key = ("databases", name, "lanes", "bulk", "password_file")
            wanted.append((key, database.lanes.bulk.password_file))
    for name in _BUS_FILES if config.audit.bus is not None else ():
        wanted.append((("audit", "bus", name), getattr(config.audit.bus, name)))
    for number, alarm in enumerate(config.audit.alarms):
        place = ("audit", "alarms", str(number))
        wanted += [((*place, "secret_file"), alarm.secret_file), ((*place, "ca"), alarm.ca)]
    missing = [(key, path) for key, path in wanted if path is not None and not path.is_file()]
    if missing:
        raise ConfigError([f"{text.place(k)}: {'.'.join(k)}: no such file: {path}" for k, path in missing])
    return config


def _read_yaml(file: Path) -> _Yaml:
    try:
        node = yaml.compose(file.read_text("utf-8"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{file}: {reason_of(error)}"]) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else str(file)
        raise ConfigError([f"{where}: {error.problem or 'not YAML'}"]) from None
    except yaml.YAMLError:
        raise ConfigError([f"{file}: not YAML (a control character?)"]) from None
    if node is None:
        return _Yaml(str(file))
    places: dict[Path_, Place] = {}
    problems: list[str] = []
    values = _walk(node, (), str(file), places, problems)
    if not isinstance(values, dict):
        problems.append(f"{file}:1:1: expected keys and values")
    if problems:
        raise ConfigError(problems)
    return _Yaml(str(file), values, places)


def _walk(node: yaml.Node, path: Path_, file: str, places: dict[Path_, Place], problems: list[str]) -> Any:
    """The node's value; fills in where each key stands and what is wrong with the keys."""
    if isinstance(node, yaml.SequenceNode):
        return [_walk(item, (*path, str(number)), file, places, problems) for number, item in enumerate(node.value)]
    if not isinstance(node, yaml.MappingNode):
        return _scalar(node)
    values: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line, column = key_node.start_mark.line + 1, key_node.start_mark.column + 1
        key = str(key_node.value)
        if key in values:
            problems.append(f"{file}:{line}:{column}: {key}: this key stands here twice")
        places[(*path, key)] = (line, column)
        values[key] = _walk(value_node, (*path, key), file, places, problems)
    return values


def _scalar(node: yaml.Node) -> Any:
    return yaml.safe_load(yaml.serialize(node)) if isinstance(node, yaml.ScalarNode) else str(node.value)


__all__ = [
    "DEFAULT_ADMIN",
    "DEFAULT_LISTEN",
    "Address",
    "Admin",
    "Audit",
    "BulkLane",
    "ClientCertificates",
    "Config",
    "ConfigError",
    "Database",
    "DsnError",
    "Keepalive",
    "Keys",
    "Lane",
    "Lanes",
    "Limits",
    "Pool",
    "PoolMode",
    "Sessions",
    "SqlText",
    "Tls",
    "TlsMode",
    "UnixAddress",
    "load_config",
]
