# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""The script that carries out the batch files of :mod:`_boot.files` at boot, as text. PURE.

``ip -batch`` alone does not know what it works on: when another link has the index, ``link set dev ifN`` means that
one, and when another network namespace has ``/dev/tapN``, the guest's path is that namespace's device.
"""

from __future__ import annotations

from .._core.identity import VLAN_MARK

_NOT_ITS_OWN = (
    "macvtap: /dev/tap$index is not the tap of $name, but a device of another network namespace or a file: $found. The"
    " link was removed again. End the process that has it ('lsns --type=net' lists network namespaces), or remove the"
    " file; then start this unit again"
)
_MTU_TOO_SMALL = (
    "macvtap: lower device $lower has MTU $mtu, less than the boot files have for (name and MTU): $large. Raise that"
    " of $lower, then start this unit again"
)
_AMBIGUOUS = (
    "macvtap: $found all match what the boot files know of lower device $device: its name and $words. No link was made"
    " on any of them; run macvtap_attach and then macvtap_persist, which write the one that is meant"
)
_NO_FUNCTION = (
    "macvtap: $lower is no virtual function, or its physical function refuses what $boot/$device.vf has for it (see the"
    " message above), so its link stays down"
)
_NOT_SILENT = "macvtap: IPv6 cannot be switched off (name and interface index), so these stay down: $loud"
_UNGUARDED = (
    "macvtap: left down, since nft could not set the guard (name and interface index): $bare. See its message above;"
    " then start this unit again"
)
_NOT_UP = "macvtap: not there, or not usable (name and interface index): $bad"
LINKS_SCRIPT = r"""
# links.sh create DEVICE: brings DEVICE up, and creates the VLAN devices of DEVICE.vlan and the links of DEVICE.create,
# down, each with its own tap as node.
# links.sh up DEVICE: carries out DEVICE.limit and DEVICE.vf, if they are there, and DEVICE.up.
# A DEVICE that has another name now is found by what DEVICE.create knows of it; where two match, nothing is made.
# A link is meant only if name, index and kind agree: another link that has one of them is left alone.

boot=/etc/macvtap/boot
rules=/etc/udev/rules.d/90-macvtap.rules
verb=$1
device=$2
set -f

# "NAME INDEX" of every link
links=$(sed -n 's/^link add .* name \([^ ]*\) index \([0-9]*\) .*/\1 \2/p' "$boot/$device.create")

with_name() { # NAME: the device with this name or alternative name
    ip -o link show dev "$1" 2>/dev/null | sed 's/^[0-9]*: \([^:@]*\).*/\1/'
}

with_mac() { # MAC: the devices with this permanent MAC, which is shown where it is not the MAC
    ip -o link show | sed -n "
        s/^[0-9]*: \([^:@]*\).* permaddr $1\>.*/\1/p; t
        / permaddr /! s/^[0-9]*: \([^:@]*\).* link\/ether $1 .*/\1/p" |
    while read -r name; do
        [ ! -e "/sys/class/net/$name/device" ] || echo "$name"
    done
}

matching() { # the devices that DEVICE may be
    named=$(with_name "$device")
    known=$(for word in $words; do
        case $word in
        mac:*) with_mac "${word#mac:}" ;;
        *) with_name "$word" ;;
        esac
    done)
    if [ -n "$named" ] && { [ -z "$known" ] || echo "$known" | grep -qxF "$named"; }; then
        echo "$named"
    else
        printf '%s\n' $named $known | sort -u
    fi
}

number_file() { # NAME INDEX
    file=/sys/class/net/$1/macvtap/tap$2/dev
}

is_here() { # NAME INDEX
    number_file "$1" "$2"
    [ -r "$file" ]
}

those() { # here|absent: of the links on standard input
    while read -r name index; do
        [ -n "$name" ] || continue
        if is_here "$name" "$index"; then [ "$1" = here ]; else [ "$1" = absent ]; fi && echo "$name $index"
    done
}

lines() ( # FILE VERB LINKS: the lines with this verb that are about these links
    for index in $(echo "$3" | sed 's/.* //'); do
        eval "chosen_$index=yes"
    done
    grep "^link $2 " "$1" | while IFS= read -r line; do
        case $2 in
        add) index=${line#* index } ;;
        limit | vf) index=${line#"link $2 if"} ;;
        *) index=${line#link set dev if} ;;
        esac
        eval "chosen=\${chosen_${index%% *}-}"
        [ -z "$chosen" ] || printf '%s\n' "$line"
    done | on_lower
)

on_lower() { # lines on standard input, with the name that DEVICE has now
    sed "s/^link add link [^ ]* /link add link $lower /"
}

