#!/usr/bin/python3
"""Holds the architecture: which module may include which, how long a file may be, how it begins.

Dependencies in src/ point one way:

    main -> daemon -> {listen, handover, control} -> admit -> converse -> respond -> base

and `record` may be used by everything above base. A program of its own (src/marcel/,
src/marcelctl/) uses base, the addresses of listen, and itself; marcelctl also what plays and checks
scripts without a daemon. Nothing may point upward, two modules on one level don't know each other,
and every module is named here: a new directory is a decision, not an accident. For every
file: at most 600 lines, and a .c or .h file begins with a comment, its story.

Prints each fault as FILE:LINE: text. Exit status 1 when there was one, 2 when nothing was checked.
"""

import re
import sys
from pathlib import Path

LINES_MAX = 600

# From the top to the bottom; a module may include itself and every level below its own.
LEVELS = [
    {"main"},
    {"daemon"},
    {"listen", "handover", "control"},
    {"admit"},
    {"converse"},
    {"respond"},
    {"record"},
    {"base"},
]
# Programs of their own, beside the daemon.
PROGRAMS = {
    "marcel": {"base", "listen"},
    "marcelctl": {"base", "record", "respond", "converse", "listen"},
}
# src/include/ is what others build on: it includes nothing of ours.
PUBLIC = "include"

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def allowed_for(module):
    """The modules whose headers MODULE may include, or None when the module is unknown."""
    if module == PUBLIC:
        return {PUBLIC}
    if module in PROGRAMS:
        return PROGRAMS[module] | {module, PUBLIC}
    for level, modules in enumerate(LEVELS):
        if module in modules:
            return {module, PUBLIC}.union(*LEVELS[level + 1:])
    return None


def module_of(path, src):
    """The module that a file of src/ belongs to; main for those that lie in src/ itself."""
    parts = path.relative_to(src).parts
    return parts[0] if len(parts) > 1 else "main"


def included_module(path, name, quote, src):
    """The module that `#include NAME` in PATH reaches, or None for a header of the system."""
    roots = [src, src / PUBLIC]
    if quote == '"':
        roots.insert(0, path.parent)
    for root in roots:
        target = (root / name).resolve()
        if target.is_file() and src in target.parents:
            return module_of(target, src)
    return None


def check_includes(path, text, src):
    module = module_of(path, src)
    allowed = allowed_for(module)
    if allowed is None:
        yield 1, f"module '{module}' is unknown; give it its level in tests/layers.py"
        return
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        target = included_module(path, match[2], match[1], src)
        if target is None and match[1] == '"' and "/" in match[2]:
            yield number, f'"{match[2]}" is nowhere in src/'
        elif target is not None and target not in allowed:
            yield number, f"'{module}' may not include {match[2]}: '{target}' is not below it"


def check_file(path, src):
    text = path.read_text(encoding="utf-8")
    lines = text.count("\n")
    if lines > LINES_MAX:
        yield LINES_MAX + 1, f"{lines} lines; at {LINES_MAX} a file holds two ideas"
    if not text.startswith("/*"):
        yield 1, "begins without its story (a comment: what it is, what it guarantees, how it fails)"
    if src in path.parents:
        yield from check_includes(path, text, src)


def main(arguments):
    root = Path(arguments[0] if arguments else Path(__file__).parent.parent).resolve()
    src = root / "src"
    # Generated code carries its origin instead of a story; it never lies in the tree.
    files = sorted(path for top in (src, root / "tests")
                   for suffix in ("*.c", "*.h") for path in top.rglob(suffix))
    faults = 0
    for path in files:
        for number, text in check_file(path, src):
            print(f"{path.relative_to(root)}:{number}: {text}")
            faults += 1
    print(f"{len(files)} files, {faults} faults")
    if not files:
        return 2
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
