"""`launch/tpu_pod.sh` against a stub of gcloud, whose slice is one host: a folder here."""

import os
import shlex
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests.launch.stubs import Machine

LAUNCH = Path(__file__).parents[2] / "launch"
ZONE = "--zone=zone-b"
SLICE = (ZONE, "--type=v5litepod-32", "--runtime=v2-alpha-tpuv5-lite")
ARGUMENTS = ["--config=configs/a.py", "--workdir=/mnt/run", '--x=it\'s "so" $HOME (1, 2)']

# What `list` says is read from a file line by line; the last line stays.
GCLOUD = """
case "$3 $4" in
  "queued-resources list")
    head -n 1 "$HOME/states"
    [[ $(wc -l <"$HOME/states") == 1 ]] || sed -i 1d "$HOME/states"
    ;;
  "queued-resources delete") kill "$(cat "$HOME/kgclip_jax/pid")"; rm -rf "$HOME/kgclip_jax" ;;
  "tpu-vm scp") cp "$5" "$HOME" ;;
  "tpu-vm ssh")
    [[ ! -e $HOME/unreachable ]] || { rm "$HOME/unreachable"; exit 255; }
    cd "$HOME"
    for word; do
      [[ $word == --command=* ]] || continue
      bash -c "${word#--command=}" || exit
      [[ $word != *"tpu_host.sh start"* || ! -e half ]] || { rm half; exit 1; }
    done
    ;;
esac
"""

# Makes an environment whose Python is a stub, too: it ends as the next line of a file says.
PYTHON = """
[[ "$1 $2" == "-m venv" ]] || exit 1
mkdir -p "$3/bin"
cat >"$3/bin/pip" <<'PIP'
#!/usr/bin/env bash
{ printf '%s\\0' "$@"; echo; } >>"$CALLS/pip"
PIP
cat >"$3/bin/python" <<'TRAIN'
#!/usr/bin/env bash
{ printf '%s\\0' "$@"; echo; } >>"$CALLS/train"
echo "$PWD $JAX_PLATFORMS"
next=$(head -n 1 "$HOME/outcomes")
sed -i 1d "$HOME/outcomes"
[[ $next == forever ]] || exit "$next"
trap 'exit 143' TERM
while true; do /bin/sleep 0.02; done
TRAIN
chmod +x "$3"/bin/*
"""


