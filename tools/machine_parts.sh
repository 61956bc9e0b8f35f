#!/usr/bin/env bash
# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# machine_parts.sh root SUITE | kernel VERSION | qemu: builds what whole virtual machines are made of, once, and prints
# its path. All of it comes from the mirror in this machine's apt sources, by apt, and lies in $MACHINES (default:
# .cache/machines):
#
# - root: an ext4 image of Debian SUITE (bookworm, trixie) with systemd, udev and the usual network managers;
# - kernel: a directory with tree, an unpacked kernel package, and modules.ext4; VERSION is the beginning of any
#   version in bookworm, trixie or their backports, the newest counts: 6.1, 6.12.95, 7;
# - qemu: a directory with a QEMU that knows the SR-IOV card igb; empty where the installed one does.
set -euo pipefail

# shellcheck source=tools/surroundings.sh
. "$(dirname "$0")/surroundings.sh"
tools/need_root.sh machine_parts
# shellcheck source=tools/debian_source.sh
. tools/debian_source.sh

parts=${MACHINES:-$root/.cache/machines}
archive_suites=(bookworm bookworm-backports trixie trixie-updates trixie-backports)
in_root=(
    systemd systemd-sysv udev dbus kmod iproute2 iputils-ping procps ethtool tcpdump less
    openssh-server python3 python3-lxml python3-pyroute2 nftables ifupdown network-manager iw
)
# What drives no link and no disk of a virtual machine.
left_out=(drivers/{ata,gpu,hid,hwmon,iio,infiniband,input,media,scsi,staging,usb} sound)

say() { echo "machine_parts: $*" >&2; }

# --- packages of suites that this machine's own apt does not list

private_apt() {
    local directory=$parts/apt archive suite
    export APT_CONFIG=$directory/apt.conf
    [ -z "$(find "$directory/updated" -mmin -720 2>/dev/null)" ] || return 0
    archive=$(APT_CONFIG='' debian_archive)
    mkdir -p "$directory"/{etc/{apt.conf.d,preferences.d,trusted.gpg.d},state/lists/partial,cache/archives/partial}
    : >"$directory/status"
    {
        APT_CONFIG='' debian_settings
        printf '%s;\n' "Dir \"$directory\"" 'Dir::Etc "etc"' 'Dir::State "state"' 'Dir::Cache "cache"' \
            "Dir::State::status \"$directory/status\"" 'APT::Sandbox::User "root"' 'Acquire::Languages "none"'
    } >"$APT_CONFIG.new"
    mv "$APT_CONFIG.new" "$APT_CONFIG"
    for suite in "${archive_suites[@]}"; do
        echo "deb [signed-by=$debian_keys] $archive $suite main"
    done >"$directory/etc/sources.list"
    apt-get update -qq
    touch "$directory/updated"
}

# unpack DIRECTORY PACKAGE...: beside the installed ones
unpack() {
    local directory=$1 package
    shift
    mkdir -p "$directory/debs"
    (cd "$directory/debs" && apt-get download -qq "$@")
    for package in "$directory"/debs/*.deb; do dpkg -x "$package" "$directory"; done
    rm -r "$directory/debs"
}

# --- root

build_root() {
    local suite=$1 image=$parts/$1.ext4 new=$parts/$1.new include
    [ ! -e "$image" ] || return 0
    say "building the root of Debian $suite"
    rm -rf --one-file-system "$new"
    include=$(IFS=, && echo "${in_root[*]}")
    debian_root "$suite" "$new" "$include" --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --aptopt='APT::Install-Recommends "false"'
    quieten "$new"
    image_of "$new" "$image" 1024
    rm -rf --one-file-system "$new" "$new".*
}

# Nothing configures links or fetches anything unless a test asks for it.
quieten() {
    local tree=$1 unit
    for unit in NetworkManager NetworkManager-wait-online NetworkManager-dispatcher networking nftables \
        systemd-networkd systemd-networkd-wait-online systemd-timesyncd wpa_supplicant \
        {apt-daily,apt-daily-upgrade,dpkg-db-backup,e2scrub_all,fstrim}.timer e2scrub_reap; do
        chroot "$tree" systemctl -q disable "$unit" 2>/dev/null || true
    done
    : >"$tree/etc/machine-id"
    rm -rf "$tree/var/lib/apt/lists" "$tree/var/cache/apt" "$tree/etc/network/interfaces.d/"*
}

# image_of TREE IMAGE MIB: an ext4 image with this much free space
image_of() {
    local size
    size=$(du -sm "$1" | cut -f 1)
    rm -f "$2.new"
    truncate -s $((size + size / 8 + $3))M "$2.new"
    mkfs.ext4 -q -F -m 0 -E lazy_itable_init=1 -d "$1" "$2.new"
    mv "$2.new" "$2"
}

# --- kernel

# The newest package whose version begins like this.
kernel_package() {
    local wanted=${1//./\\.} found
    found=$(apt-cache pkgnames linux-image- | grep -E "^linux-image-$wanted([.+-][^-]*)*(-[0-9]+)?-amd64$" |
        grep -v -- '-cloud-' | grep -v -- '-rt-' | sort -V | tail -n 1)
    [ -n "$found" ] || {
        say "no kernel $1 in ${archive_suites[*]}"
        exit 1
    }
    echo "$found"
}

build_kernel() {
    local package version needed directory new modules
    private_apt
    package=$(kernel_package "$1")
    version=${package#linux-image-}
    directory=$parts/kernels/$version
    result=$directory
    [ ! -d "$directory" ] || return 0
    say "unpacking Linux $version"
    new=$directory.new
    rm -rf "$new"
    mkdir -p "$new/tree"
    # since 7.0 the kernel and its modules are packages of their own
    mapfile -t needed < <(apt-cache depends "$package" | sed -nE "s/^ *Depends: (linux-(binary|modules)-.*)/\1/p")
    unpack "$new/tree" "$package" "${needed[@]}"
    # in one of two places since Debian 13
    [ -e "$new/tree/lib/modules" ] || ln -s usr/lib "$new/tree/lib"
    modules=$new/tree/lib/modules/$version
    rm -rf "${left_out[@]/#/$modules/kernel/}"
    depmod -b "$new/tree" "$version"
    image_of "$new/tree/lib/modules" "$new/modules.ext4" 8
    mv "$new" "$directory"
}

# --- QEMU

build_qemu() {
    result=$parts/qemu
    [ ! -d "$result" ] || return 0
    mkdir -p "$result.new"
    if ! command -v qemu-img >/dev/null || ! qemu-system-x86_64 -device help 2>/dev/null | grep -q '"igb"'; then
        say "unpacking a QEMU that has igb"
        private_apt
        # of this distribution's backports, so that the installed libraries serve it
        unpack "$result.new" qemu-{system-x86,system-common,system-data,utils}/"$(. /etc/os-release && echo "$VERSION_CODENAME")-backports"
    fi
    mv "$result.new" "$result"
}

[ $# -ge 1 ] || {
    sed -n 's/^# \(machine_parts.sh .*\): .*/usage: tools\/\1/p' "$0" >&2
    exit 2
}
mkdir -p "$parts/kernels"
exec {lock}>"$parts/lock-$1${2:+-$2}"
flock "$lock"
(
    flock 9
    [ -e "$parts/key" ] || ssh-keygen -q -t ed25519 -N '' -C machine -f "$parts/key"
) 9>"$parts/lock-key"
result=$parts/${2:-}.ext4
"build_$1" "${@:2}"
echo "$result"
