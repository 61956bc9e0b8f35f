#!/usr/bin/env bash
# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# setup.sh [demo]: installs what the demo (with "demo") or everything needs, and only what is missing:
# distribution packages (Debian and its kin, as root) and the virtual environment .venv. Quick when all is there.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
requirements=(tests/requirements.txt)
[ "${1:-}" = demo ] || requirements+=(tests/requirements-lint.txt)

# git and make: the checks copy the tracked files. kmod: the kernel loads macvtap and friends on demand.
packages=(git iproute2 kmod make mount procps python3 python3-venv util-linux)
# Guests: QEMU, and what their image is made of.
packages+=(busybox-static qemu-system-x86)
# Clients and neighbours of our links, for the tests.
[ "${1:-}" = demo ] || packages+=(dhcpcd-base libvirt-clients libvirt-daemon-system network-manager systemd udev)

install_packages() {
    command -v dpkg-query >/dev/null || return 0
    local missing=() package
    for package in "${packages[@]}"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        echo "setup: these packages are missing and only root can install them: ${missing[*]}" >&2
        exit 1
    fi
    echo "setup: installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    without_starting_services apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
}

# The tests start what they need themselves, in namespaces of their own: no package may start a daemon here.
without_starting_services() {
    local policy=/usr/sbin/policy-rc.d
    if [ -e "$policy" ]; then
        "$@"
        return
    fi
    trap "rm -f $policy" EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    "$@"
    rm -f "$policy"
    trap - EXIT
}

# Guests boot the distribution's own kernel. Where none is installed (a container), one is unpacked here, not installed.
fetch_guest_kernel() {
    local root=.cache/guest-kernel package
    if compgen -G '/boot/vmlinuz-*' >/dev/null || compgen -G "$root/boot/vmlinuz-*" >/dev/null; then return; fi
    command -v apt-get >/dev/null || return 0
    echo "setup: unpacking a kernel for the guests"
    apt-get update -qq
    package=$(apt-cache depends "linux-image-cloud-$(dpkg --print-architecture)" | sed -n 's/^ *Depends: //p' | head -n 1)
    mkdir -p "$root"
    (cd "$root" && apt-get download -qq -o APT::Sandbox::User=root "$package" && dpkg -x ./*.deb . && rm ./*.deb)
    depmod --basedir "$root" "$(basename "$root"/lib/modules/*)"
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
    echo "setup: no Python of version 3.11 or later; ansible-core 2.19 needs one" >&2
    exit 1
}

make_environment() {
    local python base file wanted
    python=$(find_python)
    # A moved checkout or another interpreter makes the environment useless.
    base=$(echo "$root" "$("$python" -VV)")
    [ "$(cat .venv/.stamp 2>/dev/null)" = "$base" ] || "$python" -m venv --clear .venv
    echo "$base" >.venv/.stamp
    for file in "${requirements[@]}"; do
        wanted=$(sha256sum tests/requirements.txt "$file")
        [ "$(cat ".venv/.stamp-${file##*/}" 2>/dev/null)" != "$wanted" ] || continue
        echo "setup: filling .venv from $file"
        .venv/bin/python -m pip install -qq --disable-pip-version-check -r tests/requirements.txt -r "$file"
        echo "$wanted" >".venv/.stamp-${file##*/}"
    done
}

install_packages
fetch_guest_kernel
make_environment
