"""How one setting is described and read. Which there are, `server.py` and `connections.py` say."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Annotated, Any, NamedTuple, get_args, get_type_hints

import msgspec

_VARIABLE = re.compile(r"(\$?)\$\{([^}]*)(\}?)")


class ConfigError(Exception):
    """The configuration cannot be used; one line names file (or variable), key and remedy."""

    def __init__(self, *parts: str) -> None:
        """Take source, path and problem, or as much of them as there is; a colon goes between."""
        super().__init__(" ".join(": ".join(parts).split()))


class FromEnvironment(str):
    """A text of the file that `${VAR}` made: it may stand for a number, which a written text may not."""

    __slots__ = ()


class Setting(NamedTuple):
    """One setting, as it is read and as it is documented."""

    key: str
    type: Any
    #: What stands where nothing is set.
    default: object
    #: What a right value is: "a number above 0".
    expected: str
    #: What it is for.
    help: str
    example: object
    secret: bool

    @property
    def variable(self) -> str:
        """The environment variable of a server setting."""
        return f"SENDPOOL_{self.key.upper()}"

    @property
    def required(self) -> bool:
        """Whether a value has to be given."""
        return self.default is msgspec.NODEFAULT


def described(
    expected: str,
    about: str,
    example: object,
    *,
    secret: bool = False,
    **limits: Any,
) -> msgspec.Meta:
    """The annotation that makes a field of a `Struct` a setting; *limits* are those of `msgspec.Meta`."""
    return msgspec.Meta(title=expected, description=about, examples=[example], extra={"secret": secret}, **limits)


def settings_of(struct: type[msgspec.Struct]) -> tuple[Setting, ...]:
    """Every setting of *struct*, in its order. Each field has to be annotated by `described`."""
    hints = get_type_hints(struct, include_extras=True)
    found = []
    for field in msgspec.structs.fields(struct):
        annotated = hints[field.name]
        meta: msgspec.Meta = annotated.__metadata__[0]
        found.append(
            Setting(
                key=field.name,
                type=_without_none(annotated.__origin__, meta),
                default=field.default,
                expected=meta.title or "",
                help=meta.description or "",
                example=(meta.examples or [""])[0],
                secret=bool((meta.extra or {}).get("secret")),
            )
        )
    return tuple(found)


def _without_none(hint: Any, meta: msgspec.Meta) -> Any:
    """The type of a value that is given; None only says that none is."""
    given = [kind for kind in get_args(hint) if kind is not NoneType]
    return Annotated[given[0] if isinstance(hint, UnionType) else hint, meta]


def read_setting(
    setting: Setting, raw: object, source: str, path: str, written: str, checks: Mapping[str, Callable[[Any], Any]]
) -> Any:
    """The value that *raw*, found at *path* of *source*, stands for.

    *written* is what stands before a value where it is written ("port = "). *checks* may refuse or normalise a value
    by its key; what they say replaces "expected ..., got ...". Raises `ConfigError`.
    """
    try:
        return _value(setting, raw, checks)
    except ValueError as error:
        problem = str(error)
    if ";" not in problem:
        problem += f"; write for example {written}{_example(setting, toml=written.endswith(' = '))}"
    raise ConfigError(source, f"{path}: {problem}")


def _example(setting: Setting, *, toml: bool) -> str:
    if toml:
        return as_toml(setting.example)
    return ",".join(setting.example) if isinstance(setting.example, list) else str(setting.example)


def _value(setting: Setting, raw: object, checks: Mapping[str, Callable[[Any], Any]]) -> Any:
    from_text = isinstance(raw, FromEnvironment)
    if from_text:
        raw = _untyped(setting, str(raw))
    try:
        value = msgspec.convert(raw, setting.type, strict=not from_text)
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError
        return checks[setting.key](value) if setting.key in checks else value
    except ValueError as error:
        # msgspec's own sentence speaks of its types; a check's own sentence, which has a remedy, is better than ours.
        own = str(error) if ";" in str(error) and not isinstance(error, msgspec.ValidationError) else ""
        raise ValueError(own or f"expected {setting.expected}, got {_shown(setting, raw)}") from None


def _untyped(setting: Setting, text: str) -> object:
    if isinstance(setting.example, list):
        return [part for part in (part.strip() for part in text.split(",")) if part]
    return text


def _shown(setting: Setting, raw: object) -> str:
    if setting.secret:
        return "something else"
    if isinstance(raw, Mapping):
        return "a table"
    return as_toml(raw if not isinstance(raw, str) or len(raw) <= 60 else f"{raw[:60]}...")


def as_toml(value: object) -> str:
    """*value* as one would write it in a TOML file."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return msgspec.json.encode(str(value)).decode()
    if isinstance(value, list | tuple):
        return f"[{', '.join(as_toml(inner) for inner in value)}]"
    return str(value)


