# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Where an option belongs that a module does not have in the place where it was written. PURE."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Union

from .._core.names import similar

#: options around a place, outermost first; () is the module itself
Path = tuple[str, ...]


def hint(unsupported: Iterable[Union[str, Path]], spec: Mapping[str, Any]) -> str:
    """What to do about options that Ansible refuses as unsupported.

    :arg unsupported: their names; below the top, with the names of the options around them.
    :arg spec: the argument specification of the module, which alone decides.
    :returns: one sentence for each option that is known in another place or was misspelled; may be empty.
    """
    written = sorted((each,) if isinstance(each, str) else tuple(each) for each in unsupported)
    places = dict(_places(spec))
    return "; ".join(filter(None, (_advice(path[:-1], path[-1], places) for path in written)))


def _places(spec: Mapping[str, Any], path: Path = ()) -> Iterator[tuple[Path, list[str]]]:
    yield path, list(spec)
    for name, option in spec.items():
        if option.get("options"):
            yield from _places(option["options"], (*path, name))


def _advice(here: Path, name: str, places: Mapping[Path, list[str]]) -> str:
    right = [path for path, names in places.items() if name in names]
    if right:
        return "%s belongs %s" % (name, " or ".join(_in_words(path, here) for path in right))
    meant = similar(name, places.get(here, ()))
    if meant:
        return f"{name} is not an option here: did you mean {' or '.join(meant)}?"
    meant = [f"{each} {_in_words(path, here)}" for path, names in places.items() for each in similar(name, names)]
    return f"{name} is not an option here: did you mean {' or '.join(meant)}?" if meant else ""


def _in_words(path: Path, here: Path) -> str:
    return f"in {'.'.join(path)}" if path else f"beside {here[0]}"
