"""Build a small container image from what this machine itself has, where no registry can be reached.

It holds a shell, the usual tools, git, and the Python that runs this script, each with the shared libraries
that it needs. Prints the image's tag; does nothing when the same image is there already, but for letting
`skillrunner/local:latest` point to it.

Usage: local_image.py [--with HOST_PATH:IMAGE_PATH ...]
"""

import argparse
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = "skillrunner/local"
TOOLS = """
sh bash env cat cp mv rm ls ln mkdir rmdir mktemp touch chmod head tail sort uniq wc tr cut tee seq sleep date
true false test [ echo printf pwd basename dirname readlink realpath id stat du df dd od sha256sum base64
find xargs grep sed awk diff chown ps kill timeout nproc uname tar gzip git
""".split()  # noqa: SIM905 - a list of words reads best as words
LOADED_BY_NAME = (
    "libnss_files.so.2",
    "libnss_dns.so.2",
    "libdl.so.2",
    "libpthread.so.0",
    "librt.so.1",
    "libm.so.6",
    "libutil.so.1",
    "libgcc_s.so.1",
    "libstdc++.so.6",
)
CERTIFICATES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
UNUSED = {
    "test",
    "tests",
    "idlelib",
    "site-packages",
    "__pycache__",
    "tkinter",
    "turtledemo",
    "ensurepip",
    "lib2to3",
}
ACCOUNTS = {
    "etc/passwd": "root:x:0:0::/root:/bin/sh\nagent:x:1000:1000::/skillrunner/home:/bin/sh\n",
    "etc/group": "root:x:0:\nagent:x:1000:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}

Files = dict[str, Path]  # path in the image, without the leading slash -> path on this machine


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("--with", dest="extra", action="append", default=[], metavar="HOST:IMAGE")
    given = [item.rsplit(":", 1) for item in parser.parse_args().extra]
    print(build({target.lstrip("/"): Path(source) for source, target in given}))
    return 0


def build(extra: Files) -> str:
    """The tag of an image that holds this machine's tools and `extra`; built when it is not there."""
    from docker import APIClient
    from docker.errors import ImageNotFound
    from docker.utils import kwargs_from_env

    files = {**tools(), **python(), **git(), **certificates(), **extra}
    files.update(libraries(files.values()))
    tag = digest(files)
    api = APIClient(**kwargs_from_env(), version="auto", timeout=300)
    try:
        api.inspect_image(f"{REPOSITORY}:{tag}")  # type: ignore[no-untyped-call]
    except ImageNotFound:
        with archive({**compiled(files), **files}) as packed:
            api.import_image_from_data(packed.read(), repository=REPOSITORY, tag=tag)
    api.tag(f"{REPOSITORY}:{tag}", REPOSITORY, "latest")
    return f"{REPOSITORY}:{tag}"


def tools() -> Files:
    found = {f"usr/bin/{name}": shutil.which(name) for name in TOOLS}
    found["bin/sh"] = found["usr/bin/sh"]
    return {name: Path(path).resolve() for name, path in found.items() if path}


def python() -> Files:
    """The running interpreter's own base, without what no script of a skill needs."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    program = Path(sys.base_prefix, "bin", version)
    files = {f"usr/local/bin/{name}": program.resolve() for name in ("python3", version)}
    standard = Path(sysconfig.get_path("stdlib"))
    for folder in {standard, Path(sysconfig.get_path("platstdlib"))}:
        for path in walk(folder):
            files[f"usr/local/lib/{version}/{path.relative_to(folder)}"] = path
    return files


def compiled(files: Files) -> Files:
    """Python's own cache of these files, as far as it is there: without it each start compiles all again.

    It is no part of the digest: it grows while Python is used.
    """
    cached = {}
    for name, path in files.items():
        cache = path.parent / "__pycache__" / f"{path.stem}.{sys.implementation.cache_tag}.pyc"
        if path.suffix == ".py" and cache.exists():
            cached[f"{Path(name).parent}/__pycache__/{cache.name}"] = cache
    return cached


def git() -> Files:
    """git's helpers; most of them are the one program under other names, and are left out."""
    where = subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True).stdout.strip()
    program = Path(shutil.which("git") or "").resolve()
    started_by_name = ("git", "git-upload-pack", "git-receive-pack")  # when one repository clones another
    files = {f"{where.lstrip('/')}/{name}": program for name in started_by_name}
    for path in Path(where).iterdir():
        if path.is_file() and not path.is_symlink() and not path.samefile(program):
            files[str(path).lstrip("/")] = path
    templates = Path("/usr/share/git-core/templates")
    return files | {str(path).lstrip("/"): path for path in walk(templates) if templates.is_dir()}


def certificates() -> Files:
    found = [Path(path) for path in CERTIFICATES if Path(path).exists()]
    return {"etc/ssl/certs/ca-certificates.crt": found[0].resolve()} if found else {}


def walk(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in UNUSED and not name.startswith("config-")]
        yield from (Path(parent, name) for name in names if not name.endswith((".pyc", ".a")))


def libraries(programs: object) -> Files:
    """What `ldd` says that these programs and modules need, and what the C library loads by name."""
    assert hasattr(programs, "__iter__")
    needing = {str(path) for path in programs if is_elf(path)}
    out = subprocess.run(["ldd", *sorted(needing)], capture_output=True, text=True, check=False).stdout
    found = {Path(name) for name in re.findall(r"(/\S+\.so[^\s:]*)", out)} - {Path(name) for name in needing}
    homes = {path.parent for path in found}
    by_name = {home / name for home in homes for name in LOADED_BY_NAME if (home / name).exists()}
    return {str(path).lstrip("/"): path.resolve() for path in found | by_name}


def is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def digest(files: Files) -> str:
    total = hashlib.sha256(Path(__file__).read_bytes())
    for name, path in sorted(files.items()):
        status = path.stat()
        total.update(f"{name}\0{path}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return total.hexdigest()[:16]


def archive(files: Files) -> io.BytesIO:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for folder in ("tmp", "workspace", "skillrunner", "root", "proc", "sys", "dev", "run", "etc"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(entry)
        for name, text in ACCOUNTS.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
        for name, path in sorted(files.items()):
            add(tar, name, path)
    packed.seek(0)
    return packed


def add(tar: tarfile.TarFile, name: str, path: Path) -> None:
    entry = tarfile.TarInfo(name)
    status = path.stat()
    entry.size, entry.mtime = status.st_size, int(status.st_mtime)  # Python's cache is good for one time only
    entry.mode = 0o755 if os.access(path, os.X_OK) else 0o644
    with path.open("rb") as file:
        tar.addfile(entry, file)


if __name__ == "__main__":
    sys.exit(main())
