"""Fetch the jars of a real Apache Kafka with the machine's own Maven: `python kafka_jars.py FOLDER`."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

VERSION = "4.1.0"
_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>modelux</groupId><artifactId>kafka-jars</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version></dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.24.3</version>
    </dependency>
  </dependencies>
</project>
"""


class Unavailable(Exception):
    """Why there is no Kafka on this machine, in one line."""


def fetch(folder: Path) -> Path:
    """The folder of the jars, fetched once. Raises `Unavailable`."""
    jars = folder / VERSION
    if jars.is_dir():
        return jars
    if shutil.which("java") is None:
        raise Unavailable("no Java on this machine")
    if (maven := shutil.which("mvn")) is None:
        raise Unavailable("no Maven (mvn) on this machine to fetch Apache Kafka's jars with")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        (Path(work) / "pom.xml").write_text(_POM)
        command = [maven, "-B", "-q", "-C", "dependency:copy-dependencies", "-DincludeScope=runtime"]
        try:
            done = subprocess.run(
                [*command, "-DoutputDirectory=jars"], cwd=work, capture_output=True, text=True, timeout=300, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise Unavailable("Maven did not fetch Apache Kafka's jars within five minutes") from error
        if done.returncode:
            reason = next((line for line in done.stdout.splitlines() if "ERROR" in line), "no reason given")
            raise Unavailable(f"Maven could not fetch Apache Kafka's jars: {reason[:200]}")
        # Renamed as a whole: a fetch that was killed leaves no half-filled folder behind.
        (Path(work) / "jars").rename(jars)
    return jars


def main() -> int:
    try:
        print(fetch(Path(sys.argv[1] if len(sys.argv) > 1 else ".kafka")))
    except Unavailable as error:
        print(f"Kafka tests will skip: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
