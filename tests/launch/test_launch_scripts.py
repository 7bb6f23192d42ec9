"""The shell scripts that start runs on one machine of GPUs, under Slurm and on GKE."""

import re
import shlex
import signal
from pathlib import Path

import pytest
import yaml

from kgclip_jax.processes import STOP_SIGNALS
from tests.launch.stubs import Machine

REPOSITORY = Path(__file__).parents[2]
LAUNCH = REPOSITORY / "launch"
GPU_NODE, SLURM, JOBSET = (LAUNCH / n for n in ("gpu_node.sh", "slurm.sbatch", "gke_jobset.sh"))
TPU_POD = LAUNCH / "tpu_pod.sh"
ARGUMENTS = ["--config=configs/a.py:x", '--config.text=it\'s "so" $HOME \\ (1, 2)', "--empty="]


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@pytest.mark.parametrize("script", [GPU_NODE, SLURM, JOBSET, TPU_POD], ids=lambda path: path.name)
@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_usage_is_the_header(machine, script, arguments):
    told = machine.run(script, *arguments)
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith(("Train on ", "Print the JobSet "))
    assert f"launch/{script.name}" in told.stdout
    assert "set -euo" not in told.stdout
    assert "#" not in told.stdout


class TestGpuNode:
    @pytest.fixture
    def node(self, machine):
        machine.stub("nvidia-smi", 'echo "GPU 0: H200 (UUID: GPU-0)"')
        machine.stub("python", "env; exit 7")
        return machine

    def environment(self, result):
        return dict(line.split("=", 1) for line in result.stdout.splitlines() if "=" in line)

    def test_one_process_gets_the_arguments_and_gives_its_exit_code(self, node):
        result = node.run(GPU_NODE, *ARGUMENTS)
        assert result.returncode == 7
        assert node.calls("python") == [[str(LAUNCH / "train.py"), *ARGUMENTS]]
        environment = self.environment(result)
        assert environment["JAX_PLATFORMS"] == "cuda,cpu"
        assert environment["XLA_PYTHON_CLIENT_MEM_FRACTION"] == "0.9"
        assert environment["JAX_COMPILATION_CACHE_DIR"].startswith(str(node.home))

    def test_variables_that_are_set_stay(self, node):
        chosen = {"XLA_PYTHON_CLIENT_MEM_FRACTION": "0.5", "JAX_COMPILATION_CACHE_DIR": "/cache"}
        assert (
            chosen.items() <= self.environment(node.run(GPU_NODE, "--config=a", **chosen)).items()
        )

    def test_several_machines_share_no_compiled_programs(self, node):
        result = node.run(GPU_NODE, "--config=a", JAX_NUM_PROCESSES="2", JAX_PROCESS_ID="1")
        environment = self.environment(result)
        assert environment["JAX_PROCESS_ID"] == "1"
        assert "JAX_COMPILATION_CACHE_DIR" not in environment

    def test_one_of_several_tasks_is_refused(self, node):
        result = node.run(GPU_NODE, "--config=a", SLURM_STEP_NUM_TASKS="8")
        assert result.returncode == 2
        assert "one of 8 Slurm tasks" in result.stderr
        assert not node.calls("python")

    def test_without_gpus_nothing_starts(self, node):
        node.stub("nvidia-smi", "exit 9")
        result = node.run(GPU_NODE, "--config=a")
        assert (result.returncode, result.stdout) == (2, "")
        assert result.stderr == "error: nvidia-smi lists no GPU of this machine\n"
        assert not node.calls("python")

    def test_a_dry_run_prints_the_command(self, node):
        result = node.run(GPU_NODE, "--dry-run", *ARGUMENTS)
        assert result.returncode == 0
        words = shlex.split(result.stdout)
        assert words[words.index("python") :] == ["python", str(LAUNCH / "train.py"), *ARGUMENTS]
        assert "JAX_PLATFORMS=cuda,cpu" in words
        assert not node.calls("python")


NODES = {
    "SLURM_JOB_ID": "42",
    "SLURM_GPUS_ON_NODE": "8",
    "SLURM_TASKS_PER_NODE": "8(x4)",
    "SLURM_CPUS_PER_TASK": "12",
}