make_node() { # INDEX MAJOR MINOR: where the kernel made none, as in a container without devtmpfs
    mknod -m 600 "/dev/tap$1" c "$2" "$3" || return
    sed -n 's/.* KERNEL=="tap'"$1"'", OWNER="\([^"]*\)", GROUP="\([^"]*\)", MODE="\([^"]*\)".*/\1 \2 \3/p' "$rules" |
    while read -r owner group mode; do
        chown "$owner:$group" "/dev/tap$1" && chmod "$mode" "/dev/tap$1"
    done
}

own_nodes() { # LINKS: their taps, as "INDEX MAJOR:MINOR"
    echo "$1" | while read -r name index; do
        number_file "$name" "$index"
        read -r number <"$file" && echo "$index $number"
    done
}

found_nodes() { # LINKS: the character devices at their paths, in the same form
    ls -lnd $(echo "$1" | sed 's/.* /\/dev\/tap/') 2>/dev/null |
        sed -n 's/^c[^,]* \([0-9]*\), *\([0-9]*\) .* \/dev\/tap\([0-9]*\)$/\3 \1:\2/p'
}

not_their_own() { # LINKS that are here: those at whose path lies something else than their tap
    [ -n "$1" ] || return
    found=$(found_nodes "$1")
    # what is found counts twice, so that what is left alone was wanted only
    { own_nodes "$1"; echo "$found"; echo "$found"; } | sort | uniq -u | while read -r index number; do
        path=/dev/tap$index
        [ -e "$path" ] || [ -L "$path" ] || { make_node "$index" "${number%:*}" "${number#*:}" && continue; }
        echo "$1" | grep " $index$"
    done
}

named() { # host|vlan: those links of DEVICE.host or DEVICE.vlan that are not there, each with all that is its own
    [ -r "$boot/$device.$1" ] || return 0
    sed -n 's/^link add .* name \([^ ]*\) .*/\1/p' "$boot/$device.$1" | while read -r name; do
        [ -e "/sys/class/net/$name" ] ||
            grep -F -e " name $name " -e " dev $name " "$boot/$device.$1" | on_lower | ip -batch -
    done
}

limit() ( # LINKS: their bandwidth
    [ -e "$boot/$device.limit" ] || return 0
    commands=$(lines "$boot/$device.limit" limit "$1" | sed 's/^link limit [^ ]* //')
    {
        echo "$commands" | grep '^link add ' | while read -r line; do
            name=${line#link add name }
            [ -e "/sys/class/net/${name%% *}" ] || echo "$line"
        done
        echo "$commands" | grep '^link set '
    } | ip -force -batch - && echo "$commands" | grep '^[qf]' | tc -force -batch -
)

virtual_function() ( # LINKS: what the physical function of DEVICE is to do for it
    [ -e "$boot/$device.vf" ] || return 0
    function=/sys/class/net/$lower/device
    owner=$(ls "$function/physfn/net" 2>/dev/null)
    number=$(ls "$function/physfn" 2>/dev/null | sed -n 's/^virtfn//p' | while read -r each; do
        [ ! "$function/physfn/virtfn$each" -ef "$function" ] || echo "$each"
    done)
    [ -n "$owner" ] && [ -n "$number" ] &&
        lines "$boot/$device.vf" vf "$1" | sed "s/^link vf [^ ]*/link set dev $owner vf $number/" | ip -batch -
)

await_mtu() { # LARGEST: a network manager may set the MTU of DEVICE some time after it has started
    for _second in $(seq 30); do
        read -r mtu <"/sys/class/net/$lower/mtu" && [ "$mtu" -lt "$1" ] || return
        alias=
        read -r alias 2>/dev/null <"/sys/class/net/$lower/ifalias"
        # a VLAN device of ours keeps the MTU that its own lower device had
        [ "$alias" = "@VLAN_MARK@" ] && ip link set dev "$lower" mtu "$1" 2>/dev/null && continue
        sleep 1
    done
}

fitting() { # lines on standard input, without MTUs that are more than that of DEVICE
    while IFS= read -r line; do
        case $line in
        *" mtu "*) [ "${line##* }" -le "$mtu" ] || continue ;;
        esac
        printf '%s\n' "$line"
    done
}

not_silent() { # of the links that are here and must be silent, those that have IPv6
    sed -n 's/^link add .* name \([^ ]*\) index \([0-9]*\) .* arp off .*/\1 \2/p' "$boot/$device.create" | those here |
    while read -r name index; do
        off=
        # a sysctl ends without the line's end for a shell that reads byte by byte, so the status says nothing
        read -r off 2>/dev/null <"/proc/sys/net/ipv6/conf/$name/disable_ipv6"
        [ "$off" != 0 ] || echo "$name $index"
    done
}