class Cloud(Machine):
    """A machine with gcloud, a checkout, and the slice that gcloud reaches."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.stub("gcloud", GCLOUD)
        self.stub("python3.11", PYTHON)
        self.stub("sleep", "/bin/sleep 0.05")
        self.checkout = folder / "checkout"
        self.script = self.checkout / "launch" / "tpu_pod.sh"
        self.script.parent.mkdir(parents=True)
        for name in ("tpu_pod.sh", "tpu_host.sh"):
            shutil.copy(LAUNCH / name, self.script.parent)
        (self.checkout / "requirements.txt").write_text("")
        (self.checkout / ".gitignore").write_text("runs/\n")
        self.git("init", "--quiet")

    def git(self, *words: str) -> str:
        command = ["git", "-C", str(self.checkout), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def expect(self, *, states=("ACTIVE",), outcomes=("0",)):
        for name, lines in (("states", states), ("outcomes", outcomes)):
            (self.home / name).write_text("".join(f"{line}\n" for line in lines))

    def pod(self, command, *options, arguments=()):
        words = [*options, *(("--", *arguments) if arguments else ())]
        return self.run(self.script, command, "slice-1", *words)

    def begin(self, command, *options, arguments=()):
        return self.start(self.script, command, "slice-1", *options, "--", *arguments)


@pytest.fixture
def cloud(tmp_path):
    cloud = Cloud(tmp_path)
    cloud.expect()
    yield cloud
    if (pid := cloud.home / "kgclip_jax" / "pid").exists():
        with suppress(ProcessLookupError):
            os.kill(int(pid.read_text()), signal.SIGKILL)


def test_a_run_is_queued_set_up_started_and_watched_to_its_end(cloud):
    cloud.expect(states=("", "WAITING_FOR_RESOURCES", "PROVISIONING", "ACTIVE"))
    prepare = "touch 'on host'"
    options = ("--spot", "--project=p", f"--prepare={prepare}")
    result = cloud.pod("run", *SLICE, *options, arguments=ARGUMENTS)
    assert result.returncode == 0, result.stderr
    assert cloud.calls("train") == [["launch/train.py", *ARGUMENTS]]
    assert cloud.calls("pip") == [["install", "--quiet", "jax[tpu]", "-r", "code/requirements.txt"]]
    calls = cloud.calls("gcloud")
    assert all({ZONE, "--project=p", "--quiet"} <= set(call) for call in calls)
    [create] = [call for call in calls if "create" in call]
    assert create[2:5] == ["queued-resources", "create", "slice-1"]
    assert {"--node-id=slice-1", "--accelerator-type=v5litepod-32", "--spot"} <= set(create)
    assert "--runtime-version=v2-alpha-tpuv5-lite" in create
    everywhere = [call[3] for call in calls if "--worker=all" in call]
    assert everywhere == ["ssh", "scp", "ssh", "ssh", "ssh"]  # prepare, then unpack, install, start
    assert (cloud.home / "on host").exists()
    assert "slice-1: PROVISIONING\n" in result.stderr
    assert f"done; the slice is there still: {cloud.script} delete slice-1 {ZONE}" in result.stderr
    log = (cloud.home / "kgclip_jax" / "train.log").read_text()
    assert log == f"{cloud.home}/kgclip_jax/code tpu,cpu\n"


def test_a_preempted_run_is_queued_again_with_the_same_command(cloud):
    states = ("", "ACTIVE", "ACTIVE", "SUSPENDING", "SUSPENDED", "DELETING", "", "ACTIVE")
    cloud.expect(states=states, outcomes=("forever", "0"))
    result = cloud.pod("run", *SLICE, arguments=ARGUMENTS)
    assert result.returncode == 0, result.stderr
    queue = [call for call in cloud.calls("gcloud") if call[2] == "queued-resources"]
    assert [call[3] for call in queue if call[3] != "list"] == ["create", "delete", "create"]
    assert ["--force" in call for call in queue if call[3] == "delete"] == [True]
    assert cloud.calls("train") == 2 * [["launch/train.py", *ARGUMENTS]]
    assert "slice-1 was preempted" in result.stderr


def test_a_run_that_fails_on_a_slice_that_is_there_starts_again(cloud):
    cloud.expect(outcomes=("134", "143", "0"))
    result = cloud.pod("run", *SLICE, arguments=ARGUMENTS)
    assert result.returncode == 0, result.stderr
    assert len(cloud.calls("train")) == 3
    assert "the run ended with 134" in result.stderr


def test_a_run_that_starts_on_some_hosts_only_is_ended_there(cloud):
    cloud.expect(outcomes=("forever", "0"))
    (cloud.home / "half").touch()
    result = cloud.pod("run", *SLICE, arguments=ARGUMENTS)
    assert result.returncode == 0, result.stderr
    assert len(cloud.calls("train")) == 2


def test_a_run_that_always_fails_is_given_up(cloud):
    cloud.expect(outcomes=("1",) * 9)
    result = cloud.pod("run", *SLICE, arguments=ARGUMENTS)
    assert result.returncode == 2
    assert f"5 attempts failed: {cloud.script} log slice-1 {ZONE}" in result.stderr
    assert len(cloud.calls("train")) == 5


def test_bad_input_is_not_tried_again(cloud):
    cloud.expect(outcomes=("2",))
    result = cloud.pod("run", *SLICE, arguments=ARGUMENTS)
    assert result.returncode == 2
    assert "error: bad input" in result.stderr
    assert len(cloud.calls("train")) == 1


def test_what_was_not_granted_is_told(cloud):
    cloud.expect(states=("", "FAILED"))
    result = cloud.pod("run", *SLICE, arguments=ARGUMENTS)
    assert result.returncode == 2
    assert "slice-1 was not granted" in result.stderr


def test_a_host_that_does_not_answer_yet_is_waited_for(cloud):
    (cloud.home / "unreachable").touch()
    result = cloud.pod("run", *SLICE, arguments=ARGUMENTS)
    assert result.returncode == 0, result.stderr
    assert len(cloud.calls("train")) == 1


def test_a_run_that_goes_on_is_watched_and_not_started_again(cloud):
    cloud.expect(outcomes=("forever",))
    for command in ("setup", "start"):
        arguments = ARGUMENTS if command == "start" else ()
        assert cloud.pod(command, ZONE, arguments=arguments).returncode == 0
    again = cloud.pod("start", ZONE, arguments=ARGUMENTS)
    assert again.returncode == 2
    assert "a run goes on here already: stop it first" in again.stderr
    assert cloud.pod("status", ZONE).stdout == "ACTIVE\nrunning\n"
    watching = cloud.begin("run", *SLICE, arguments=ARGUMENTS)
    assert "the run goes on" in watching.stderr.readline()
    cloud.pod("stop", ZONE)
    _, told = watching.communicate(timeout=300)
    assert watching.returncode == 2
    assert "stopped and saved; the slice is there still" in told
    assert cloud.pod("status", ZONE).stdout == "ACTIVE\nstopped\n"
    assert (cloud.home / "kgclip_jax" / "exit_code").read_text() == "143\n"
    assert len(cloud.calls("train")) == 1


def test_the_checkout_comes_as_it_is_without_what_git_ignores(cloud):
    cloud.git("add", "requirements.txt")
    (cloud.checkout / "configs").mkdir()
    (cloud.checkout / "configs" / "new.py").write_text("not added yet")
    (cloud.checkout / "runs").mkdir()
    (cloud.checkout / "runs" / "large").write_text("")
    (cloud.checkout / "requirements.txt").unlink()
    before = cloud.git("status", "--porcelain")
    old = cloud.home / "kgclip_jax" / "code" / "old.py"
    old.parent.mkdir(parents=True)
    old.touch()
    assert cloud.pod("setup", ZONE).returncode == 0
    code = cloud.home / "kgclip_jax" / "code"
    found = {str(path.relative_to(code)) for path in code.rglob("*") if path.is_file()}
    assert found == {".gitignore", "configs/new.py", "launch/tpu_pod.sh", "launch/tpu_host.sh"}
    assert cloud.git("status", "--porcelain") == before


def test_a_missing_python_is_installed(cloud):
    cloud.stub("sudo", 'ln -sf python3.11 "${0%/*}/python3.99"')
    assert cloud.pod("setup", ZONE, "--python=python3.99").returncode == 0
    assert [words[1] for words in cloud.calls("sudo")] == ["update", "install"]
    assert cloud.calls("sudo")[1][-1] == "python3.99-venv"


def test_the_log_is_that_of_the_first_host(cloud):
    (cloud.home / "kgclip_jax").mkdir()
    cloud.stub("tail")
    assert cloud.pod("log", ZONE).returncode == 0
    assert "--worker=0" in cloud.calls("gcloud")[0]
    assert cloud.calls("tail") == [["-n", "100", "-F", "kgclip_jax/train.log"]]


def test_a_dry_run_prints_what_gcloud_would_be_told(cloud):
    result = cloud.pod("run", *SLICE, "--dry-run", arguments=ARGUMENTS)
    assert (result.returncode, result.stderr) == (0, "")
    lines = [shlex.split(line) for line in result.stdout.splitlines() if line[0] != "#"]
    assert all(line[:3] == ["gcloud", "compute", "tpus"] for line in lines)
    verbs = [line[4] for line in lines]
    assert verbs == ["create", "list", "scp", "ssh", "ssh", "ssh", "ssh", "delete"]
    [start] = [word for line in lines for word in line if "tpu_host.sh start" in word]
    assert shlex.split(start)[2:] == ARGUMENTS
    assert not cloud.calls("gcloud")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["launch", "a", ZONE], "no command launch"),
        (["delete"], "delete needs a name for the slice"),
        (["delete", "A_b", ZONE], "not A_b"),
        (["delete", "a"], "say where: --zone=ZONE"),
        (["create", "a", ZONE, "--type=t"], "create needs --type=TYPE and --runtime=VERSION"),
        (["start", "a", ZONE, "--config=c"], "no option --config=c"),
        (["start", "a", ZONE, "--", "--workdir=/mnt/run"], "say what to train"),
        (["start", "a", ZONE, "--", "--config=c"], "name a place that all hosts share"),
        (["start", "a", ZONE, "--", "--config=c", "--workdir=runs/a"], "their own disks"),
        (["stop", "a", ZONE, "--", "--config=c"], "stop takes no arguments of launch/train.py"),
    ],
)
def test_mistakes_are_refused(cloud, words, message):
    result = cloud.run(cloud.script, *words)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr
    assert not cloud.calls("gcloud")
