# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plot: seconds over the number of NICs, for each operation and contender."""

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

#: contender: (label, colour, marker)
LOOKS = {
    "module": ("linuxnet.macvtap, in the module", "#0072b2", "o"),
    "command": ("linuxnet.macvtap, whole ansible command less ping", "#56b4e9", "s"),
    "playbook": ("linuxnet.macvtap, whole playbook less ping", "#999999", "x"),
    "ip -batch": ("ip -batch", "#009e73", "^"),
    "libvirt": ("libvirt, extrapolated", "#d55e00", "D"),
    "Ansible loop": ("Ansible loop over ip, extrapolated", "#cc79a7", "v"),
}
TITLES = {"create": "create", "unchanged": "run again, unchanged", "remove": "remove"}


def draw(results, sizes, reference, path):
    """Draw all of ``results`` into the SVG file ``path``.

    Contenders measured per NIC only, at the size ``reference``, are drawn as a dashed line through it.
    """
    # a plot of the same figures is the same file
    matplotlib.rcParams.update({"svg.hashsalt": "linuxnet.macvtap", "font.size": 9})
    figure, axes = plt.subplots(1, len(TITLES), figsize=(12, 4.6), sharey=True)
    for axis, (operation, title) in zip(axes, TITLES.items()):
        for contender, (label, colour, marker) in LOOKS.items():
            points = [(size, results.figure(contender, operation, size)) for size in sizes]
            points = [(size, point) for size, point in points if point is not None]
            if not points:
                continue
            extrapolated = "extrapolated" in label
            if extrapolated:
                per_nic = results.figure(contender, operation, reference).median / reference
                axis.plot(sizes, [per_nic * size for size in sizes], "--", color=colour, linewidth=1)
            axis.errorbar(
                [size for size, _point in points],
                [point.median for _size, point in points],
                yerr=[
                    [point.median - point.least for _size, point in points],
                    [point.most - point.median for _size, point in points],
                ],
                fmt=marker + ("" if extrapolated else "-"),
                color=colour,
                label=label,
                markersize=5,
                linewidth=1.5,
                capsize=3,
            )
        axis.set_title(title)
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xticks(sizes, [str(size) for size in sizes])
        axis.minorticks_off()
        axis.set_xlabel("NICs")
        axis.grid(True, alpha=0.3)
    axes[0].set_ylabel("seconds, median; bars: least and most")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=3, frameon=False)
    figure.tight_layout(rect=(0, 0.11, 1, 1))
    figure.savefig(path, metadata={"Date": None})
