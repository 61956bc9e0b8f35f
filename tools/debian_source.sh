#!/usr/bin/env bash
# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# To be sourced: Debian root file systems from the mirror in this machine's apt sources.

debian_keys=/usr/share/keyrings/debian-archive-keyring.gpg

# The first address among the apt sources of Debian's archive that has this label.
debian_source() {
    apt-get indextargets --format '$(LABEL)|$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' |
        sed -n "s/^${1:-[^|]*}|//p" | head -n 1
}

# The address of the archive; ends the script where there is none.
debian_archive() {
    local archive
    [ -n "$(debian_source)" ] || apt-get update -qq
    archive=$(debian_source Debian)
    if [ -z "$archive" ] || [ ! -e "$debian_keys" ]; then
        echo "${0##*/}: needs Debian's archive in this machine's apt sources, and $debian_keys" >&2
        return 1
    fi
    echo "$archive"
}

# How this machine reaches the mirror holds inside as well.
debian_settings() {
    apt-config dump --no-empty --format '%F "%v";%n' Acquire::http Acquire::https Acquire::Check-Valid-Until
}

# debian_root SUITE DIRECTORY PACKAGES [OPTION...]: a minimal root file system; options are mmdebstrap's
debian_root() {
    local suite=$1 new=$2 include=$3 archive security sources
    shift 3
    archive=$(debian_archive)
    security=$(debian_source Debian-Security)
    command -v mmdebstrap >/dev/null || apt-get install -qq -y --no-install-recommends mmdebstrap >/dev/null
    sources=("deb $archive $suite main" "deb $archive $suite-updates main")
    [ -z "$security" ] || sources+=("deb $security $suite-security main")
    debian_settings >"$new.apt"
    mmdebstrap --quiet --mode=root --variant=minbase --include="$include" --keyring="$debian_keys" --aptopt="$new.apt" \
        "$@" "$suite" "$new" "${sources[@]}" >"$new.log" 2>&1 || {
        tail -n 5 "$new.log" >&2
        echo "${0##*/}: mmdebstrap failed, see $new.log; when it misses a key: apt-get install debian-archive-keyring" >&2
        return 1
    }
}
