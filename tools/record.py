# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""record.py FILE COMMAND...: run a command in a terminal, and write what it shows as an SVG that plays in a browser.

The lines come at the times at which they came, but no pause is longer than PAUSE. The last screen stays for REST, then
it starts again. A reader who wants no motion sees the last screen.
"""

import html
import os
import subprocess
import sys
import termios
import time
from itertools import pairwise
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

COLUMNS, ROWS = 100, 26
#: seconds
PAUSE, REST = 1.2, 6
#: of a character and of a line, in pixels
WIDTH, HEIGHT, MARGIN = 7.8, 17, 14
BACK, FRONT = "#0d1117", "#c9d1d9"
#: black, red, green, yellow, blue, magenta, cyan, white; then the bright ones
WHITE = (201, 209, 217)
COLORS = [(72, 79, 88), (255, 123, 114), (63, 185, 80), (210, 153, 34), (88, 166, 255), (188, 140, 255), (57, 197, 207)]
THEME = TerminalTheme((13, 17, 23), WHITE, [*COLORS, WHITE], [*COLORS, WHITE])
PAGE = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" \
aria-labelledby="title">
<!--
Copyright (c) 2026, linuxnet.macvtap maintainers
GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
SPDX-License-Identifier: GPL-3.0-or-later
-->
<title id="title">{title}, recorded</title>
<style>
text {{ font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: {front}; \
white-space: pre }}
.lines {{ animation: lines {seconds:.2f}s step-end infinite; transform: translateY({last[0]}px) }}
.cover {{ animation: cover {seconds:.2f}s step-end infinite; transform: translateY({last[1]}px) }}
@media (prefers-reduced-motion: reduce) {{ .lines, .cover {{ animation: none }} }}
@keyframes lines {{ {lines} }}
@keyframes cover {{ {cover} }}
</style>
<rect width="100%" height="100%" rx="8" fill="{back}"/>
<svg x="{margin}" y="{margin}" width="{inner[0]}" height="{inner[1]}">
<g class="lines">
{text}
</g>
<rect class="cover" width="100%" height="100%" fill="{back}"/>
</svg>
</svg>
"""


def record(command):
    """Run a command in a terminal.

    :returns: its exit status, and for each line the seconds since the one before, and its text with colors.
    """
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (ROWS, COLUMNS))
    environment = {**os.environ, "TERM": "xterm-256color"}
    moments, data = [time.monotonic()], b""
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        while piece := read(ours):
            sys.stdout.buffer.write(piece)
            sys.stdout.flush()
            data += piece
            moments += [time.monotonic()] * piece.count(b"\n")
    gaps = [after - before for before, after in pairwise(moments)]
    return process.returncode, list(zip(gaps, data.decode().replace("\r", "").split("\n")))


def read(terminal):
    """What a terminal's other end wrote; nothing when all have closed it."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def screen(recorded):
    """Lines as wide as the screen, each with the moment at which it is shown, in seconds."""
    console = Console(width=COLUMNS)
    moment, rows = 0.0, []
    for gap, line in recorded:
        moment += min(gap, PAUSE)
        rows += [(moment, row) for row in Text.from_ansi(line).wrap(console, COLUMNS) or [Text()]]
    return rows


def line_svg(number, line):
    """A line of the screen, as SVG."""
    parts = []
    for piece in line.render(Console()):
        words = ""
        if piece.style and piece.style.color:
            words += f' fill="{piece.style.color.get_truecolor(THEME).hex}"'
        if piece.style and piece.style.bold:
            words += ' font-weight="bold"'
        text = html.escape(piece.text.strip("\n"), quote=False)
        parts.append(f"<tspan{words}>{text}</tspan>" if words else text)
    return f'<text y="{number * HEIGHT + 13}">{"".join(parts)}</text>'


def page(title, rows):
    """The recording, as SVG."""
    seconds = rows[-1][0] + REST
    steps = {0: 0} | {moment: number for number, (moment, _line) in enumerate(rows, start=1)}

    def frames(offset):
        """Where something is at each moment, in pixels."""
        return " ".join(
            f"{100 * moment / seconds:.3f}% {{ transform: translateY({offset(shown) * HEIGHT}px) }}"
            for moment, shown in steps.items()
        )

    def up(shown):
        return min(0, ROWS - shown)

    def down(shown):
        return min(shown, ROWS)

    end = len(rows)
    inner = (round(COLUMNS * WIDTH), ROWS * HEIGHT)
    return PAGE.format(
        title=html.escape(title),
        width=inner[0] + 2 * MARGIN,
        height=inner[1] + 2 * MARGIN,
        margin=MARGIN,
        inner=inner,
        seconds=seconds,
        front=FRONT,
        back=BACK,
        last=(up(end) * HEIGHT, down(end) * HEIGHT),
        lines=frames(up) + f" 100% {{ transform: translateY({up(end) * HEIGHT}px) }}",
        cover=frames(down) + f" 100% {{ transform: translateY({down(end) * HEIGHT}px) }}",
        text="\n".join(line_svg(number, line) for number, (_moment, line) in enumerate(rows) if line.plain.strip()),
    )


def main(path, *command):
    """Record a command in a file; return its exit status."""
    status, recorded = record(command)
    rows = screen([(0, f"\x1b[1m# {' '.join(command)}\x1b[0m"), *recorded])
    Path(path).write_text(page(" ".join(command), rows), encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
