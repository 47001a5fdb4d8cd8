"""Pages of the documentation site that are made of falx itself, and links that leave the site.

A hook of MkDocs, see mkdocs.yml. The reference follows the code: the library is `falx.__all__`, the
command line is the Typer application, recipes are the pydantic models and the files that ship.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from posixpath import normpath
from typing import Any, get_args

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from pydantic.fields import FieldInfo
from typer.main import get_command

import falx
from falx.cli import app
from falx.declaration import Declared, declared
from falx.recipe import Recipe, load_recipe, recipe_names
from falx.recipe.fields import RecipePart
from falx.runs import options as verb_options

ROOT = Path(__file__).parents[1]
PROJECT_PAGES = {
    f"{name}.md": f"{name.lower()}.md"
    for name in ("ARCHITECTURE", "CHANGELOG", "CONTRIBUTING", "SECURITY")
} | {"README.md": "index.md"}
"""Documents beside docs/, and the pages of the site that stand for them."""

_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_CODE_OR_BAR = re.compile(r"(`[^`]*`)|\|")
_TYPES = {
    int: "integer",
    float: "number",
    str: "text",
    bool: "`true` or `false`",
    type(None): "`null`",
}
_LIBRARY = """# Library

`import falx` is quick: what a function needs is imported when it is used.
"""
_RECIPES = """# Recipes

A recipe decides a training, apart from data, split, initial weights and seed. `--recipe` takes one
that ships with falx or a YAML file, and `--set head.dropout=0.3` overrides a field; a field that a
file leaves out has its default.
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, and the documents that lie beside docs/."""
    generated = {
        "reference/library.md": library_page(),
        "reference/command-line.md": command_line_page(),
        "reference/recipes.md": recipes_page(),
    }
    for source, page in PROJECT_PAGES.items():
        if page != "index.md":
            generated[page] = _moved(ROOT.joinpath(source).read_text("utf-8"))
    for page, text in generated.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Let links to documents beside docs/ lead to their pages; others out of docs/ become text."""
    folder = Path(page.file.src_uri).parent
    up = "../" * (len(folder.parts))

    def link(found: re.Match[str]) -> str:
        mark, text, target = found.groups()
        path, hash_, anchor = target.partition("#")
        place = normpath((folder / path).as_posix())
        if not place.startswith("../"):
            return found.group()
        known = PROJECT_PAGES.get(place.removeprefix("../"))
        return f"{mark}[{text}]({up}{known}{hash_}{anchor})" if known else text

    return _LINK.sub(link, markdown)


def library_page() -> str:
    """Everything in `falx.__all__`: functions with their options, then classes."""
    functions = [name for name in falx.__all__ if name[0].islower()]
    classes = [name for name in falx.__all__ if name not in functions]
    parts = [_LIBRARY, "## Functions\n"]
    for name in functions:
        parts.append(f"::: falx.{name}\n")
        options = getattr(verb_options, f"{name.title()}Options", None)
        if options:
            rows = [_option_row(each) for each in declared(options)]
            parts.append(
                f"Options of `falx.{name}`:\n\n" + _table(("option", "default", "what"), rows)
            )
    parts.append("## Classes\n")
    parts += [f"::: falx.{name}\n" for name in classes]
    return "\n".join(parts)


def command_line_page() -> str:
    """Each command with its arguments and options, as `--help` gives them."""
    group = get_command(app)
    parts = ["# Command line\n", _help_of(group, "falx")]
    for name, command in group.commands.items():  # type: ignore[attr-defined]  # it is a group
        parts += [f"## falx {name}\n", _help_of(command, f"falx {name}")]
    return "\n".join(parts)


def recipes_page() -> str:
    """The recipes that ship, and all fields."""
    parts = [_RECIPES, "## Recipes that ship\n"]
    shipped = resources.files("falx.recipe")
    for name in recipe_names():
        text = shipped.joinpath(f"{name}.yaml").read_text("utf-8")
        parts.append(f"### {name}\n\n{load_recipe(name).description}\n\n```yaml\n{text}```\n")
    parts.append("## Fields\n")
    parts += _fields(Recipe, "")
    return "\n".join(parts)