class TestSlurm:
    @pytest.fixture
    def cluster(self, machine):
        machine.stub("srun", 'env; exit "$STATUS"')
        machine.stub("scontrol")
        return machine

    def submit(self, cluster, *options, status=0, folder=REPOSITORY, **variables):
        variables = NODES | {"STATUS": str(status)} | variables
        return cluster.run(SLURM, *options, *ARGUMENTS, folder=folder, **variables)

    def test_all_tasks_run_the_same_command(self, cluster):
        result = self.submit(cluster)
        assert result.returncode == 0
        [words] = cluster.calls("srun")
        assert words[-len(ARGUMENTS) - 2 :] == ["python", "launch/train.py", *ARGUMENTS]
        assert "--cpus-per-task=12" in words
        assert "--kill-on-bad-exit=0" in words
        assert "JAX_PLATFORMS=cuda,cpu\n" in result.stdout
        assert not re.search("^JAX_(COORDINATOR|NUM_PROC|PROCESS|LOCAL)", result.stdout, re.M)
        assert not cluster.calls("scontrol")

    def test_a_stopped_run_goes_back_into_the_queue(self, cluster):
        assert self.submit(cluster, status=143).returncode == 0
        assert cluster.calls("scontrol") == [["requeue", "42"]]

    @pytest.mark.parametrize("status", [1, 2, 134, 138])
    def test_a_failed_run_does_not(self, cluster, status):
        assert self.submit(cluster, status=status).returncode == status
        assert not cluster.calls("scontrol")

    def test_a_job_that_cannot_be_requeued_fails(self, cluster):
        cluster.stub("scontrol", "exit 1")
        assert self.submit(cluster, status=143).returncode == 1

    def test_slurm_signals_the_processes_as_the_product_expects(self):
        found = re.findall(r"^#SBATCH --([a-z-]+)(?:=(\S+))?$", SLURM.read_text(), re.M)
        options = dict(found)
        assert len(options) == len(found) == SLURM.read_text().count("#SBATCH")
        name, seconds = options["signal"].split("@")
        assert signal.Signals[f"SIG{name}"] in STOP_SIGNALS
        assert int(seconds) >= 120
        assert {"requeue", "open-mode"} <= options.keys()
        assert options["gpus-per-node"] == options["ntasks-per-node"]

    def test_no_gpu_is_left_without_a_task(self, cluster):
        result = self.submit(cluster, SLURM_TASKS_PER_NODE="4(x2),2")
        assert result.returncode == 2
        assert "4 tasks on a node with 8 GPUs: --ntasks-per-node=8, or 1" in result.stderr
        assert not cluster.calls("srun")

    def test_one_task_may_have_all_gpus_of_a_node(self, cluster):
        assert self.submit(cluster, SLURM_TASKS_PER_NODE="1(x4)").returncode == 0
        assert len(cluster.calls("srun")) == 1

    def test_without_gpus_the_platform_is_left_open(self, cluster):
        result = self.submit(cluster, SLURM_GPUS_ON_NODE="", SLURM_TASKS_PER_NODE="1(x4)")
        assert result.returncode == 0
        assert "JAX_PLATFORMS" not in result.stdout

    def test_another_folder_is_refused(self, cluster, tmp_path):
        result = self.submit(cluster, folder=tmp_path)
        assert result.returncode == 2
        assert f"no launch/train.py in {tmp_path}" in result.stderr

    def test_a_dry_run_prints_the_command(self, cluster):
        result = cluster.run(SLURM, "--dry-run", *ARGUMENTS, folder=REPOSITORY)
        assert result.returncode == 0
        command = ["srun", "--kill-on-bad-exit=0", "python", "launch/train.py"]
        assert shlex.split(result.stdout) == [*command, *ARGUMENTS]
        assert not cluster.calls("srun")


