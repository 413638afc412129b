"""Brings and unpacks the wheels that native.lock pins. Called by setup.sh.

usage: python3 wheels.py fetch FOLDER MACHINE NAME...     into FOLDER; prints nothing but progress
       python3 wheels.py cmake FOLDER MACHINE TARGET      unpacks CMake into TARGET
       python3 wheels.py libtorch FOLDER MACHINE TARGET   unpacks headers and libraries of libtorch into TARGET

Where a wheel is, who may have it and over which proxy is pip's to say: the user's own configuration of pip holds. The
bytes are read here, because pip itself begins again after an interrupted download.

exit codes: 2 not for this machine, 4 failed, 7 the checksum is wrong
"""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import zipfile

LOCK = pathlib.Path(__file__).with_name("native.lock")
TRIES_MAX = 5  # in a row without a byte
ATTEMPTS_MAX = 100  # for a file in one run
CHUNK_BYTES = 1 << 18
UNTRUSTED = "does not have the checksum in scripts/native.lock and was deleted: is the package index a trusted one?"
LARGE_BYTES = 100_000_000
# Of torch/lib. The others are for Python and for GPUs. All but the first three exist on Arm only.
LIBRARIES = re.compile(r"torch/lib/(libtorch_cpu|libc10|libgomp|libarm_compute\w*|libnvpl_\w+)\.so(\.\d+)?")
CUDA_LIBRARIES = re.compile(r".*/(libcudart|libcupti)\.so\.13")


def say(text):
    print(f"setup: {text}", file=sys.stderr, flush=True)


def fail(code, text):
    say(text)
    sys.exit(code)


def pins(machine):
    """Name to (version, file, sha256) of every wheel for this machine."""
    rows = [line.split() for line in LOCK.read_text().splitlines() if line and not line.startswith("#")]
    return {row[0]: (row[1], row[3], row[4]) for row in rows if row[2] in (machine, "any")}


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


# --- fetching ------------------------------------------------------------------------------------------------------


class Progress:
    """One line that is written over on a terminal; elsewhere a line for every tenth of a large file."""

    def __init__(self, name, total):
        self.name, self.total, self.shown, self.at = name, total, -1, 0.0
        self.terminal = sys.stderr.isatty()

    def show(self, done):
        share = done * 100 // self.total if self.total else 0
        now = time.monotonic()
        if self.terminal and (now - self.at > 0.2 or done == self.total):
            print(f"\rsetup: {self.name} {done / 1e6:.0f} of {self.total / 1e6:.0f} MB", end="", file=sys.stderr)
            self.at = now
        elif not self.terminal and self.total > LARGE_BYTES and share // 10 > self.shown:
            say(f"{self.name} {done / 1e6:.0f} of {self.total / 1e6:.0f} MB")
            self.shown = share // 10

    def end(self):
        if self.terminal:
            print(file=sys.stderr)


