#!/usr/bin/env bash
# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# rootfs.sh [--copy NAME [--fresh]] [--way terminal|pipe|file] [--offline] SUITE COMMAND...: runs a command as a new
# user would, in a clone of this checkout on a minimal Debian SUITE (bookworm, trixie): git, make and nothing else.
#
# - The root file system is built once, in .cache/matrix/rootfs, from the mirror in this machine's apt sources; every
#   run gets a copy, which is removed at the end. --copy keeps it under that name for more runs; --fresh replaces it.
# - --way: what the command writes to; "terminal" is a new one. By default it is what this script writes to.
# - --offline: a network namespace with the loopback device only.
# Exit status: the command's, or 3 when it left processes, mounts, links or files in /tmp behind, which are listed.
set -euo pipefail

cd "$(dirname "$0")/.."
# shellcheck source=tools/debian_source.sh
. tools/debian_source.sh
checkout=$PWD
cache=$checkout/.cache/matrix/rootfs

usage() {
    sed -n 's/^# \(rootfs.sh .*\): .*/usage: tools\/\1/p' tools/rootfs.sh >&2
    exit 2
}

# --- on the machine

# base SUITE: builds $cache/SUITE when it is not there.
base() {
    local suite=$1 new=$cache/$1.new
    [ ! -d "$cache/$suite" ] || return 0
    echo "rootfs: building Debian $suite" >&2
    rm -rf --one-file-system "$new"
    debian_root "$suite" "$new" git,make
    mv "$new" "$cache/$suite"
}

# copy SUITE ROOT: a copy of the base with the tracked files of this checkout in /root/macvtap.
copy() {
    rm -rf "$2.new"
    cp -a --reflink=auto "$cache/$1" "$2.new"
    cp -L /etc/resolv.conf "$2.new/etc/resolv.conf"
    pip_settings "$2.new/etc"
    git clone -q --depth 1 "file://$checkout" "$2.new/root/macvtap"
    # What is not committed yet is tried too.
    git ls-files -z --deduplicate | while IFS= read -r -d '' path; do
        if [ -e "$path" ] || [ -L "$path" ]; then printf '%s\0' "$path"; fi
    done | tar --null --files-from=- -cf - | tar -xf - -C "$2.new/root/macvtap"
    mv "$2.new" "$2"
}

