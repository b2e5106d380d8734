#!/usr/bin/env bash
# Lets a hosted runner have a lab: user namespaces for everybody, and the modules that its TUN devices and redirects need.
set -euo pipefail
sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0
sudo modprobe -a tun sch_ingress cls_u32 act_mirred
