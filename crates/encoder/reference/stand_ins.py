#!/usr/bin/env python3
"""Stand-ins for the CUDA libraries that torch's package for Linux is linked with, so that torch can be loaded without them.

    stand_ins.py SITE_PACKAGES DIRECTORY    writes one small library for each that is asked for and not there

Nothing in them can be run: every function traps, and a tensor on the CPU calls none. CUDA's own runtime library is not stood in for; its package is 7 MB.
Needs cc, nm and readelf. Load torch with LD_LIBRARY_PATH=DIRECTORY.
"""

import pathlib
import re
import subprocess
import sys


def main():
    site, directory = map(pathlib.Path, sys.argv[1:3])
    directory.mkdir(parents=True, exist_ok=True)
    libraries = sorted((site / "torch/lib").glob("lib*.so"))
    there = {path.name for path in site.glob("torch/lib/*")} | {path.name for path in site.glob("nvidia/**/lib/*")}
    needed, symbols = set(), {}
    for library in libraries:
        needed |= set(re.findall(r"\(NEEDED\)\s+Shared library: \[(lib(?:cu|nv|nccl)[^\]]+)\]", said("readelf", "-dW", library)))
        for name, version in re.findall(r"\b[Uw] ((?:cu|nccl|nv|__cuda|__nv)\w*)(?:@+(\S+))?$", said("nm", "-D", "-u", "--with-symbol-versions", library), re.M):
            symbols.setdefault(version, set()).add(name)
    for name in sorted(needed - there):
        version = next((version for version in (name, "NVSHMEM" if "nvshmem" in name else name) if version in symbols), "")
        options = ["-shared", "-fPIC", "-w", "-fno-builtin", f"-Wl,-soname,{name}", "-o", directory / name, "-x", "c", "-"]
        if version:
            script = directory / "versions"
            script.write_text(f"{version} {{ *; }};")
            options.insert(0, f"-Wl,--version-script={script}")
        code = "".join(f"void {symbol}(void) {{ __builtin_trap(); }}\n" for symbol in sorted(symbols.get(version, ())))
        subprocess.run(["cc", *options], input=code, text=True, check=True)


def said(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    main()
