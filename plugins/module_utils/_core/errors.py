# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Typed errors. Each message is one sentence for the operator: what was wanted, what is in the way, what to do."""

from __future__ import annotations

import errno
import sys


class MacvtapError(Exception):
    """Base of everything this collection raises on purpose; the text is shown to the user as it is.

    :ivar undone: what became of the steps done before the failure, as sentences that follow the message.
    :ivar missing: what must be installed or created first, as results have it under that key.
    """

    undone: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ". ".join((super().__str__(), *self.undone))


class InvalidInput(MacvtapError):
    """An option or an XML document says something that cannot be; found before anything is changed."""


class Refused(MacvtapError):
    """The request would harm a running guest, or a link or file that is not managed here; nothing was changed."""


class HostError(MacvtapError):
    """The host (kernel, sysfs, file system) said no.

    :arg number: positive errno of the call that failed, or 0 when there was none.
    """

    def __init__(self, message: str, number: int = 0) -> None:
        super().__init__(message)
        self.errno = number


class MissingLibrary(HostError):
    """A Python library that only some tasks need cannot be imported; made by :func:`missing_library`."""


#: library → what brings it; README and documentation say the same (tests/unit/plugins/test_requirements.py)
PACKAGES = {
    "lxml": "python3-lxml (Debian, Ubuntu, Fedora, EL) or lxml (PyPI)",
    "pyroute2": "python3-pyroute2 (Debian, Ubuntu, Fedora) or pyroute2 (PyPI)",
}


def missing_library(purpose: str, library: str, exc: ImportError | None) -> MissingLibrary:
    """:arg purpose: what needs the library, as the subject of a sentence; ``exc``: what its import said."""
    error = MissingLibrary(
        f"{purpose} requires the Python library {library}, which {sys.executable} cannot import ({exc}); install"
        f" {PACKAGES[library]}"
    )
    error.missing = (library,)
    return error


#: begins what a message says of steps that could not be taken back
UNDOING_MET = "Rollback was incomplete: "


class RaceLost(HostError):
    """Another program took a name or an ifindex, or deleted a link, between the look and the step: look again."""


def as_error(exc: MacvtapError | OSError) -> MacvtapError:
    """What no room expected of the host, too, is a sentence and not a traceback."""
    if isinstance(exc, MacvtapError):
        return exc
    return HostError(f"the host refused: {exc}{_remedy(exc)}", exc.errno or 0)


def host_error(what: str, exc: OSError) -> HostError:
    """A failed file operation: ``what`` could not be done, why, and what to do where that is known."""
    return HostError(f"{what}: {exc.strerror or exc}{_remedy(exc)}", exc.errno or 0)


def _remedy(exc: OSError) -> str:
    return "; run as root (become: true)" if exc.errno in (errno.EPERM, errno.EACCES) else ""
