"""Mutation testing of the reference, with the golden corpus as the only judge.

The question is not whether the reference is right, but whether the corpus would notice if it were not: a small fault is
put into `reference/tio`, and the cases must detect it. The unit and property tests are not run. What survives is either
a missing case or a change that no test could notice.

    make mutants                                              installs the tool, runs all, writes corpora/MUTANTS.md
    .venv/bin/python tools/mutation/run.py --select checksum  some modules
    .venv/bin/python tools/mutation/run.py --json             one object for machines

Exit codes: 0, at least 95 % are killed, not more than 3 % are argued to be equivalent, and every argument still fits;
1, otherwise; 2, usage; 3, the tool is missing, or the unmutated reference fails.

| file | concern |
|---|---|
| `config` | which modules, which operators and why not the others, thresholds |
| `layout` | where in a source there is behaviour to mutate: not in annotations, type aliases, decorators, strings |
| `mutants` | the tool, cosmic-ray: finds and makes the mutants |
| `worker` | one process that runs the corpus against mutants, each in its own child with limits |
| `pool` | the workers, seen from the driver |
| `equivalent`, `equivalent.toml` | arguments why a survivor cannot be told from the original |
| `report` | summary, JSON, Markdown |
| `run` | the command |

A mutant never touches the checkout: each worker has copies of `reference/tio` and of the harness, corpus included, made
when it starts, so that edits during a run neither kill nor save a mutant. Killed means anything but "every case
agrees": a difference, an exception, too much time or memory. One whose module does not even import is killed too,
but counted separately: that takes no corpus.
"""
