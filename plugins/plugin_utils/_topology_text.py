# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""How much room a text takes in a picture, and how it is made to fit. PURE.

Nobody knows the reader's fonts, so widths are those of DejaVu Sans, which is wider than most.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

#: characters of ASCII (and two signs of ours), and their width as a share of the font size
_WIDTHS = (
    (" ijlI|'.,:;\u00b7", 0.35),
    ("!()[]/\\ft-r", 0.43),
    ("mwMW@%\u2026", 1.0),
    ("ABCDEFGHKLNOPQRSTUVXYZ&<>=+_~#", 0.84),
)
_OTHER, _WIDE = 0.65, 1.2
#: bold is that much wider
_BOLD = 1.12
#: of every character of a monospaced font; those of East Asia take two
_MONO = 0.61


def width(text: str, size: float, mono: bool = False, bold: bool = False) -> float:
    """Room that a text takes at most, in the unit of ``size``."""
    if mono:
        return size * sum(2 * _MONO if _is_wide(char) else _MONO for char in text)
    return size * sum(map(_width, text)) * (_BOLD if bold else 1)


def _width(char: str) -> float:
    if unicodedata.combining(char):
        return 0
    for chars, share in _WIDTHS:
        if char in chars:
            return share
    # no font is known to be narrow outside of ASCII
    return _OTHER if char.isascii() else _WIDE


def _is_wide(char: str) -> bool:
    return not char.isascii()


def clip(text: str, room: float, size: float, mono: bool = False, bold: bool = False) -> str:
    """The text, cut with an ellipsis where it does not fit."""
    if width(text, size, mono, bold) <= room:
        return text
    while text and width(text + "\u2026", size, mono, bold) > room:
        text = text[:-1]
    return text.rstrip() + "\u2026"


def wrap(text: str, room: float, size: float) -> Iterator[str]:
    """The text as lines, broken between words where that is possible."""
    line = ""
    for word in text.split(" "):
        longer = word if not line else line + " " + word
        if width(longer, size) <= room:
            line = longer
            continue
        if line:
            yield line
        line = ""
        for char in word:
            if line and width(line + char, size) > room:
                yield line
                line = ""
            line += char
    if line:
        yield line