# Removes the copies of runs that were killed.
remove_orphans() {
    local left owner
    for left in "$cache"/copies/once-*; do
        owner=${left##*/once-}
        [ -d "/proc/${owner%.new}" ] || rm -rf --one-file-system "$left"
    done
}

# How this machine reaches Python's package index holds inside as well; certificates go along.
pip_settings() {
    local bundle settings
    settings=$(python3 -m pip config list 2>/dev/null |
        sed -nE "s/^(:env:|global)\.(cert|default-timeout|index-url|proxy)='(.*)'$/\2 = \3/p" | sort -u -t ' ' -k 1,1)
    bundle=$(sed -n 's/^cert = //p' <<<"$settings")
    [ -z "$bundle" ] || cp -L "$bundle" "$1/pip-certificates.crt"
    printf '[global]\n%s\n' "${settings/"$bundle"/"/etc/pip-certificates.crt"}" >"$1/pip.conf"
}

# --- inside: process 1 of its own namespaces, still in the machine's file system

enter() {
    local root=$1 node
    mount --bind "$root" "$root"
    cd "$root"
    mount -t proc -o nosuid,nodev,noexec proc proc
    mount -t sysfs -o nosuid,nodev,noexec sysfs sys
    [ ! -d /sys/fs/cgroup ] || mount --rbind /sys/fs/cgroup sys/fs/cgroup
    mount -t tmpfs -o mode=755,nosuid dev dev
    mkdir -p dev/net dev/pts dev/shm
    for node in null zero full random urandom tty kvm vhost-net net/tun; do
        [ ! -c "/dev/$node" ] || cp -a "/dev/$node" "dev/$node"
    done
    ln -s /proc/self/fd dev/fd
    ln -s fd/0 dev/stdin && ln -s fd/1 dev/stdout && ln -s fd/2 dev/stderr
    ln -s pts/ptmx dev/ptmx
    mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
    mount -t tmpfs -o mode=1777,nosuid,nodev shm dev/shm
    mount -t tmpfs -o mode=755,nosuid,nodev run run
    mkdir -m 1777 run/lock
    hostname debian
    [ "$(echo /sys/class/net/*)" != /sys/class/net/lo ] || ip link set lo up
    # Not chroot: a process with another root may not make user namespaces.
    pivot_root . .
    umount -l .
    cd /
}

# What a command may not leave behind, one item a line.
traces() {
    local process words own
    own=$(words_of $$)
    for process in /proc/[0-9]*; do
        words=$(words_of "${process#/proc/}") || continue
        # A process that has ended and waits for its parent has no words; our own subshells have ours.
        [ -z "$words" ] || [ "$words" = "$own" ] || printf 'process %s\n' "$words"
    done
    sed 's/^[^ ]* \([^ ]*\) .*/mount \1/' /proc/mounts
    printf 'link %s\n' /sys/class/net/*
    # pytest keeps the directory of its directories.
    find /tmp /var/tmp -mindepth 1 ! '(' -name 'pytest-of-*' -empty ')' -printf 'file %p\n'
}

words_of() { tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline"; }

# Prints what there is now and was not in $before; what is about to end gets five seconds.
left_behind() {
    local attempt after left
    for attempt in {1..50}; do
        after=$(traces)
        left=$(comm -13 <(sort <<<"$before") <(sort <<<"$after"))
        [ -n "$left" ] || return 0
        sleep 0.1
    done
    printf 'rootfs: left behind, %d tries:\n%s\n' "$attempt" "$left"
}

inside() {
    local way=$1 status=0 before left
    shift
    cd /root/macvtap
    before=$(traces)
    case $way in
    terminal)
        export TERM=xterm-256color
        script --quiet --return --log-out /dev/null --command "stty cols 80 rows 24; ${*@Q}" || status=$?
        ;;
    pipe) "$@" 2>&1 | cat || status=$? ;;
    file)
        "$@" >/root/output 2>&1 || status=$?
        cat /root/output
        ;;
    direct) "$@" || status=$? ;;
    esac
    left=$(left_behind)
    if [ -n "$left" ]; then
        echo "$left" >&2
        [ "$status" -ne 0 ] || status=3
    fi
    exit "$status"
}

main() {
    local name= fresh= way=direct suite root status=0
    local namespaces=(--mount --pid --uts --ipc --fork --kill-child=KILL)
    local path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    local environment=(HOME=/root "PATH=$path" "TERM=${TERM:-dumb}")
    while [[ ${1:-} == --* ]]; do
        case $1 in
        --copy) name=${2:-} && shift ;;
        --fresh) fresh=yes ;;
        --way) way=${2:-} && shift ;;
        --offline) namespaces+=(--net) ;;
        *) usage ;;
        esac
        shift
    done
    [ $# -ge 2 ] && [[ $way =~ ^(direct|terminal|pipe|file)$ ]] || usage
    suite=$1
    shift
    if [ "$(id -u)" -ne 0 ]; then
        echo "rootfs: needs root, for namespaces and a root file system; try: sudo tools/rootfs.sh" >&2
        exit 1
    fi
    mkdir -p "$cache/copies"
    base "$suite"
    root=$cache/copies/${name:-once-$$}
    [ -z "$fresh" ] || rm -rf --one-file-system "$root"
    # shellcheck disable=SC2064
    [ -n "$name" ] || trap "rm -rf --one-file-system '$root' '$root.new'" EXIT
    remove_orphans
    [ -d "$root" ] || copy "$suite" "$root"
    setpriv --pdeathsig KILL -- unshare "${namespaces[@]}" env -i "${environment[@]}" \
        "$BASH" "$checkout/tools/rootfs.sh" --inside "$root" "$way" "$@" || status=$?
    exit "$status"
}

if [ "${1:-}" = --inside ]; then
    enter "$2"
    inside "${@:3}"
else
    main "$@"
fi
