#!/usr/bin/env bash
# Makes the locks anew from the *.in files: for every Python from 3.10 on, with hashes, without
# the address of any index. Versions that still fit are kept; UPGRADE=1 takes the newest.
#
#   run-dev.lock   what make installs: truelift's needs, tests, lint, types
#   gpu.lock       the same with CUDA's libraries (TRUELIFT_GPU=1)
#   bench.lock     peers for benchmarks, to be installed over run-dev.lock
#   horovod.lock   Horovod's source;  build.lock: the tools that build it;  uv.lock: the installer
#   jars.sha256    Delta's jars
source "$(dirname "${BASH_SOURCE[0]}")/phases.sh"

python=$(realpath -s "$1")
here=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
cd "$here/../requirements"

compile() {
    local lock=$1
    shift
    phase "$lock" "$(dirname "$python")/uv" pip compile --quiet --python "$python" --universal \
        --python-version 3.10 --generate-hashes --no-header --no-annotate \
        --no-emit-index-url --no-emit-find-links ${UPGRADE:+--upgrade} \
        --output-file "$lock" "$@"
}

compile uv.lock uv.in
compile build.lock build.in
compile horovod.lock --no-deps horovod.in
compile run-dev.lock run.in dev.in
compile gpu.lock --constraints run-dev.lock run.in dev.in gpu.in
compile bench.lock --constraints run-dev.lock bench.in
"$here/jars.sh" "$python" --pin
if grep -nE '://|^--' ./*.lock; then
    fail "a lock holds an address or an option of this machine's index (see above)."
fi
