"""What is in deploy/ fits the daemon that is deployed.

    files.py BELIEFD BELIEFCTL MODEL SOURCE-ROOT

Every metric that an alert or a panel names is one that the daemon tells; promtool accepts the rules, and they go off
when they should; HAProxy accepts its configuration; the container installs the libraries that the programs link. A
tool that is not here is said, and what needs it is left out.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

beliefd, beliefctl, model = sys.argv[1:4]
root = pathlib.Path(sys.argv[4]).resolve()
deploy = root / "deploy"
failures = []


def check(fact, holds, detail=""):
    print(("ok      " if holds else "NOT SO  ") + fact, detail if not holds else "")
    if not holds:
        failures.append(fact)


def tool(name):
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not path:
        print(f"skipped: no {name}")
    return path


def output(*command):
    said = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return said.returncode, said.stdout


def told_metrics():
    """Names that a real daemon with a log and a certificate tells, histograms with their parts."""
    with tempfile.TemporaryDirectory(prefix="beliefd-test.") as directory:
        control = f"unix:{directory}/control"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", f"{directory}/key", "-out", f"{directory}/certificate", "-days", "2",
                        "-subj", "/CN=localhost"], check=True, stderr=subprocess.DEVNULL)
        os.chmod(f"{directory}/key", 0o600)
        config = pathlib.Path(directory, "config")
        config.write_text(f"listen = tls:127.0.0.1:0\ntls_certificate = {directory}/certificate\n"
                          f"tls_key = {directory}/key\n")
        ready, write = os.pipe()
        daemon = subprocess.Popen([beliefd, "--config", str(config), "--control", control, "--data",
                                   f"{directory}/data", "--model", model, "--ready-fd", str(write)],
                                  pass_fds=[write])
        os.close(write)
        assert os.read(ready, 6) == b"READY\n", "beliefd does not start"
        try:
            text = subprocess.run([beliefctl, "metrics", "--control", control], stdout=subprocess.PIPE, text=True,
                                  check=True).stdout
        finally:
            daemon.terminate()
            daemon.wait()
    names = set()
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M):
        names |= {name + part for part in ("_bucket", "_sum", "_count")} if kind == "histogram" else {name}
    return names


def named_metrics(text):
    return {name for name in re.findall(r"\bbeliefd_[a-z0-9_]+\b", text)}


told = told_metrics()
check("a daemon tells metrics", len(told) > 20, str(told))

rules = deploy / "prometheus" / "beliefd.rules.yml"
expressions = "\n".join(line for line in rules.read_text().splitlines() if not re.match(r"\s*(#|meaning|action)", line))
missing = named_metrics(expressions) - told
check("every metric of an alert is told", not missing, str(sorted(missing)))

board = json.loads((deploy / "grafana" / "beliefd.json").read_text())
queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
queries += [variable["query"]["query"] for variable in board["templating"]["list"] if variable["type"] == "query"]
check("the dashboard has panels", len(queries) > 10)
missing = named_metrics("\n".join(queries)) - told
check("every metric of the dashboard is told", not missing, str(sorted(missing)))
check("panels have ids of their own", len({panel["id"] for panel in board["panels"]}) == len(board["panels"]))
places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]]
check("panels have places of their own", len(set(places)) == len(places))

promtool = tool("promtool")
if promtool:
    code, said = output(promtool, "check", "rules", str(rules))
    check("promtool accepts the rules", code == 0, said)
    with tempfile.TemporaryDirectory(prefix="beliefd-test.") as directory:
        tests = pathlib.Path(directory) / "alerts.yml"
        tests.write_text((root / "tests/deploy/alerts.yml").read_text().replace("@RULES@", str(rules)))
        code, said = output(promtool, "test", "rules", str(tests))
    check("alerts go off when they should, and not otherwise", code == 0, said)
    # A dashboard's queries, once Grafana has put in its variables, are rules that promtool can read.
    with tempfile.TemporaryDirectory(prefix="beliefd-test.") as directory:
        recorded = pathlib.Path(directory) / "queries.yml"
        plain = [query.replace("$__rate_interval", "1m").replace("$instance", ".*") for query in queries
                 if not query.startswith("label_values")]
        recorded.write_text(json.dumps({"groups": [{"name": "board", "rules": [
            {"record": f"query:{i}", "expr": query} for i, query in enumerate(plain)]}]}))
        code, said = output(promtool, "check", "rules", str(recorded))
    check("Prometheus understands every query of the dashboard", code == 0, said)

haproxy = tool("haproxy")
if haproxy:
    code, said = output(haproxy, "-c", "-f", str(deploy / "haproxy.cfg"))
    check("HAProxy accepts its configuration", code == 0, said)

# Libraries: from the dynamic section to the package that brings the file.
dpkg, objdump = tool("dpkg-query"), tool("objdump")
if dpkg and objdump:
    final = (deploy / "Containerfile").read_text().split("FROM ")[-1]
    installed = set(re.search(r"--no-install-recommends \\\n\s*(.*?) \\\n", final, re.S).group(1).split())
    libraries = {f"*/{library}" for program in (beliefd, beliefctl)
                 for library in re.findall(r"NEEDED\s+(\S+)", output(objdump, "-p", program)[1])}
    needed = {line.split(":")[0] for line in output(dpkg, "-S", *sorted(libraries))[1].splitlines()}
    # These are part of every Debian, or belong to the sanitizers of a test build.
    needed = {package for package in needed if not re.match(r"libc6|lib\d*gcc|libasan|libubsan|libtsan", package)}
    check("the container has the libraries that its programs link, and no others", needed == installed,
          f"links {sorted(needed)}, installs {sorted(installed)}")

sys.exit(bool(failures))
