"""Many kernels: how to get them, and what each of them does.

| module | what it does |
|---|---|
| `kernels` | what a kernel is here, which ones the cache has, and the ones that a user built |
| `order` | the order of Debian's versions |
| `apt` | a sandbox in which apt uses folders of ours, and what its complaints mean |
| `suites` | which suites of Debian there are, where the machine gets Debian from, and which suites could not be had |
| `archive` | the kernel packages that the suites offer, and their download |
| `choose` | which package a word such as `6.12` means, and which other packages belong to it |
| `fetch` | download, unpack, and put into the cache, whole or not at all |
"""
