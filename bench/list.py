"""How long `keepstone ls` takes, and how much memory, for runs of 10 to 100,000 checkpoints: see bench/run.

Every figure is of a fresh process, the store's names and objects in the page cache. Stores are made once and kept.
"""

import argparse
import datetime
import os
import statistics
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def main():
    parser = argparse.ArgumentParser(prog="bench/run list")
    parser.add_argument("--counts", type=int, nargs="*", default=[10, 1000, 10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", default=os.path.join(ROOT, "bench", "target", "list"))
    parser.add_argument("--results", default=os.path.join(ROOT, "bench", "RESULTS.md"), help="file to append to; - for none")
    options = parser.parse_args()
    measure("Listing a run", "list", options, lambda store: {"`ls`": ["ls", store], "`ls --json`": ["ls", store, "--json"]})


def measure(title, verb, options, commands):
    """Runs the commands over stores of each size, and tells of them in one table."""
    rows = []
    for count in options.counts:
        store = made(os.path.abspath(options.folder), count)
        for name, words in commands(store).items():
            measured(words)  # the page cache, and the launcher's own first time
            taken = [measured(words) for _ in range(options.rounds)]
            seconds, peak = [one[0] for one in taken], max(one[1] for one in taken)
            rows.append(f"| {count:,} | {name} | {min(seconds):.2f} / **{statistics.median(seconds):.2f}** / {max(seconds):.2f} | {peak} |")
            print(rows[-1], flush=True)
    if options.results != "-":
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
        counts = " ".join(map(str, options.counts))
        with open(options.results, "a", encoding="utf-8") as file:
            file.write(
                f"\n## {title}\n\n{now} · {os.cpu_count()} cores · `bench/run {verb} --counts {counts} --rounds {options.rounds}`"
                " · fresh processes, warm page cache · min / **median** / max\n\n"
                "| checkpoints | command | seconds | most resident MiB |\n| --- | --- | --- | --- |\n" + "\n".join(rows) + "\n"
            )


def made(folder, count):
    store = os.path.join(folder, str(count))
    if not os.path.exists(os.path.join(store, "made")):
        java = subprocess.run([os.path.join(ROOT, "keepstone"), "--java-home"], capture_output=True, text=True, check=True).stdout.strip()
        path = os.path.join(ROOT, "bench", "target", "classes") + ":" + os.path.join(ROOT, "bench", "target", "lib", "*")
        command = [os.path.join(java, "bin", "java"), "-Xmx1g", "-XX:+UseSerialGC", "--enable-native-access=ALL-UNNAMED", "-cp", path]
        subprocess.run([*command, "dev.keepstone.bench.ManyCheckpoints", store, str(count)], check=True)
        open(os.path.join(store, "made"), "w").close()
    return store


def measured(words):
    """Seconds and MiB of one run of the command."""
    began = time.perf_counter()
    process = subprocess.Popen([os.path.join(ROOT, "keepstone"), *words], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, words
    return time.perf_counter() - began, usage.ru_maxrss // 1024


if __name__ == "__main__":
    main()
