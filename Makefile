# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

.DEFAULT_GOAL := help
.PHONY: help setup demo test unit kernel kernels lint docs sanity integration molecule coverage matrix torture release bench recording clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 20

setup: ## install what all other targets need: packages and .venv
	@tools/setup.sh

setup-%:
	@tools/setup.sh $*

demo: ## guests on taps behind a reflecting switch, in a lab of namespaces (root)
	@setpriv --pdeathsig TERM tools/demo.sh

test: ## everything that CI checks (root)
	@tools/test.sh

unit: setup-unit ## unit tests
	@tools/unit.sh

kernel: setup-kernel ## tests of the modules against this machine's kernel, in the lab (root)
	@tools/kernel.sh

kernels: setup ## the tests on kernels of Debian 12 and 13 in virtual machines, KERNELS="6.1 7" for others (root)
	@tools/kernels.sh $(KERNELS)

lint: setup-lint ## static checks
	@tools/lint.sh

docs: setup-docs ## the documentation as a site of pages, in .cache/docs/html
	@tools/docs.sh

sanity: setup-sanity ## ansible-test sanity
	@tools/sanity.sh

integration: setup-integration ## integration targets of the modules, on a veth pair of their own (root)
	@tools/integration.sh

molecule: setup-molecule ## molecule scenarios of the roles, in the lab (root)
	@tools/molecule.sh

coverage: setup-coverage ## lines and branches of plugins/ that the tests run (root)
	@tools/coverage.sh

matrix: setup-matrix ## sanity, unit and integration tests on all versions of ansible-core, Python and libraries (root)
	@tools/matrix.sh

torture: setup-torture ## faults, races and random examples for an hour and a half, see tools/torture.sh (root)
	@tools/torture.sh

release: setup-release ## build the archive, install it as a user would and run the playbook of README from it (root)
	@tools/release.sh

bench: setup-bench ## side by side with ip, libvirt and a loop over ip; takes an hour on an idle machine (root)
	@tools/bench.sh

recording: setup ## docs/images/demo.svg: make demo, as it plays in a browser (root)
	@.venv/bin/python tools/record.py docs/images/demo.svg make demo

clean: ## remove what setup and the tests have made in the checkout
	@rm -rf .venv .cache .ansible tests/output
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
