#!/usr/bin/env bash
# Installs Horovod into the environment whose Python is the first argument. The wheel is built
# once against the TensorFlow that is installed there, tried, and kept outside the project:
#
#   ${XDG_CACHE_HOME:-~/.cache}/truelift/wheels/<python tag>-<tensorflow>-<platform>[-nccl]
#
# What the build needs beyond Horovod's own recipe: CMake 3; the include folders of two libraries
# inside TensorFlow's; a header under the name that it had when Horovod 0.28.1 was made; and, for
# GCC 13 and later, two standard headers that its sources forget and one 'const' less (the
# assignment operator of flatbuffers' span writes to that member).
#
#   TRUELIFT_GPU=1   collectives between GPUs through NCCL (needs nvcc: PATH or CUDA_HOME)
source "$(dirname "${BASH_SOURCE[0]}")/phases.sh"

python=$(realpath -s "$1")
uv=$(dirname "$python")/uv
requirements=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../requirements")
flavour=""
[[ ${TRUELIFT_GPU:-} != 1 ]] || flavour=-nccl

key=$("$python" -c '
import importlib.metadata, sys, sysconfig
print("cp%d%d" % sys.version_info[:2], importlib.metadata.version("tensorflow"),
      sysconfig.get_platform(), sep="-")')$flavour
kept=$cache_folder/wheels/$key

# The pinned version and its one hash, as in horovod.lock.
version=$(sed -nE 's/^horovod==([^ ]+).*/\1/p' "$requirements/horovod.lock")

build() {
    local work=$1 site tensorflow jobs memory
    site=$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["platlib"])')
    tensorflow=$site/tensorflow
    "$uv" pip install --quiet --python "$python" --target "$work/tools" \
        --require-hashes --requirements "$requirements/build.lock"
    mkdir -p "$work/include/tensorflow/compiler/xla/client" "$work/wheel"
    echo '#include "xla/hlo/builder/xla_builder.h"' \
        >"$work/include/tensorflow/compiler/xla/client/xla_builder.h"

    # One compiler takes about 1 GiB.
    memory=$(awk '/^MemAvailable:/ { print int($2 / 1048576) }' /proc/meminfo)
    jobs=$(nproc)
    ((jobs <= memory)) || jobs=$((memory > 1 ? memory : 1))

    export MAKEFLAGS=-j$jobs
    export HOROVOD_WITH_TENSORFLOW=1 HOROVOD_WITH_GLOO=1 HOROVOD_WITHOUT_MPI=1
    export HOROVOD_WITHOUT_PYTORCH=1 HOROVOD_WITHOUT_MXNET=1
    local external=$tensorflow/include/external
    export CXXFLAGS="-I$external/highwayhash -I$external/farmhash_archive/src -include cstdint -include stdexcept ${CXXFLAGS:-}"
    export CPLUS_INCLUDE_PATH=$work/include${CPLUS_INCLUDE_PATH:+:$CPLUS_INCLUDE_PATH}
    export PYTHONPATH=$work/tools
    export PATH=$work/tools/bin:$(dirname "$python"):$PATH
    if [[ -n $flavour ]]; then
        # The NCCL wheel has no libnccl.so to link against, and is found at run time beside Horovod.
        mkdir -p "$work/nccl"
        ln -s "$site/nvidia/nccl/lib/libnccl.so.2" "$work/nccl/libnccl.so"
        export HOROVOD_GPU_OPERATIONS=NCCL HOROVOD_NCCL_LINK=SHARED
        export HOROVOD_NCCL_INCLUDE=$site/nvidia/nccl/include HOROVOD_NCCL_LIB=$work/nccl
        export LDFLAGS="-Wl,-rpath,\$ORIGIN/../../nvidia/nccl/lib ${LDFLAGS:-}"
        command -v nvcc >/dev/null || export HOROVOD_CUDA_HOME=${CUDA_HOME:-/usr/local/cuda}
    fi
    # pip's cache of built wheels knows nothing of TensorFlow's version, so it is not used.
    local -a pip=("$python" -m pip --no-cache-dir --disable-pip-version-check)
    local -a as_it_is=(--no-build-isolation --no-deps --use-pep517)
    "${pip[@]}" download "${as_it_is[@]}" --no-binary horovod --require-hashes \
        --requirement "$requirements/horovod.lock" --dest "$work"
    tar -xzf "$work/horovod-$version.tar.gz" -C "$work"
    sed -i 's/^  const size_type count_;/  size_type count_;/' \
        "$work/horovod-$version/third_party/flatbuffers/include/flatbuffers/stl_emulation.h"
    "${pip[@]}" wheel "${as_it_is[@]}" --no-index --wheel-dir "$work/wheel" \
        "$work/horovod-$version"
    unset PYTHONPATH
    install "$work/wheel"
    # Not from the project's folder: what is tried is what was installed.
    (cd "$work" && "$python" -c '
import horovod.tensorflow as hvd
assert hvd.gloo_built(), "Horovod was built without Gloo"
hvd.init()
assert hvd.size() == 1')
}

install() {
    "$uv" pip install --quiet --offline --no-deps --python "$python" "$1"/horovod-*.whl
}

if ! compgen -G "$kept/horovod-$version-*.whl" >/dev/null; then
    mkdir -p "$cache_folder/wheels"
    work=$(mktemp -d "$cache_folder/wheels/.building-XXXXXX")
    trap 'rm -rf "$work"' EXIT
    phase "building Horovod $version for $key (once; 4 to 6 minutes on 2 cores)" build "$work"
    mkdir -p "$kept"
    mv -f "$work"/wheel/horovod-*.whl "$kept/" # a rename, so nobody sees half a wheel
    say "Horovod's wheel is kept in $kept"
else
    phase "Horovod $version from $kept" install "$kept"
fi
