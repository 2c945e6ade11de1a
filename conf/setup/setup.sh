#!/usr/bin/env bash
# Everything that `make run` and `make test` need, done once: system parts, .venv with the pinned
# packages, Horovod, Delta's jars, truelift itself. A second call sees that nothing changed and
# returns at once, without the network.
#
#   PYTHON=python3.12   the interpreter; without it, that of .venv, or else the machine's
#   TRUELIFT_GPU=1      CUDA and NCCL too; stays so for this .venv until TRUELIFT_GPU=0
source "$(dirname "${BASH_SOURCE[0]}")/phases.sh"
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# A make above this one must not hand its job slots to the builds below.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES PYTHONPATH PYTHONHOME VIRTUAL_ENV
export UV_PYTHON_DOWNLOADS=never PIP_DISABLE_PIP_VERSION_CHECK=1
readonly scripts=conf/setup requirements=conf/requirements
readonly stamp=.venv/.truelift-setup java_file=.venv/.truelift-java gpu_file=.venv/.truelift-gpu

if [[ -z ${TRUELIFT_GPU:-} && -f $gpu_file ]]; then
    TRUELIFT_GPU=$(<"$gpu_file")
fi
export TRUELIFT_GPU=${TRUELIFT_GPU:-0}
lock=$requirements/run-dev.lock
[[ $TRUELIFT_GPU != 1 ]] || lock=$requirements/gpu.lock

# interpreter PYTHON: its version and where it is installed, the same within and without a venv.
interpreter() {
    "$1" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3], sys.base_prefix)' 2>/dev/null
}

fingerprint() {
    {
        cat "$scripts"/*.sh "$lock" "$requirements"/{uv,build,horovod}.lock \
            "$requirements/jars.sha256" setup.py
        printf '%s\n' "$PWD" "$cache_folder" "${TRUELIFT_JARS:-}" "$TRUELIFT_GPU"
    } | sha256sum
}

up_to_date() {
    local delta
    [[ -x .venv/bin/python && -f $stamp && $(<"$stamp") == "$(fingerprint)" ]] || return 1
    [[ -z ${PYTHON:-} || $(interpreter "$PYTHON") == "$(interpreter .venv/bin/python)" ]] || return 1
    [[ -x $(<"$java_file")/bin/java ]] || return 1
    delta=$(sed -nE 's/^delta-spark==([^ ;]+).*/\1/p' "$lock")
    compgen -G "${TRUELIFT_JARS:-$cache_folder/jars/delta-$delta}/*delta-spark*.jar" >/dev/null
}

environment() {
    local python=$1
    if [[ -e .venv && $(interpreter .venv/bin/python) != "$(interpreter "$python")" ]]; then
        rm -rf .venv
    fi
    [[ -x .venv/bin/python && -x .venv/bin/pip ]] || "$python" -m venv --clear .venv
    .venv/bin/python -m pip install --quiet --require-hashes --requirement "$requirements/uv.lock"
}

if up_to_date; then
    exit 0
fi
rm -f "$stamp"
if [[ -z ${PYTHON:-} && -x .venv/bin/python ]]; then
    PYTHON=$(.venv/bin/python -c 'import sys; print(sys._base_executable)')
    export PYTHON
fi
chosen=$(mktemp)
trap 'rm -f "$chosen"' EXIT
"$scripts/system.sh" "$chosen"
{ read -r python; read -r java_home; } <"$chosen"
export JAVA_HOME=$java_home

phase "environment .venv and uv" environment "$python"
phase "packages of $lock" .venv/bin/uv pip sync --python .venv/bin/python --require-hashes "$lock"
"$scripts/horovod.sh" .venv/bin/python
"$scripts/jars.sh" .venv/bin/python
phase "truelift itself, editable" .venv/bin/uv pip install \
    --python .venv/bin/python --offline --no-deps --no-build-isolation --editable .
# Where Python may not keep bytecode (PYTHONDONTWRITEBYTECODE, as in many images), each process
# would compile thousands of modules anew: TensorFlow's and MLflow's imports take twice as long.
# uv compiles what a call of it installs, and nothing that is there already; this finds all.
phase "everyone's bytecode" .venv/bin/python -m compileall -q -j 0 \
    "$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')" lib
(phase "keeping the Java classes of Spark's start" .venv/bin/python -c \
    'from truelift.lake.class_archive import make_archive; make_archive()') ||
    say "  Java would not keep them; Spark starts all the same, some seconds later"
printf '%s\n' "$java_home" >"$java_file"
printf '%s\n' "$TRUELIFT_GPU" >"$gpu_file"
fingerprint >"$stamp"
say "ready"
