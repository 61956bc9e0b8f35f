#!/usr/bin/env bash
# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# setup.sh [TARGET]: installs what a target of the Makefile needs (what all need, without), and only what is missing:
# distribution packages (Debian and its kin, as root) and the virtual environment .venv. Quick when all is there, and
# needs neither network nor a writable checkout then. What an interrupted run left is made new or completed.
set -euo pipefail

# shellcheck source=tools/surroundings.sh
. "$(dirname "$0")/surroundings.sh"

# target: sets of packages that it needs
declare -A needs=(
    [unit]="python readers"
    [lint]="python checkout linters" [docs]="python checkout linters"
    [sanity]="python checkout"
    [integration]="python checkout lab ssh" [release]="python checkout lab"
    [demo]="python lab guests" [molecule]="python lab guests"
)
everything="python readers checkout linters lab ssh guests neighbours"

declare -A packages=(
    [python]="python3 python3-venv"
    # systemd-analyze and others read units in the tests.
    [readers]="systemd"
    # The checks copy the tracked files.
    [checkout]="git"
    # kmod: the kernel loads macvtap and friends on demand.
    [lab]="iproute2 kmod mount procps util-linux"
    # ansible-test integration makes a key before it runs anything.
    [ssh]="openssh-client"
    # QEMU, and what the image of the guests is made of.
    [guests]="busybox-static qemu-system-x86"
    # Clients and neighbours of our links, for the tests.
    [neighbours]="dhcpcd-base libvirt-clients libvirt-daemon-system network-manager nftables systemd udev"
    [linters]=""
)
declare -A requirements=([python]="tests/requirements.txt" [linters]="tests/requirements-lint.txt")
sets=${needs[${1:-all}]:-$everything}

give_up() {
    echo "setup: $1" >&2
    exit 1
}

# attempt WHAT FUNCTION [WORD...]: runs a function of this file; where it fails, one sentence says why.
attempt() {
    local what=$1 status=0 said functions
    shift
    functions=$(declare -f && declare -p root policy mark log)
    echo "setup: $what"
    # Not redirected from here: what Ctrl-C makes bounded say would be in the log.
    bounded "$BASH" -euo pipefail -c "$functions; exec >\"\$log\" 2>&1; \"\$@\"" setup "$@" || status=$?
    [ "$status" -ne 0 ] || return 0
    said=$(grep -m 1 -iE '^(E|error|fatal)\b' "$log" || grep . "$log" | tail -n 1) || true
    give_up "failed while $what: ${said:-status $status} (all of it: $log); is there a network connection? Then start it again"
}
log=$root/.cache/setup.log

