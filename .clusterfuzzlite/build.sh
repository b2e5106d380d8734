#!/usr/bin/env bash
# Puts a fuzzer for each target into $OUT: fuzz_TARGET with its seeds, dictionary and options. ClusterFuzzLite sets SRC
# and OUT, and provides pip3 and compile_python_fuzzer.
set -euo pipefail

project=$SRC/tunproof
seeds=$project/corpora/seeds
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

pip3 install "$project" # atheris is in the image

cd "$work" # not beside the sources: use the installed package
python3 -c 'from tunfuzz.targets import TARGETS
for target in TARGETS.values(): print(target.name, target.max_length)' >targets

while read -r target max_length; do
    fuzzer=fuzz_$target
    sed "s/@TARGET@/$target/" "$project/.clusterfuzzlite/fuzzer.py.in" >"$fuzzer.py"
    compile_python_fuzzer "$fuzzer.py" </dev/null

    mkdir "$target"
    cp "$seeds/$target"/* "$target"
    mv "$target/$target.dict" "$OUT/$fuzzer.dict"
    rm -f "$OUT/${fuzzer}_seed_corpus.zip"
    python3 -m zipfile -c "$OUT/${fuzzer}_seed_corpus.zip" "$target"/*
    printf '[libfuzzer]\nmax_len = %d\n' "$max_length" >"$OUT/$fuzzer.options"
done <targets
