#!/usr/bin/env bash
# What the machine itself must have: Python 3.10 to 3.13 with headers and venv, Java 17 to 21,
# a C++ compiler and make. Missing parts are installed through apt-get as root or with
# password-less sudo; otherwise one message names them all with the exact command (status 2).
#
# The interpreter and the Java home that were chosen are written, one a line, to the file that
# the first argument names.
#
#   PYTHON=python3.12    the interpreter to use (a name or a path)
#   JAVA_HOME=...        the Java to use
#   TRUELIFT_GPU=1       also ask for the CUDA compiler
#   TRUELIFT_NO_INSTALL=1  only say what is missing
source "$(dirname "${BASH_SOURCE[0]}")/phases.sh"

readonly oldest_python=10 newest_python=13 oldest_java=17 newest_java=21
readonly jvm_folder="${TRUELIFT_JVM_FOLDER:-/usr/lib/jvm}"

readonly python_facts='
import importlib.util, os, sys, sysconfig
include = sysconfig.get_paths()["include"]
print("%d.%d.%d" % sys.version_info[:3])
print(sys.executable)
print(int(os.path.isfile(os.path.join(include, "Python.h"))))
print(int(importlib.util.find_spec("ensurepip") is not None))
'

# Sets python, python_version, has_headers, has_venv; python_found describes what was refused.
find_python() {
    local candidate facts
    local -a names=("${PYTHON:-python3}")
    [[ -n ${PYTHON:-} ]] || names+=(python3.11 python3.12 python3.13 python3.10)
    python="" python_found=""
    for candidate in "${names[@]}"; do
        facts=$("$candidate" -c "$python_facts" 2>/dev/null) || continue
        { read -r python_version; read -r path; read -r has_headers; read -r has_venv; } <<<"$facts"
        if [[ $python_version =~ ^3\.([0-9]+)\. ]] &&
            ((BASH_REMATCH[1] >= oldest_python && BASH_REMATCH[1] <= newest_python)); then
            python=$path
            return
        fi
        python_found+="${python_found:+, }$python_version ($path)"
    done
}

# java_version HOME: the version text; empty where there is none.
java_version() {
    [[ -x $1/bin/java ]] || return 0
    "$1/bin/java" -version 2>&1 | sed -nE 's/^[a-z]+ version "([^"]+)".*/\1/p' | head -n 1
}

java_accepted() {
    local major=${1%%[.+-]*}
    [[ $major =~ ^[0-9]+$ ]] && ((major >= oldest_java && major <= newest_java))
}

# Sets java_home; java_found describes what was refused.
find_java() {
    local home version on_path
    java_home="" java_found=""
    local -a homes=()
    if [[ -n ${JAVA_HOME:-} ]]; then
        homes=("$JAVA_HOME")
    else
        if on_path=$(command -v java); then
            # Asked of Java itself: what is on the PATH may be a link or a version manager's shim.
            homes+=("$("$on_path" -XshowSettings:properties -version 2>&1 |
                sed -nE 's/^ *java\.home = (.*)$/\1/p')")
        fi
        for home in "$jvm_folder"/*; do
            [[ -L $home ]] || homes+=("$home")
        done
    fi
    for home in "${homes[@]}"; do
        version=$(java_version "$home")
        if java_accepted "$version"; then
            java_home=$home
            return
        fi
        [[ -z $version ]] || java_found+="${java_found:+, }$version ($home)"
    done
}

java_package() {
    local name
    for name in openjdk-17-jre-headless openjdk-21-jre-headless; do
        if [[ -n $(apt-cache search --names-only "^$name\$" 2>/dev/null) ]]; then
            echo "$name"
            return
        fi
    done
    echo openjdk-17-jre-headless
}

# Fills problems (text) and packages (what apt-get would install for them).
look() {
    problems=() packages=()
    find_python
    if [[ -z $python && ( -n $python_found || -n ${PYTHON:-} ) ]]; then
        fail "Python: found ${python_found:-no interpreter called $PYTHON}, expected 3.$oldest_python to 3.$newest_python." \
            "Name one with: make setup PYTHON=/path/to/python3.11"
    elif [[ -z $python ]]; then
        problems+=("Python 3.$oldest_python to 3.$newest_python (found none)")
        packages+=(python3 python3-venv python3-dev)
    elif [[ $python == /usr/bin/* ]]; then
        local minor=${python_version%.*}
        ((has_headers)) || { problems+=("the headers of Python $minor"); packages+=("python$minor-dev"); }
        ((has_venv)) || { problems+=("venv of Python $minor"); packages+=("python$minor-venv"); }
    elif ! ((has_headers && has_venv)); then
        fail "Python: $python ($python_version) has no headers (Python.h) or no venv and ensurepip." \
            "Install its development files, or name another with: make setup PYTHON=/usr/bin/python3"
    fi

    find_java
    if [[ -z $java_home ]]; then
        [[ -z ${JAVA_HOME:-} ]] || fail \
            "Java: JAVA_HOME is $JAVA_HOME, found ${java_found:-no bin/java in it}, expected Java $oldest_java to $newest_java." \
            "Set JAVA_HOME to such a Java, or unset it."
        problems+=("Java $oldest_java or $newest_java (found ${java_found:-none})")
        packages+=("$(java_package)")
    fi

    command -v g++ >/dev/null || { problems+=("a C++ compiler (g++)"); packages+=(g++); }
    command -v make >/dev/null || { problems+=("make"); packages+=(make); }
    if [[ ${TRUELIFT_GPU:-} == 1 ]] && ! command -v nvcc >/dev/null &&
        [[ ! -x ${CUDA_HOME:-/usr/local/cuda}/bin/nvcc ]]; then
        fail "TRUELIFT_GPU=1: no CUDA compiler (nvcc) on the PATH or in ${CUDA_HOME:-/usr/local/cuda}/bin." \
            "Install the CUDA 12 toolkit or set CUDA_HOME; Horovod's GPU part is compiled with it."
    fi
}

# Prints what precedes a command that needs the rights of root; fails where there are none.
as_root() {
    if [[ $(id -u) == 0 ]]; then
        return 0
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        echo sudo -n
    else
        return 1
    fi
}

install() {
    local root
    if [[ ${TRUELIFT_NO_INSTALL:-} == 1 ]] || ! command -v apt-get >/dev/null || ! root=$(as_root); then
        local list
        list=$(printf '%s; ' "${problems[@]}")
        local sudo="sudo "
        [[ $(id -u) != 0 ]] || sudo=""
        fail "missing on this machine: ${list%; }." \
            "Install with: ${sudo}apt-get update && ${sudo}apt-get install -y --no-install-recommends ${packages[*]}" \
            "and run make again."
    fi
    phase "apt-get update" $root env DEBIAN_FRONTEND=noninteractive apt-get update -q
    look # the name of the Java package is known only now
    phase "apt-get install ${packages[*]}" $root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends "${packages[@]}"
    look
    ((${#problems[@]} == 0)) || fail "still missing after apt-get install: ${problems[*]}."
}

look
((${#problems[@]} == 0)) || install
say "Python $python_version ($python), Java $(java_version "$java_home") ($java_home)"
[[ $# == 0 ]] || printf '%s\n%s\n' "$python" "$java_home" >"$1"
