"""Many kernels: how to get them, and what each of them does.

| module | what it does |
|---|---|
| `kernels` | what a kernel is here, which ones the cache has, and the ones that a user built |
| `order` | the order of Debian's versions |
| `apt` | a sandbox in which apt uses folders of ours, and what its errors mean |
| `suites` | Debian's suites, where the machine gets Debian from, and which suites are unavailable |
| `archive` | the kernel packages that the suites offer, and their download |
| `choose` | which package a name such as `6.12` means, and which other packages belong to it |
| `fetch` | download, unpack, and put into the cache, whole or not at all |
| `cpio` | the archive that a kernel unpacks as its first root |
| `modules` | the modules that labs need, in the order in which they are loaded |
| `runtime` | the Python of this process, packaged for a guest |
| `initramfs` | all of that together |
| `wire` | the messages between host and guest |
| `guest` | what runs in a guest: it makes labs and sends frames to its kernel |
| `machine` | one guest in QEMU |
| `guests` | all guests of a run, so that all can be ended at once |
| `remote` | the kernel of a guest as a device, like the running one |
| `accelerator` | whether KVM works |
| `examine` | the checks run on a kernel |
| `conduct` | kernels, several at a time, each booted and examined; results go to disk at once |
| `compare` | where kernels differ, and which trait explains it |
| `markdown`, `page` | the reports: for a README, for a browser |
| `publish` | all reports of a run, in its folder |
| `confirm` | what such a folder says about the corpus |

Each imports only those above it. Frames are made, predicted and compared on the host, so only the kernel's own work is
emulated, and a guest that dies takes nothing with it.
"""