def fetch_pip(folder, pin):
    """The pinned pip: one file that runs from where it lies. The pip at hand brings it."""
    version, file, checksum = pin
    path = folder / file
    if not path.exists() or sha256(path) != checksum:
        path.unlink(missing_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += ["--disable-pip-version-check", "--dest", str(folder), f"pip=={version}"]
        if subprocess.run(command, stdout=sys.stderr).returncode != 0 or not path.exists():
            fail(4, f"pip could not download pip {version} (its words are above): see the network and 'pip config list'")
    if sha256(path) != checksum:
        path.unlink()
        fail(7, f"{file} {UNTRUSTED}")
    return path


class Index:
    """The package index as the pinned pip sees it, with the user's configuration."""

    def __init__(self, pip_wheel):
        sys.path.insert(0, str(pip_wheel))
        from pip._internal.cli.cmdoptions import make_target_python
        from pip._internal.commands import create_command

        command = create_command("download")
        # The tag of the pinned wheels; Python itself does not use them.
        options, _ = command.parse_args(["--only-binary=:all:", "--no-deps", "--python-version=3.11", "--no-cache-dir"])
        self.context = command.main_context()
        self.context.__enter__()
        self.session = command.get_default_session(options)
        self.finder = command._build_package_finder(options, self.session, make_target_python(options))

    def url(self, name, file):
        for candidate in self.finder.find_all_candidates(name):
            if candidate.link.filename == file:
                return candidate.link.url_without_fragment
        fail(4, f"the package index does not offer {file}, or does not answer: 'pip config list' says which is asked")

    def get(self, url, start):
        headers = {"Accept-Encoding": "identity", "Range": f"bytes={start}-"}
        return self.session.get(url, headers=headers, stream=True)


def total_bytes(response, start):
    """The whole file's length, 0 if it was not said."""
    if match := re.search(r"/(\d+)$", response.headers.get("Content-Range", "")):
        return int(match[1])
    return start + int(response.headers.get("Content-Length", 0))


def read_on(index, url, part, name):
    """Reads from where `part` ends. True when the file is whole, as far as its length says."""
    from pip._internal.network.utils import response_chunks

    start = part.stat().st_size if part.exists() else 0
    with index.get(url, start) as response:
        if response.status_code == 416:  # nothing follows
            return True
        response.raise_for_status()
        if response.status_code != 206:
            start = 0  # this server gives whole files only
        total = total_bytes(response, start)
        if start:
            say(f"{name}: going on at {start / 1e6:.0f} of {total / 1e6:.0f} MB")
        progress = Progress(name, total)
        try:
            with open(part, "r+b" if start else "wb") as file:
                file.seek(start)
                for chunk in response_chunks(response, CHUNK_BYTES):
                    file.write(chunk)
                    progress.show(file.tell())
        finally:
            progress.end()
    return part.stat().st_size >= total


def fetch_part(index, url, part, name):
    from pip._vendor.requests import RequestException
    from pip._vendor.urllib3.exceptions import HTTPError

    tries = 0
    for attempt in range(1, ATTEMPTS_MAX + 1):
        before = part.stat().st_size if part.exists() else 0
        try:
            if read_on(index, url, part, name):
                return
            reason = "the connection ended early"
        except (RequestException, HTTPError) as error:
            broken = isinstance(error, HTTPError) or isinstance(error.__context__, HTTPError)
            reason = f"the connection broke ({type(error).__name__})" if broken else str(error)
        grown = part.exists() and part.stat().st_size > before
        tries = 0 if grown else tries + 1
        if tries == TRIES_MAX or attempt == ATTEMPTS_MAX:
            fail(4, f"{name} could not be downloaded: {reason}. Run scripts/setup.sh again; it goes on where it stopped")
        say(f"{name}: {reason}; trying again")
        time.sleep(2**tries if tries else 0.5)


def fetch(folder, machine, names):
    available = pins(machine)
    for name in names:
        if name not in available:
            fail(2, f"there is no {name} for {machine} in scripts/native.lock: set LIBTORCH and CMAKE to builds of your own")
    index = None
    for name in names:
        if name == "pip":
            fetch_pip(folder, available[name])
            continue
        version, file, checksum = available[name]
        whole, part = folder / file, folder / f"{file}.part"
        if whole.exists():
            if sha256(whole) == checksum:
                continue
            say(f"{file} is damaged: downloading it again")
            whole.unlink()
        index = index or Index(fetch_pip(folder, available["pip"]))
        url = index.url(name, file)
        for attempt in ("first", "last"):
            say(f"downloading {name} {version}")
            fetch_part(index, url, part, name)
            if sha256(part) == checksum:
                break
            part.unlink()
            if attempt == "last":
                fail(7, f"{file} {UNTRUSTED}")
            say(f"{file} does not have the expected checksum: downloading it once more, from the start")
        part.rename(whole)


# --- unpacking -----------------------------------------------------------------------------------------------------


def unpack(wheel, target, place):
    """Unpacks every member for which `place` names a path; permissions as packed."""
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            path = None if member.is_dir() else place(member.filename)
            if path is None:
                continue
            path = target / path
            path.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, open(path, "wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
            path.chmod(0o755 if member.external_attr >> 16 & 0o100 else 0o644)


def licence(name, member):
    _, found, rest = member.partition(".dist-info/licenses/")
    return f"licenses/{name}/{rest}" if found else None


def library(wanted, member):
    return f"lib/{pathlib.Path(member).name}" if wanted.fullmatch(member) else None


def unpack_cmake(wheel, target):
    def cmake(member):
        if member.startswith("cmake/data/"):
            return member.removeprefix("cmake/data/")
        return licence("cmake", member)

    unpack(wheel("cmake"), target, cmake)


def unpack_libtorch(wheel, target):
    def torch(member):
        if member.startswith("torch/include/"):
            return member.removeprefix("torch/")
        return library(LIBRARIES, member) or licence("torch", member)

    unpack(wheel("torch"), target, torch)
    for name in ("nvidia-cuda-runtime", "nvidia-cuda-cupti"):
        unpack(wheel(name), target, lambda member: library(CUDA_LIBRARIES, member) or licence(name, member))


def main(what, folder, machine, *rest):
    folder = pathlib.Path(folder)
    available = pins(machine)
    if what == "fetch":
        fetch(folder, machine, rest)
    else:
        unpackers = {"cmake": unpack_cmake, "libtorch": unpack_libtorch}
        unpackers[what](lambda name: folder / available[name][1], pathlib.Path(rest[0]))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        print(file=sys.stderr)
        say("stopped; what was downloaded is kept, the next run goes on from there")
        sys.exit(130)
    except OSError as error:
        fail(4, f"{error.strerror or error}: {error.filename or os.getcwd()}")
