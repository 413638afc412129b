# shellcheck shell=bash
# Sourced by setup.sh: libtorch, and the CMake that builds LightGBM. What the user has is preferred; else wheels of the
# package index are unpacked into the cache, each into a folder of its own that comes into being whole or not at all.

# shellcheck source=scripts/env.sh
. scripts/env.sh
machine=$(uname -m)
[ "$machine" != arm64 ] || machine=aarch64
readonly machine
readonly downloads="$levibot_cache/downloads"
readonly NATIVE_GIB=2 # what downloads and unpacked folders take together while they are made: 1.2 GiB
readonly CMAKE_MIN=3.28
readonly TORCH_WHEELS=(torch nvidia-cuda-runtime nvidia-cuda-cupti)

# --- what is there -------------------------------------------------------------------------------------------------

# What the file .complete in the folder of a part begins with: a new version or another way to unpack makes it stale.
stamp() {
  local name
  echo "layout 1"
  for name in "$@"; do
    awk -v name="$name" -v machine="$machine" '$1 == name && $3 == machine { print $2, $5 }' scripts/native.lock
  done
}

# The sizes of what a part is run from.
sizes() {
  (cd "$1" && find . \( -name include -o -name share -o -name licenses \) -prune -o -type f ! -name .complete \
    -exec stat -c '%s %n' {} + | LC_ALL=C sort)
}

# Is the part in this folder whole, and made of these wheels?
complete() {
  local folder=$1
  shift
  [ -e "$folder/.complete" ] && cmp -s "$folder/.complete" <(stamp "$@" && sizes "$folder")
}

# The version of a libtorch: archives say it in a file, PyTorch of Python in a header.
torch_version() {
  if [ -e "$1/build-version" ]; then
    cut -d+ -f1 "$1/build-version"
  else
    sed -n 's/^ *"\([0-9.]*\).*"$/\1/p' "$1/include/torch/headeronly/version.h" 2>/dev/null
  fi
}