def _fields(model: type[RecipePart], name: str) -> Iterator[str]:
    """A section for a part of a recipe, then one for each part in it."""
    inner: dict[str, type[RecipePart]] = {}
    rows = []
    for field, info in model.model_fields.items():
        part = _part(info)
        dotted = f"{name}.{field}" if name else field
        if part:
            inner[f"{dotted}.0" if field == "phases" else dotted] = part
        rows.append(
            (f"`{field}`", _values(info, part), _default(info, part), info.description or "")
        )
    doc = (model.__doc__ or "").strip().replace("\n    ", "\n")
    title = f"`{name}`" if name else "The whole"
    yield f"### {title}\n\n{doc}\n\n" + _table(("field", "values", "default", "what"), rows)
    for dotted, part in inner.items():
        if part.__name__ != "Augmentation" or dotted == "augmentation":
            yield from _fields(part, dotted)


def _part(info: FieldInfo) -> type[RecipePart] | None:
    """The part of a recipe that a field holds, or a tuple of."""
    candidates = [info.annotation, *get_args(info.annotation)]
    return next(
        (each for each in candidates if isinstance(each, type) and issubclass(each, RecipePart)),
        None,
    )


def _values(info: FieldInfo, part: type[RecipePart] | None) -> str:
    """What a field may hold: its choices or its type, and its bounds."""
    if part:
        return part.__name__
    choices = [f"`{each}`" for each in _choices(info.annotation)]
    words = [*choices, *(_TYPES[each] for each in _types(info.annotation))]
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<", "multiple_of": "multiple of"}
    bounds = [
        f"{sign} {getattr(each, name):g}"
        for each in info.metadata
        for name, sign in signs.items()
        if getattr(each, name, None) is not None
    ]
    return ", ".join([" or ".join(words), *bounds])


def _choices(annotation: Any) -> list[str]:
    """The words of all `Literal` in an annotation."""
    if isinstance(annotation, str):
        return [annotation]
    return [found for each in get_args(annotation) for found in _choices(each)]


def _types(annotation: Any) -> list[type]:
    if annotation in _TYPES:
        return [annotation]
    return [found for each in get_args(annotation) for found in _types(each)]


def _default(info: FieldInfo, part: type[RecipePart] | None) -> str:
    if info.is_required():
        return "required"
    if part:
        return _part_default(info.default)
    if info.default == "":
        return "empty"
    return f"`{'null' if info.default is None else str(info.default).lower()}`"


def _part_default(default: RecipePart | None) -> str:
    """What differs from the defaults of the part itself, which stand in a section of their own."""
    if default is None:
        return "`null`"
    own = default.model_dump(exclude_defaults=True)
    return (
        ", ".join(f"`{name}: {str(value).lower()}`" for name, value in own.items()) or "see below"
    )


def _help_of(command: Any, called: str) -> str:
    """Usage, what it does, arguments and options."""
    context = typer.Context(command, info_name=called)
    usage = " ".join(command.collect_usage_pieces(context))
    records = [each.get_help_record(context) for each in command.params]
    rows = [(f"`{name}`", text) for name, text in filter(None, records)]
    return f"```\n{called} {usage}\n```\n\n{command.help or ''}\n\n" + _table(
        ("option", "what"), rows
    )


def _option_row(each: Declared) -> tuple[str, str, str]:
    return f"`{each.name}`", f"`{each.option.default!r}`", each.option.help


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(text: str) -> str:
    """Text as a cell of a table, in which code may hold a vertical bar as it is."""
    return _CODE_OR_BAR.sub(lambda found: found[1] or "\\|", " ".join(text.split()))


def _moved(text: str) -> str:
    """A document that lies beside docs/, with links as if it lay in it."""

    def link(found: re.Match[str]) -> str:
        mark, words, target = found.groups()
        inside = target.removeprefix("docs/")
        outside = inside == target and not target.startswith(("#", "http"))
        return f"{mark}[{words}]({'../' if outside else ''}{inside})"

    return _LINK.sub(link, text)