# One run at a time changes the checkout; what a killed one left running counts as well.
begin() {
    [ -z "${begun:-}" ] || return 0
    mkdir -p .cache 2>/dev/null && { : >>"$log"; } 2>/dev/null && [ -w . ] ||
        give_up "cannot write to $root, and not all is installed there; make it writable, or use a copy that is"
    case $root in
        *[:\"\$\\\`]* | *$'\n'*) give_up "a path with ${root//[^:\"\$\\\`]/} in it is no place for a virtual environment: $root; move the checkout" ;;
    esac
    exec {begun}>.cache/setup.lock
    flock "$begun"
}

missing_packages() {
    local package set
    for set in $sets; do
        for package in ${packages[$set]}; do
            [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
        done
    done
}

install_packages() {
    command -v dpkg-query >/dev/null || return 0
    local missing
    mapfile -t missing < <(missing_packages)
    [ ${#missing[@]} -gt 0 ] || return 0
    [ "$(id -u)" -eq 0 ] || give_up "these packages are missing, and only root can install them: ${missing[*]}"
    begin
    attempt "installing ${missing[*]}" without_starting_services call_apt "${missing[@]}"
}

call_apt() {
    export DEBIAN_FRONTEND=noninteractive
    # What an interrupted installation left would be in the way.
    dpkg --configure -a
    apt-get update -qq || true
    apt-get install -qq -y --no-install-recommends --fix-broken -o DPkg::Lock::Timeout=300 "$@"
}

# The tests start what they need themselves, in namespaces of their own: no package may start a daemon here. What says so
# holds only while we (or apt, when we are killed) have it open, and removes itself afterwards.
policy=/usr/sbin/policy-rc.d
mark="written by tools/setup.sh of linuxnet.macvtap"
without_starting_services() {
    if [ -e "$policy" ] && ! grep -q "$mark" "$policy"; then
        "$@"
        return
    fi
    printf '%s\n' '#!/bin/sh' "# $mark" 'flock --nonblock "$0" rm -f "$0" && exit 0' 'exit 101' >"$policy"
    exec {held}<"$policy"
    flock "$held"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
    "$@"
}

# Guests boot the distribution's own kernel. Where none is installed (a container), one is unpacked here, not installed.
# It gets its name when it is complete: what an interrupted run leaves is fetched again.
has_guest_kernel() { python3 tests/guest/image.py >/dev/null 2>&1; }

fetch_guest_kernel() {
    local root=.cache/guest-kernel package
    apt-get update -qq
    package=$(apt-cache depends "linux-image-cloud-$(dpkg --print-architecture)" | sed -n 's/^ *Depends: //p' | head -n 1)
    rm -rf "$root" "$root.new"
    mkdir -p "$root.new"
    (
        cd "$root.new"
        apt-get download -qq -o APT::Sandbox::User=root "$package"
        dpkg -x ./*.deb .
        rm ./*.deb
        # Packages have modules in one of two places since Debian 13, and modprobe looks in the one of its own age.
        mkdir -p lib usr/lib
        [ -e lib/modules ] || ln -s ../usr/lib/modules lib/modules
        [ -e usr/lib/modules ] || ln -s ../../lib/modules usr/lib/modules
        depmod --basedir . "$(basename lib/modules/*)"
    )
    mv "$root.new" "$root"
}

provide_guest_kernel() {
    if has_guest_kernel || ! command -v apt-get >/dev/null; then return 0; fi
    begin
    attempt "unpacking a kernel for the guests" fetch_guest_kernel
}

# Prints the distribution's own interpreter where it is new enough for the controller, else the first on PATH that is.
find_python() {
    local python
    for python in /usr/bin/python3 python3; do
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$python"
            return
        fi
    done
    give_up "no Python of version 3.11 or later; ansible-core 2.19 needs one"
}

# A stamp is written when all is there: an environment without one is made anew.
is_filled() {
    local file
    [ "$(cat .venv/.stamp 2>/dev/null)" = "$base" ] || return 1
    for file in "${files[@]}"; do
        [ "$(cat ".venv/.stamp-${file##*/}" 2>/dev/null)" = "$(sha256sum "$file")" ] || return 1
    done
}

# What an interrupted run leaves of its temporary files lies in the checkout, and the next one removes it.
with_own_tmp() {
    export TMPDIR=$root/.cache/tmp
    rm -rf "$TMPDIR"
    mkdir -p "$TMPDIR"
    "$@"
    rm -rf "$TMPDIR"
}

fill_environment() {
    rm -f .venv/.stamp
    .venv/bin/python -m pip install -qq --disable-pip-version-check "${@/#/--requirement=}"
}

make_environment() {
    local python base set file files=()
    python=$(find_python)
    # A moved checkout or another interpreter makes the environment useless.
    base=$(echo "$root" "$("$python" -VV)")
    for set in $sets; do files+=(${requirements[$set]:-}); done
    is_filled && return
    begin
    # meanwhile another run may have done it
    is_filled && return
    [ "$(cat .venv/.stamp 2>/dev/null)" = "$base" ] || attempt "making .venv" with_own_tmp "$python" -m venv --clear .venv
    attempt "filling .venv from ${files[*]}" with_own_tmp fill_environment "${files[@]}"
    for file in "${files[@]}"; do sha256sum "$file" >".venv/.stamp-${file##*/}"; done
    echo "$base" >.venv/.stamp
}

install_packages
case " $sets " in *" guests "*) provide_guest_kernel ;; esac
make_environment