guard() ( # LINKS: their guards, which must be there before they are up
    [ -e "$boot/$device.guard" ] || return 0
    for index in $(echo "$1" | sed 's/.* //'); do
        eval "chosen_$index=yes"
    done
    grep -v '^#' "$boot/$device.guard" | while IFS= read -r line; do
        chosen=yes
        case $line in
        *' # '*) eval "chosen=\${chosen_${line##* # }-}" ;;
        esac
        [ -z "$chosen" ] || printf '%s\n' "$line"
    done | nft -f -
)

unguarded() { # LINKS: those that are to have a guard and have none
    [ -e "$boot/$device.guard" ] || return 0
    wanted=$(sed -n 's/^# guard of \([0-9]*\):.*/-\1-/p' "$boot/$device.guard")
    found=$(nft list chains netdev | sed -n 's/.*chain link_\([0-9]*\) .*/-\1-/p')
    echo "$1" | while read -r name index; do
        case $wanted in
        *"-$index-"*) case $found in *"-$index-"*) ;; *) echo "$name $index" ;; esac ;;
        esac
    done
}

words=$(sed -n 's/^# lower device: //p' "$boot/$device.create")
found=$(matching)
lower=${found:-$device}
if [ "$(echo "$found" | wc -l)" -gt 1 ]; then
    found=$(echo $found)
    [ "$verb" = create ] || echo "@AMBIGUOUS@" >&2
    exit 1
fi

case $verb in
create)
    ip link set dev "$lower" up
    named vlan
    new=$(echo "$links" | those absent)
    [ -z "$new" ] || lines "$boot/$device.create" add "$new" | ip -force -batch -
    # A program that opens the path would get another tap. Without the link no guest starts, libvirt's neither.
    not_their_own "$(echo "$new" | those here)" | while read -r name index; do
        found=$(ls -ld "/dev/tap$index")
        echo "@NOT_ITS_OWN@" >&2
        ip link delete dev "if$index"
    done
    lines "$boot/$device.create" set "$(echo "$links" | those here)" | ip -force -batch -
    # also those that an earlier start left without
    bare=$({ echo "$new" | those here; unguarded "$(echo "$links" | those here)"; } | sort -u)
    [ -z "$bare" ] || guard "$bare"
    named host
    ;;
up)
    here=$(echo "$links" | those here)
    limit "$here" || exit 1
    virtual_function "$here" || { echo "@NO_FUNCTION@" >&2; exit 1; }
    bare=$(unguarded "$here")
    mtus=$(sed -n 's/^link set dev if\([0-9]*\) mtu \([0-9]*\)$/\2 \1/p' "$boot/$device.up" | sort -n)
    largest=$(echo "$mtus" | sed -n '$s/ .*//p')
    mtu=0
    await_mtu "${largest:-0}"
    loud=$(not_silent)
    usable=$(echo "$here" | grep -vxF "${loud:-none}" | grep -vxF "${bare:-none}")
    lines "$boot/$device.up" set "$usable" | fitting | ip -force -batch - || exit 1
    failed=
    bad=$(echo "$links" | those absent; not_their_own "$here")
    [ -z "$bad" ] || { echo "@NOT_UP@" >&2; failed=yes; }
    [ -z "$bare" ] || { echo "@UNGUARDED@" >&2; failed=yes; }
    [ -z "$loud" ] || { echo "@NOT_SILENT@" >&2; failed=yes; }
    if [ "$mtu" -lt "${largest:-0}" ]; then
        large=$(echo "$mtus" | while read -r each index; do
            [ "$each" -le "$mtu" ] || echo "$links" | sed -n "s/ $index\$/ $each/p"
        done)
        echo "@MTU_TOO_SMALL@" >&2
        failed=yes
    fi
    [ -z "$failed" ] || exit 1
    ;;
esac
"""
LINKS_SCRIPT = LINKS_SCRIPT.replace("@NOT_ITS_OWN@", _NOT_ITS_OWN).replace("@NOT_UP@", _NOT_UP)
LINKS_SCRIPT = LINKS_SCRIPT.replace("@UNGUARDED@", _UNGUARDED).replace("@AMBIGUOUS@", _AMBIGUOUS)
LINKS_SCRIPT = LINKS_SCRIPT.replace("@VLAN_MARK@", VLAN_MARK)
LINKS_SCRIPT = LINKS_SCRIPT.replace("@NO_FUNCTION@", _NO_FUNCTION)
LINKS_SCRIPT = LINKS_SCRIPT.replace("@NOT_SILENT@", _NOT_SILENT).replace("@MTU_TOO_SMALL@", _MTU_TOO_SMALL)
