"""What mkdocs calls while it builds the site: generated pages, and what plain Markdown on GitHub has otherwise.

`mkdocs.yml` names this file. The pages in `docs/` are also read as they are, so links out of that folder and what a
fence needs are turned into what the site has.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_COPIED = {
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "licence.md": "LICENSE",
    "presets.md": "presets/README.md",
}
"""Pages that are files outside of `docs/`, by their names on the site."""
_ELSEWHERE = {"README.md": "index.md", **{source: page for page, source in _COPIED.items()}}


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages."""
    from mkdocs.structure.files import File

    from gramophone.offline.site.control_reference import control_reference

    pages = {"controls.md": control_reference(), "examples.md": _examples()}
    pages |= {page: (ROOT / source).read_text("utf-8") for page, source in _COPIED.items()}
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Return a page with links that stay on the site, and with the needs of a fence above it."""
    source = PurePosixPath(_COPIED.get(page.file.src_uri, f"docs/{page.file.src_uri}"))
    linked = re.sub(r"\]\(([^)#:\s]+)(#[^)]*)?\)", lambda found: _linked(found, source, page.file.src_uri), markdown)
    return re.sub(r"^```(\w+) (needs .+)$", r"*\2*\n\n```\1", linked, flags=re.M)


def _linked(found: re.Match[str], source: PurePosixPath, page: str) -> str:
    """Return a link as the site has it, seen from `page`; `source` is the file that it was written in."""
    target = _normal(source.parent / found[1])
    inside = _ELSEWHERE.get(target) or target.removeprefix("docs").lstrip("/") or "index.md"
    return f"]({'../' * page.count('/')}{inside}{found[2] or ''})"


def _normal(path: PurePosixPath) -> str:
    """Return a path from the root without `..`."""
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            parts = parts[:-1]
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def _examples() -> str:
    """Return a page with the scripts of `examples/`, each below its docstring's first line."""
    parts = ["# Examples", "Scripts to start from; each runs as it is, and a test runs it."]
    for path in sorted((ROOT / "examples").rglob("*")):
        if path.suffix in (".py", ".toml"):
            language = {".py": "python", ".toml": "toml"}[path.suffix]
            where = path.relative_to(ROOT).as_posix()
            parts += [f"## `{where}`", f"```{language}\n{path.read_text('utf-8').rstrip()}\n```"]
    return "\n\n".join(parts) + "\n"
