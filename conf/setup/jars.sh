#!/usr/bin/env bash
# Resolves Delta's jars once with the Ivy inside pyspark, into TRUELIFT_JARS or
#
#   ${XDG_CACHE_HOME:-~/.cache}/truelift/jars/delta-<version>
#
# and compares them with jars.sha256, which lists the jars that pyspark does not bring itself.
# The first argument is the environment's Python; with --pin as the second, jars.sha256 is
# written anew. In a closed network name your own mirror in TRUELIFT_IVY_SETTINGS (an Ivy
# settings file) or put the listed files into the folder by hand.
source "$(dirname "${BASH_SOURCE[0]}")/phases.sh"

python=$(realpath -s "$1")
pins=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../requirements")/jars.sha256
delta=$("$python" -c 'import importlib.metadata as m; print(m.version("delta-spark"))')
spark=$("$python" -c 'import importlib.metadata as m; print(".".join(m.version("pyspark").split(".")[:2]))')
kept=${TRUELIFT_JARS:-$cache_folder/jars/delta-$delta}

complete() {
    (cd "$1" 2>/dev/null && sha256sum --check --strict --quiet "$pins")
}

resolve() {
    local work=$1 brought
    echo >"$work/nothing.py"
    brought=$("$python" -c 'import importlib.util as u; print(u.find_spec("pyspark").submodule_search_locations[0])')
    SPARK_LOCAL_IP=127.0.0.1 PYSPARK_PYTHON=$python SPARK_HOME=$brought \
        "$brought/bin/spark-submit" --master 'local[1]' \
        --packages "io.delta:delta-spark_${spark}_2.13:$delta" \
        --conf spark.ui.enabled=false --conf "spark.jars.ivy=$work/ivy" \
        ${TRUELIFT_IVY_SETTINGS:+--conf "spark.jars.ivySettings=$TRUELIFT_IVY_SETTINGS"} \
        "$work/nothing.py"
    mkdir "$work/jars"
    local jar name
    for jar in "$work"/ivy/jars/*.jar; do
        # Ivy names them <organisation>_<artifact>-<version>.jar, Spark <artifact>-<version>.jar.
        name=$(basename "$jar" | sed -E 's/^[^_]+_//; s/-[0-9][0-9A-Za-z.-]*\.jar$//')
        compgen -G "$brought/jars/$name-[0-9]*.jar" >/dev/null || mv "$jar" "$work/jars/"
    done
}

if [[ ${2:-} != --pin ]] && complete "$kept" >/dev/null 2>&1; then
    say "Delta $delta jars from $kept"
    exit 0
fi
mkdir -p "$(dirname "$kept")"
work=$(mktemp -d "$(dirname "$kept")/.resolving-XXXXXX")
trap 'rm -rf "$work"' EXIT
phase "resolving the jars of Delta $delta for Spark $spark (once)" resolve "$work"
if [[ ${2:-} == --pin ]]; then
    (cd "$work/jars" && sha256sum ./*.jar | sed 's|\./||') >"$pins"
    say "wrote $(wc -l <"$pins") checksums to $pins"
    exit 0
fi
complete "$work/jars" >&2 ||
    fail "the jars that were resolved are not those of $pins (see above)." \
        "Nothing was kept. If Delta's version was changed on purpose, run: make lock"
mkdir -p "$kept"
mv -f "$work"/jars/*.jar "$kept/" # a rename each, so nobody sees half a jar
say "Delta's jars are kept in $kept"