def substitute(value: Any, environ: Mapping[str, str]) -> Any:
    """*value* with every `${VAR}` in its texts replaced, to any depth; `$${` stands for `${` itself.

    Raises `ValueError` whose first argument is the path of the text ("[0].password") and whose second says what is
    wrong with it.
    """
    if isinstance(value, str):
        return _substitute_text(value, environ)
    if isinstance(value, dict):
        return {key: _inside(f".{key}", inner, environ) for key, inner in value.items()}
    if isinstance(value, list):
        return [_inside(f"[{i}]", inner, environ) for i, inner in enumerate(value)]
    return value


def _inside(step: str, value: Any, environ: Mapping[str, str]) -> Any:
    try:
        return substitute(value, environ)
    except ValueError as error:
        path, problem = error.args
        raise ValueError(step + path, problem) from None


def _substitute_text(text: str, environ: Mapping[str, str]) -> str:
    def found(match: re.Match[str]) -> str:
        escaped, name, end = match.groups()
        if escaped:
            return match[0][1:]
        if not end or not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise ValueError("", "expected ${NAME}; write $${ where ${ itself is meant")
        if name not in environ:
            raise ValueError("", f"the environment has no variable {name}; set it, or write the value here")
        return environ[name]

    replaced = _VARIABLE.sub(found, text)
    return text if replaced == text else FromEnvironment(replaced)


def did_you_mean(word: str, known: tuple[str, ...]) -> str:
    """A remedy for an unknown *word*: the known one that looks like it, else all of them."""
    close = get_close_matches(word, known, n=1)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"


def tables_in(source: str, path: str, tables: object, header: str) -> Sequence[dict[str, Any]]:
    """The tables that have to be a list. Raises `ConfigError`."""
    if isinstance(tables, list) and all(isinstance(table, dict) for table in tables):
        return tables
    raise ConfigError(source, f"{path}: expected a list of tables; write [[{header}]], in two brackets, above each")


def read_table(
    source: str,
    path: str,
    table: Mapping[str, Any],
    settings: Sequence[Setting],
    checks: Mapping[str, Callable[[Any], Any]],
) -> dict[str, Any]:
    """What a table says, each setting checked; nothing else may stand in it. Raises `ConfigError`."""
    known = {setting.key: setting for setting in settings}
    for key in table:
        if key not in known:
            raise ConfigError(source, f"{path}.{key}: not a setting here; {did_you_mean(key, tuple(known))}")
    found = {}
    for key, setting in known.items():
        if key in table:
            found[key] = read_setting(setting, table[key], source, f"{path}.{key}", f"{key} = ", checks)
        elif setting.required:
            example = f"{key} = {as_toml(setting.example)}"
            raise ConfigError(source, f"{path}.{key}: it is missing; write for example {example}")
    return found


def check_printable(text: str) -> str:
    """A text without control characters, and not blank. Raises ValueError."""
    if not text.isprintable() or not text.strip():
        raise ValueError
    return text.strip()
