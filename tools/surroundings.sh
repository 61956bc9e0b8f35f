#!/usr/bin/env bash
# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# To be sourced first by every tool: the same surroundings for all of them, whatever those of the caller are.
# Goes to the root of the checkout. Gives bounded and sealed, which run a command that ends when the tool ends.

unset CDPATH GREP_OPTIONS BASH_ENV ENV
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD

# A stream that is closed would be taken by the first file that is opened.
for descriptor in 0 1 2; do
    [ -e "/proc/$$/fd/$descriptor" ] || eval "exec $descriptor<>/dev/null"
done

umask 022
# UTF-8, and installed everywhere; Ansible refuses to start without.
export LC_ALL=C.UTF-8
unset LANGUAGE PYTHONHOME PYTHONPATH PYTHONSTARTUP PYTHONOPTIMIZE PYTHONWARNINGS VIRTUAL_ENV
unset FORCE_COLOR PY_COLORS CLICOLOR_FORCE
# Settings of the user's own work with Ansible.
for name in ${!ANSIBLE_*}; do unset "$name"; done
# Not on everybody's path, but where Debian has modprobe and others.
PATH=$PATH:/usr/sbin:/sbin
# Interpreter paths that Ansible puts together have no room for more than that.
case ${TMPDIR:-/tmp} in
    /*[!A-Za-z0-9/._-]* | [!/]*) unset TMPDIR ;;
esac
[ -w "${TMPDIR:-/tmp}" ] || unset TMPDIR
if ! [ -w "${HOME:-}" ]; then export HOME=$root/.cache/home; fi
# The checkout may belong to another user than the one who runs this, and who has to trust it anyway.
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0=*

tool=${0##*/}
tool=${tool%.sh}

# bounded COMMAND...: runs it in a session of its own, to its end or ours. It is ended when we are told to end (Ctrl-C,
# SIGTERM, a terminal that closes), and before we do.
#
# Its standard input is a pipe that closes with us. The pipe is made here, once: a trap that comes due while bash 5.2
# reads a substitution is lost, or is a syntax error.
exec {pipe}<> <(:)
exec {lifeline}>"/proc/self/fd/$pipe" {beneath}<"/proc/self/fd/$pipe" {pipe}>&-
bounded() {
    # What runs in the background ignores Ctrl-C, and so would all that it starts.
    setpriv --pdeathsig TERM -- env --default-signal=INT,QUIT setsid --wait "$@" \
        <&"$beneath" {beneath}<&- {lifeline}>&- &
    child=$!
    local status=0
    wait "$child" || status=$?
    child=
    return "$status"
}

# sealed COMMAND...: as bounded, and every process, mount and temporary file of it is gone when it or we end, even by
# SIGKILL: it runs in a PID and a mount namespace.
sealed() {
    bounded unshare --mount --pid --fork --kill-child=KILL --mount-proc --propagation private -- \
        "$@"
}

child=
end() {
    trap '' INT TERM HUP
    if [ -n "$child" ]; then
        exec {lifeline}>&-
        kill -TERM -- "-$child" 2>/dev/null || kill -TERM "$child" 2>/dev/null || true
        wait "$child" || true
    fi
    echo "$tool: $1" >&2 || true
    exit "$2"
}
trap 'end "interrupted; nothing of it is running, and it can be started again" 130' INT
trap 'end "ended by SIGTERM; nothing of it is running, and it can be started again" 143' TERM
trap 'end "its terminal is gone" 129' HUP