class TestJobSet:
    SLICE = ("--image=r.example/i:1", "--type=tpu-v5-lite-podslice", "--topology=4x8")
    WORKDIR = "--workdir=/mnt/shared/run"

    def print(self, machine, *options, arguments=(*ARGUMENTS, WORKDIR), name="run-1"):
        return machine.run(JOBSET, name, *options, "--", *arguments)

    def job(self, machine, *options):
        result = self.print(machine, *options)
        assert (result.returncode, result.stderr) == (0, "")
        manifest = yaml.safe_load(result.stdout)
        [job] = manifest["spec"]["replicatedJobs"]
        return manifest, job["template"]["spec"], job["template"]["spec"]["template"]["spec"]

    def test_all_hosts_run_the_same_command(self, machine):
        manifest, job, pod = self.job(machine, *self.SLICE)
        assert manifest["apiVersion"] == "jobset.x-k8s.io/v1alpha2"
        assert (manifest["kind"], manifest["metadata"]["name"]) == ("JobSet", "run-1")
        assert (job["completions"], job["parallelism"], job["completionMode"]) == (8, 8, "Indexed")
        [container] = pod["containers"]
        assert container["command"] == ["python", "launch/train.py"]
        assert container["args"] == [*ARGUMENTS, self.WORKDIR]
        assert container["image"] == "r.example/i:1"
        assert container["env"] == [{"name": "JAX_PLATFORMS", "value": "tpu,cpu"}]
        assert container["resources"] == {"limits": {"google.com/tpu": 4}}
        assert pod["nodeSelector"] == {
            "cloud.google.com/gke-tpu-accelerator": "tpu-v5-lite-podslice",
            "cloud.google.com/gke-tpu-topology": "4x8",
        }
        assert "serviceAccountName" not in pod

    def test_what_fails_begins_again_but_for_bad_input(self, machine):
        manifest, job, pod = self.job(machine, *self.SLICE, "--restarts=7")
        policy = manifest["spec"]["failurePolicy"]
        assert policy["maxRestarts"] == 7
        [rule] = policy["rules"]
        assert (rule["action"], rule["onJobFailureReasons"]) == ("FailJobSet", ["PodFailurePolicy"])
        [rule] = job["podFailurePolicy"]["rules"]
        assert rule["action"] == "FailJob"
        assert rule["onExitCodes"] == {"containerName": "train", "operator": "In", "values": [2]}
        assert pod["containers"][0]["name"] == "train"
        assert (pod["restartPolicy"], job["backoffLimit"]) == ("Never", 0)
        assert pod["terminationGracePeriodSeconds"] >= 120

    def test_input_workers_have_shared_memory(self, machine):
        _, _, pod = self.job(machine, *self.SLICE)
        [mount], [volume] = pod["containers"][0]["volumeMounts"], pod["volumes"]
        assert mount == {"name": volume["name"], "mountPath": "/dev/shm"}
        assert volume["emptyDir"] == {"medium": "Memory"}

    def test_a_claim_becomes_a_folder(self, machine):
        _, _, pod = self.job(machine, *self.SLICE, "--claim=shared")
        mounts = {m["name"]: m["mountPath"] for m in pod["containers"][0]["volumeMounts"]}
        volumes = {volume.pop("name"): volume for volume in pod["volumes"]}
        [name] = [name for name, path in mounts.items() if path == "/mnt/shared"]
        assert volumes[name] == {"persistentVolumeClaim": {"claimName": "shared"}}
        assert mounts.keys() == volumes.keys()

    def test_spot_nodes_and_an_account(self, machine):
        _, _, pod = self.job(machine, *self.SLICE, "--spot", "--account=trainer")
        assert pod["nodeSelector"]["cloud.google.com/gke-spot"] == "true"
        assert pod["serviceAccountName"] == "trainer"

    @pytest.mark.parametrize(
        ("options", "hosts", "chips"),
        [
            (["--topology=2x2x4"], 4, 4),
            (["--topology=2x4", "--chips-per-host=8"], 1, 8),
            (["--topology=1x1"], 1, 1),
            (["--topology=16x16"], 64, 4),
        ],
    )
    def test_hosts_follow_from_the_topology(self, machine, options, hosts, chips):
        _, job, pod = self.job(machine, "--image=i", "--type=t", *options)
        assert job["completions"] == job["parallelism"] == hosts
        assert pod["containers"][0]["resources"]["limits"]["google.com/tpu"] == chips

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--type=t", "--topology=2x2"], "--image=IMAGE and --type=TYPE are needed"),
            (["--image=i", "--type=t"], "not none"),
            (["--image=i", "--type=t", "--topology=32"], "--topology=AxB or AxBxC, not 32"),
            (["--image=i", "--type=t", "--topology=2x3"], "2x3 is not a whole number of hosts"),
            ([*SLICE, "--restarts=many"], "--restarts is a number, not many"),
            ([*SLICE, "--chips-per-host=0"], "--chips-per-host is a number, not 0"),
            ([*SLICE, "--config=a"], "no option --config=a"),
        ],
    )
    def test_mistakes_are_refused(self, machine, options, message):
        result = self.print(machine, *options)
        assert (result.returncode, result.stdout) == (2, "")
        assert message in result.stderr

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ([WORKDIR], "say what to train"),
            (["--config=a"], "name a place that all hosts share"),
            (["--config=a", "--workdir=runs/a"], "name a place that all hosts share"),
            (["--config=a", WORKDIR, "--x=a\nb"], "line break"),
        ],
    )
    def test_arguments_of_training_are_checked(self, machine, arguments, message):
        result = self.print(machine, *self.SLICE, arguments=arguments)
        assert (result.returncode, result.stdout) == (2, "")
        assert message in result.stderr

    @pytest.mark.parametrize("name", ["Run", "-a", "a" * 41, "a_b"])
    def test_names_are_those_of_kubernetes(self, machine, name):
        assert "the name has up to 40" in self.print(machine, *self.SLICE, name=name).stderr
