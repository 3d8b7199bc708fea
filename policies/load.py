"""A folder of YAML files to one PolicySet, or all that is wrong with it at once.

The folder is read flat, in order of file names: ``*.yaml`` and ``*.yml``, names that start with a dot left out
(what editors and mounted config maps leave behind). A subfolder that holds such files is an error, because rules
in it would silently not apply. Places are given as file names relative to the folder.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from policies.budgets_reader import BudgetReader
from policies.catalog_check import check_against_catalog
from policies.errors import PolicyFileError, Problem, Severity
from policies.fields import Fields, kind_of
from policies.fingerprint import fingerprint_of
from policies.known import Known
from policies.model import ColumnName, Policy, PolicySet, Principal, Source
from policies.names import parse_column
from policies.outside import Outside, files_beside, no_files
from policies.policy_reader import read_policy
from policies.prices import PriceBook
from policies.prices_reader import read_prices
from policies.principals import read_principal
from policies.rates_reader import names_of, read_rates, read_tiers
from policies.tiers import Tier
from policies.yaml_nodes import MAX_FILE_BYTES, Node, Scalar, read_yaml
from policies.yaml_nodes import Mapping as MappingNode

__all__ = ["check_against_catalog", "load_folder", "load_texts"]

SECTIONS = ("principals", "tags", "policies", "prices", "rates", "tiers", "budgets")
SUFFIXES = (".yaml", ".yml")
MAX_FILES = 1_000


def load_folder(path: Path, env: Mapping[str, str], known_databases: Collection[str] | None = None) -> PolicySet:
    """Raises PolicyFileError with every problem found; `env` serves values written as ``env:NAME``."""
    problems: list[Problem] = []
    contents = _read_files(path, problems)
    policies = _load(contents, problems, Outside(env, files_beside(path)), known_databases)
    if not policies.principals:
        # An editor empties a file before it writes it anew: that moment must not end every session.
        message = "no file of the folder names a principal, so nobody could log in"
        raise PolicyFileError([Problem(Source(path.name, 1, 1), message)])
    return policies


def load_texts(
    contents: Mapping[str, bytes], env: Mapping[str, str], known_databases: Collection[str] | None = None
) -> PolicySet:
    """Like `load_folder`, over files already read: name to content. No I/O."""
    return _load(contents, [], Outside(env, no_files), known_databases)


def _read_files(folder: Path, problems: list[Problem]) -> dict[str, bytes]:
    contents: dict[str, bytes] = {}
    try:
        entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
        files = [entry for entry in entries if _is_policy_file(entry)]
        for entry in entries:
            _check_subfolder(entry, problems)
    except OSError as error:
        problems.append(_unreadable(folder.name or str(folder), error))
        return {}
    if not files or len(files) > MAX_FILES:
        count = f"more than {MAX_FILES}" if files else "no"
        problems.append(Problem(Source(folder.name, 1, 1), f"the folder holds {count} policy files (*.yaml)"))
        return {}
    for file in files:
        try:
            contents[file.name] = _read_file(file)
        except OSError as error:
            problems.append(_unreadable(file.name, error))
    return contents


def _is_policy_file(entry: Path) -> bool:
    return entry.suffix in SUFFIXES and not entry.name.startswith(".") and not entry.is_dir()


def _read_file(file: Path) -> bytes:
    if not file.is_file():
        raise OSError("not a regular file")
    with file.open("rb") as stream:
        return stream.read(MAX_FILE_BYTES + 1)


def _check_subfolder(entry: Path, problems: list[Problem]) -> None:
    if entry.name.startswith(".") or not entry.is_dir():
        return
    if any(_is_policy_file(inner) for inner in entry.iterdir()):
        message = "policy files in a subfolder are not read; move them up"
        problems.append(Problem(Source(f"{entry.name}/", 1, 1), message))


def _unreadable(name: str, error: OSError) -> Problem:
    return Problem(Source(name, 1, 1), f"can't be read: {error.strerror or error}")


def _load(
    contents: Mapping[str, bytes],
    problems: list[Problem],
    outside: Outside,
    known_databases: Collection[str] | None,
) -> PolicySet:
    loader = _Loader(problems, outside, known_databases)
    policies = loader.load(contents)
    if any(problem.severity is Severity.ERROR for problem in problems):
        raise PolicyFileError(problems)
    return policies


class _Loader:
    """Gathers the sections of all files, then reads policies, which refer to the rest."""

    def __init__(self, problems: list[Problem], outside: Outside, known_databases: Collection[str] | None) -> None:
        self._fields = Fields(problems)
        self._outside = outside
        self._databases = known_databases
        self._sections: dict[str, list[Node]] = {section: [] for section in SECTIONS}

    def load(self, contents: Mapping[str, bytes]) -> PolicySet:
        for file in sorted(contents):
            self._add_file(contents[file], file)
        principals = self._principals()
        tag_sources: dict[str, Source] = {}
        tags = self._tags(tag_sources)
        prices = read_prices(self._fields, self._sections["prices"], self._databases)
        policies = self._policies(Known(tuple(principals.values()), tags, self._databases, self._outside))
        self._check_costs(policies, prices)
        rates = read_rates(self._fields, self._items("rates"), names_of(principals.values()))
        tiers = read_tiers(self._fields, self._sections["tiers"])
        self._check_tiers(tiers.values(), prices)
        currency = None if prices.is_free else prices.currency
        budgets = BudgetReader(self._fields, principals.values(), currency).read(self._items("budgets"))
        later = tuple(part for part in (rates, tiers, budgets) if part)  # sets without them keep their fingerprint
        fingerprint = fingerprint_of(principals, policies, tags, prices.canonical, *later)
        return PolicySet(principals, policies, tags, prices, fingerprint, tag_sources, rates, tiers, budgets)

    def _add_file(self, data: bytes, file: str) -> None:
        root = read_yaml(data, file, self._fields.problems)
        entries = self._fields.mapping(root, "a policy file", SECTIONS) if root else None
        for section, node in (entries or {}).items():
            if not _is_nothing(node):  # a section whose entries are all commented out
                self._sections[section].append(node)

    def _items(self, section: str) -> list[Node]:
        nodes = self._sections[section]
        return [item for node in nodes for item in self._fields.items(node, f"'{section}'") or ()]

    def _principals(self) -> dict[str, Principal]:
        principals: dict[str, Principal] = {}
        places: dict[str, Source] = {}
        for node in self._items("principals"):
            principal = read_principal(self._fields, node, self._outside)
            if principal and self._is_new("user", principal.user, principal.source, places):
                principals[principal.user] = principal
        return principals

    def _policies(self, known: Known) -> tuple[Policy, ...]:
        policies: dict[str, Policy] = {}
        places: dict[str, Source] = {}
        for node in self._items("policies"):
            policy = read_policy(self._fields, node, known)
            if policy and self._is_new("policy", policy.name, policy.source, places):
                policies[policy.name] = policy
        return tuple(policies.values())

    def _tags(self, places: dict[str, Source]) -> dict[str, tuple[ColumnName, ...]]:
        tags: dict[str, tuple[ColumnName, ...]] = {}
        for section in self._sections["tags"]:
            if not isinstance(section, MappingNode):
                message = f"'tags' must be a mapping of tags to lists of columns, not {kind_of(section)}"
                self._fields.report(section, message)
                continue
            for key, node in section.entries:
                if self._is_new("tag", key.text, key.source, places):
                    columns = self._fields.parsed(node, f"tag {key.text!r}", parse_column)
                    tags[key.text] = tuple(column for _, column in columns)
        return tags

    def _is_new(self, what: str, name: str, source: Source, places: dict[str, Source]) -> bool:
        """Notes the place of `name`, or reports that it was defined before."""
        first = places.setdefault(name, source)
        if first is not source:
            self._fields.report(source, f"{what} {name!r} is defined twice (first at {first})")
        return first is source

    def _check_costs(self, policies: Iterable[Policy], prices: PriceBook) -> None:
        """Without a price every estimate would be 0: a limit that never holds anything back."""
        for policy in policies:
            rule = policy.limits.cost_rule
            lists = prices.lists if policy.database == "*" else prices.of(policy.database)
            has_price = bool(lists) and all(one.prices.per_million_plan_units for one in lists)
            if rule is not None and not has_price:
                self._fields.report(rule.source, "'limits.cost' needs 'prices.per_million_plan_units' above 0")

    def _check_tiers(self, tiers: Iterable[Tier], prices: PriceBook) -> None:
        """As for `limits.cost`."""
        for tier in tiers:
            if tier.cost_per_month is not None and prices.is_free:
                self._fields.report(tier.rule.source, "'cost_per_month' needs 'prices' above 0")


def _is_nothing(node: Node) -> bool:
    return isinstance(node, Scalar) and node.value is None
