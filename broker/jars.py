"""Kafka's jars, fetched once by Maven into an ignored folder, and an archive of their classes for quick starts."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".kafka_cache"
POM = Path(__file__).with_name("pom.xml")
ARCHIVE = CACHE / "classes.jsa"


def missing() -> str | None:
    """What a broker of our own would need and this machine lacks; None if it can be started."""
    lacks = [name for name in ("java", "mvn") if shutil.which(name) is None]
    return " and ".join(lacks) or None


@contextmanager
def locked(name: str, folder: Path = CACHE) -> Iterator[Path]:
    """Holds a lock file that other processes respect; gives the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield folder


def fetch() -> Path:
    """The folder with the jars; Maven fetches them if the POM has changed since."""
    folder, ready = CACHE / "jars", CACHE / "jars.ready"
    wanted = POM.read_text(encoding="utf-8")
    with locked("jars"):
        if not ready.exists() or ready.read_text(encoding="utf-8") != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            ARCHIVE.unlink(missing_ok=True)
            subprocess.run(
                ["mvn", "-q", "-B", "-Dstyle.color=never", "-f", str(POM), "dependency:copy-dependencies",
                 f"-DoutputDirectory={folder}"],
                check=True, stdout=subprocess.DEVNULL,
            )  # fmt: skip
            ready.write_text(wanted, encoding="utf-8")
    return folder


def java(main: str, *arguments: str, options: tuple[str, ...] = ()) -> list[str]:
    """The command line that runs one of Kafka's classes."""
    jars = fetch()
    archive = (f"-XX:SharedArchiveFile={ARCHIVE}", "-Xshare:auto") if ARCHIVE.exists() else ()
    return [
        shutil.which("java") or "java",
        "-Xmx512m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        *archive,
        "-Dorg.slf4j.simpleLogger.logFile=System.out",
        *options,
        "-cp",
        os.pathsep.join(sorted(str(jar) for jar in jars.glob("*.jar"))),
        main,
        *arguments,
    ]
