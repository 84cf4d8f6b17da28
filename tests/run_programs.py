"""Runs test programs and counts their test cases: Catch2's XML in, failures and counts out.

Each program runs by itself, a few at a time. What failed is printed with its place and values; a program that crashes,
hangs or leaks counts as one failed test case, with the end of its output. Knows nothing of what is tested.
Usage: run_programs.py [--jobs N] [--limit SECONDS] [--counts FILE] PROGRAM…    (FILE gets "PASSED FAILED")
"""

import argparse
import concurrent.futures
import os
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree

TAIL_LINES = 40
SLOW_SECONDS = 8  # a test case that takes this long is named


def one_line(element, tag):
    text = element.findtext(tag) or ""
    return " ".join(text.split())


def describe(element, place):
    """The lines that say why a test case failed: its expressions, messages and exceptions, under their sections."""
    lines = []
    for child in element:
        where = f"{child.get('filename', '')}:{child.get('line', '')}"
        if child.tag == "Section":
            lines += describe(child, f"{place} / {child.get('name')}")
        elif child.tag == "Expression" and child.get("success") == "false":
            lines.append(f"    {where}: {place}")
            lines.append(f"      {child.get('type')}( {one_line(child, 'Original')} )")
            lines.append(f"      with {one_line(child, 'Expanded')}")
            for exception in child.findall("Exception") + child.findall("FatalErrorCondition"):
                lines.append(f"      {exception.tag}: {' '.join((exception.text or '').split())}")
        elif child.tag in ("Failure", "Exception", "FatalErrorCondition"):
            lines.append(f"    {where}: {place}")
            lines.append(f"      {child.tag}: {' '.join((child.text or '').split())}")
        elif child.tag == "Info":
            lines.append(f"      info: {' '.join((child.text or '').split())}")
    return lines


class Report:
    """What one program did: counts, the failures in words, and why test cases were skipped."""

    def __init__(self):
        self.passed = 0
        self.failed = 0
        self.lines = []
        self.warnings = set()
        self.slow = []

    def read(self, xml_path):
        """Reads Catch2's XML as far as it goes; returns the name of the test case that was left unfinished, if any."""
        unfinished = None
        try:
            for event, element in ElementTree.iterparse(xml_path, events=("start", "end")):
                if element.tag != "TestCase":
                    continue
                if event == "start":
                    unfinished = element.get("name")
                    continue
                unfinished = None
                self.warnings.update(" ".join((w.text or "").split()) for w in element.iter("Warning"))
                result = element.find("OverallResult")
                seconds = float(result.get("durationInSeconds", 0)) if result is not None else 0
                if seconds >= SLOW_SECONDS:
                    self.slow.append((seconds, element.get("name")))
                if result is not None and result.get("success") == "true":
                    self.passed += 1
                else:
                    self.failed += 1
                    self.lines.append(f"  FAILED {element.get('name')}")
                    self.lines += describe(element, element.get("name"))
                element.clear()
        except (ElementTree.ParseError, FileNotFoundError):
            pass
        return unfinished


def how_it_ended(status, limit):
    if status is None:
        return f"was stopped after {limit} s"
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    return f"ended with status {status}"


def run(program, limit):
    start = time.monotonic()
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        xml_path = os.path.join(folder, "report.xml")
        with open(os.path.join(folder, "output"), "w+", errors="replace") as output:
            try:
                command = [program, "--reporter", "xml", "--durations", "yes", "--out", xml_path]
                status = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                                        timeout=limit, check=False).returncode
            except subprocess.TimeoutExpired:
                status = None
            except OSError as error:
                output.write(str(error))
                status = 127
            unfinished = report.read(xml_path)
            broke_off = unfinished is not None or report.passed + report.failed == 0
            # A sanitizer's report at exit, a leak for instance, comes after the last test case.
            if broke_off or status is None or (status != 0 and report.failed == 0):
                report.failed += 1
                place = f" in: {unfinished}" if unfinished else ""
                report.lines.append(f"  FAILED {os.path.basename(program)} {how_it_ended(status, limit)}{place}")
            if report.failed:
                output.seek(0)
                report.lines += ["    | " + line for line in output.read().splitlines()[-TAIL_LINES:]]
    return program, report, time.monotonic() - start


def main():
    parser = argparse.ArgumentParser(description="runs Catch2 test programs and counts their test cases")
    parser.add_argument("programs", nargs="*")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--limit", type=int, default=1800)
    parser.add_argument("--counts")
    options = parser.parse_args()

    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        pending = [pool.submit(run, program, options.limit) for program in options.programs]
        for done in concurrent.futures.as_completed(pending):
            program, report, seconds = done.result()
            passed += report.passed
            failed += report.failed
            counts = f"{report.passed} passed, {report.failed} failed"
            print(f"  {os.path.basename(program)}: {counts}, {seconds:.0f} s")
            print("".join(f"    {slow:.0f} s: {name}\n" for slow, name in sorted(report.slow, reverse=True)), end="")
            print("".join(line + "\n" for line in report.lines), end="")
            print("".join(f"    note: {warning}\n" for warning in sorted(report.warnings)), end="", flush=True)
    if not options.programs:
        failed = 1
        print("  FAILED no test programs were built")
    if options.counts:
        with open(options.counts, "w") as counts_file:
            counts_file.write(f"{passed} {failed}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