# A libtorch that the user names is used as it is, so it must be the right one.
check_libtorch() {
  local file version wanted=${levibot_libtorch##*-}
  local remedy="name the folder of libtorch $wanted, or unset LIBTORCH to have it downloaded"
  [[ "$LIBTORCH" == /* ]] || fail 6 "LIBTORCH is $LIBTORCH, which does not begin with /: $remedy"
  for file in include/torch/csrc/api/include/torch/torch.h lib/libtorch.so lib/libtorch_cpu.so lib/libc10.so; do
    [ -e "$LIBTORCH/$file" ] || fail 6 "LIBTORCH is $LIBTORCH, but there is no $file in it: $remedy"
  done
  version=$(torch_version "$LIBTORCH") || true
  [ "$version" = "$wanted" ] || fail 6 "LIBTORCH is $LIBTORCH, and that is version ${version:-unknown}: $remedy"
}

cmake_works() {
  local version
  version=$("$1" --version 2>/dev/null | sed -n 's/^cmake version \([0-9.]*\).*/\1/p') || true
  [ -n "$version" ] && printf '%s\n%s\n' "$CMAKE_MIN" "$version" | sort -VC
}

check_cmake() {
  cmake_works "$CMAKE" ||
    fail 6 "CMAKE is $CMAKE, and that is not CMake $CMAKE_MIN or later: name one that is, or unset CMAKE to have it downloaded"
}

# Does the variable name something that this script did not put there?
own_libtorch() { [[ -n "${LIBTORCH:-}" && "$LIBTORCH" != "$levibot_cache"/* ]]; }
own_cmake() { [[ -n "${CMAKE:-}" && "$CMAKE" != "$levibot_cache"/* ]]; }

libtorch_needed() { ! own_libtorch && ! complete "$levibot_libtorch" "${TORCH_WHEELS[@]}"; }
cmake_needed() { ! own_cmake && ! cmake_works cmake && ! complete "$levibot_cmake" cmake; }

# libclang reads LightGBM's header; it needs the compiler's own headers beside it.
libclang_works() {
  local found
  if [ -n "${LIBCLANG_PATH:-}" ]; then
    found=$(compgen -G "$LIBCLANG_PATH/libclang*" || compgen -G "$LIBCLANG_PATH") || true
    [[ "${found##*/}" == libclang* ]] ||
      fail 6 "LIBCLANG_PATH is $LIBCLANG_PATH, and there is no libclang: name its folder, or unset LIBCLANG_PATH"
    return 0
  fi
  found=$(find -L /usr/lib/llvm*/lib* /usr/lib/*-linux-gnu /usr/lib64 /usr/lib64/llvm*/lib* /usr/lib /usr/local/lib \
    -maxdepth 1 -name 'libclang[-.]*so*' ! -name 'libclang-cpp*' -print -quit 2>/dev/null) || true
  [ -n "$found" ] || return 1
  compgen -G '/usr/lib*/clang/*/include/stddef.h' || compgen -G '/usr/lib*/llvm*/lib*/clang/*/include/stddef.h' ||
    compgen -G '/usr/local/lib/clang/*/include/stddef.h'
}

# What is needed to download: a Python that the pinned pip runs on, and a pip to bring that one.
python_works() {
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && python3 -m pip --version >/dev/null 2>&1
}
python_needed() { libtorch_needed || cmake_needed; }

# --- bringing it ---------------------------------------------------------------------------------------------------

wheels() { python3 scripts/wheels.py "$1" "$downloads" "$machine" "${@:2}"; }

check_native_disk() {
  local free
  free=$(free_gib "$levibot_cache")
  [ "$free" -ge "$NATIVE_GIB" ] ||
    fail 5 "$free GiB are free in $levibot_cache, the model's libraries need $NATIVE_GIB: free some or set XDG_CACHE_HOME"
}

# Two set-ups at once: the second waits, and then finds the work done.
lock_cache() {
  mkdir -p "$downloads" 2>/dev/null || fail 2 "$downloads cannot be made: set XDG_CACHE_HOME to a folder of your own"
  [ -w "$downloads" ] || fail 2 "$downloads is not writable: set XDG_CACHE_HOME to a folder of your own"
  exec 9>"$levibot_cache/.setup.lock"
  if have flock && ! flock -n 9; then
    say "another set-up is at work in $levibot_cache: waiting for it"
    flock -w 3600 9 || fail 4 "the other set-up has not ended within an hour: end it, then run scripts/setup.sh again"
  fi
}

# Puts a folder that is whole in the place of what was there.
put() {
  local new=$1 folder=$2
  shift 2
  (stamp "$@" && sizes "$new") >"$new.stamp"
  mv "$new.stamp" "$new/.complete"
  rm -rf "$folder.old"
  [ ! -e "$folder" ] || mv "$folder" "$folder.old"
  mv "$new" "$folder"
  rm -rf "$folder.old"
}

# libtorch.so of the wheel asks for the libraries of GPUs; this one asks for those of the processor alone.
link_libtorch() {
  (cd "$1/lib" && cc -shared -o libtorch.so -Wl,--no-as-needed -L. -l:libtorch_cpu.so "-Wl,-rpath,\$ORIGIN" \
    -Wl,--allow-shlib-undefined)
}

load_libtorch() { python3 -c 'import ctypes, sys; ctypes.CDLL(sys.argv[1])' "$1/lib/libtorch.so" >&2; }

install_libtorch() {
  local new="$levibot_libtorch.new"
  rm -rf "$new"
  wheels fetch "${TORCH_WHEELS[@]}" || exit $?
  say "unpacking libtorch into $levibot_libtorch"
  wheels libtorch "$new" || exit $?
  echo "${levibot_libtorch##*-}" >"$new/build-version"
  link_libtorch "$new" || fail 4 "the compiler could not link libtorch.so (its words are above)"
  load_libtorch "$new" ||
    fail 4 "libtorch does not load on this system (the reason is above). It needs glibc 2.28 or later; else build" \
      "libtorch ${levibot_libtorch##*-} yourself and set LIBTORCH"
  put "$new" "$levibot_libtorch" "${TORCH_WHEELS[@]}"
}

install_cmake() {
  local new="$levibot_cmake.new"
  rm -rf "$new"
  wheels fetch cmake || exit $?
  say "unpacking CMake into $levibot_cmake"
  wheels cmake "$new" || exit $?
  cmake_works "$new/bin/cmake" || fail 4 "the CMake that was downloaded does not run here: install CMake $CMAKE_MIN and set CMAKE"
  put "$new" "$levibot_cmake" cmake
}

install_native() {
  ! own_libtorch || check_libtorch
  ! own_cmake || check_cmake
  python_needed || return 0
  lock_cache
  check_native_disk
  ! cmake_needed || install_cmake
  ! libtorch_needed || install_libtorch
  # Nothing is needed any more, but the small pip.
  find "$downloads" -type f ! -name 'pip-*' -delete
  exec 9>&-
}

# --- for the tests -------------------------------------------------------------------------------------------------

test_python_ready() { cmp -s "$levibot_python/.complete" scripts/test-python.txt; }

make_test_python() {
  local pip
  rm -rf "$levibot_python"
  wheels fetch pip && pip=$(compgen -G "$downloads/pip-*.whl") && python3 -m venv --without-pip "$levibot_python" &&
    python3 "$pip/pip" --python "$levibot_python/bin/python" install --quiet --disable-pip-version-check \
      --only-binary=:all: -r scripts/test-python.txt >&2 &&
    "$levibot_python/bin/python" -c 'import lightgbm' >&2 &&
    cp scripts/test-python.txt "$levibot_python/.complete"
}

# Python's own LightGBM, to compare with. Taken if it can be had, and tried once.
install_test_python() {
  local tried="$levibot_python.tried" skipped="the comparison with Python's LightGBM is skipped"
  ! test_python_ready || return 0
  ! cmp -s "$tried" scripts/test-python.txt || return 0
  if ! python_works; then
    say "note: python3 with pip is not installed; $skipped (packages: python3 python3-pip python3-venv)"
    return 0
  fi
  lock_cache
  if ! test_python_ready; then
    say "installing Python's LightGBM into $levibot_python, for the tests"
    if ! make_test_python; then
      say "note: Python's LightGBM could not be installed; $skipped. Not tried again until $tried is deleted"
      cp scripts/test-python.txt "$tried"
    fi
  fi
  exec 9>&-
}
