"""A real Ray cluster on this machine: a head and two nodes, one of which is taken away in the middle of a study."""

import os
import sys
import time

import pytest

from leaq.errors import InvalidInput
from leaq.study import run_study
from leaq.study.engines import make_engine
from leaq.types import silent
from tests.helpers import require
from tests.unit.study.small import small


@pytest.mark.filterwarnings("ignore")
def test_an_address_where_nobody_listens_is_named_at_once(monkeypatch):
    require("ray")
    import ray

    monkeypatch.setattr(ray, "init", lambda **_: pytest.fail("Ray would go on asking for minutes"))
    with pytest.raises(InvalidInput, match=r"No Ray cluster answers at '127.0.0.1:1' \(.*refused\)"):
        make_engine("ray", address="127.0.0.1:1")


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_that_does_not_answer_is_named(monkeypatch):
    require("ray")
    import ray

    def nobody(**options):
        raise ConnectionError(f"nobody at {options['address']}\nmore")

    monkeypatch.setattr(ray, "init", nobody)
    with pytest.raises(InvalidInput, match=r"No Ray cluster answers at 'auto' \(nobody at auto\)"):
        make_engine("ray", address="auto")


class RecordingRay:
    """Stands in for Ray: remembers what a task asked for."""

    def __init__(self):
        self.options = []

    def is_initialized(self):
        return True

    def cluster_resources(self):
        return {"CPU": 4.0, "GPU": 1.0}

    def remote(self, task):
        ray = self

        class Remote:
            def options(self, **options):
                ray.options.append(options)
                return self

            def remote(self, *args):
                return "handle"

        return Remote()


def test_a_task_that_needs_a_gpu_asks_for_one(monkeypatch):
    fake = RecordingRay()
    monkeypatch.setattr("leaq.study.engines.cluster.need", lambda *_, **__: fake)
    engine = make_engine("ray")
    assert (engine.slots, engine.has_cuda) == (4, True)
    for cuda in (False, True):
        engine.submit(make_engine, cuda=cuda, progress=silent)
    assert [options["num_gpus"] for options in fake.options] == [0, 1]


ATTEMPTS = 5


def started():
    """Start a head and two nodes. Ray gives each node's agent 15 s to start, which cannot be configured and which a
    busy machine does not always make (3 s of one core are imports), so a start that fails is tried again."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        return made, [made.add_node(num_cpus=1) for _ in range(2)]
    except Exception:
        made.shutdown()
        raise


def start_with_patience():
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return started()
        except Exception:
            if attempt == ATTEMPTS:
                raise
            time.sleep(5 * attempt)
    raise AssertionError


@pytest.fixture
def cluster(monkeypatch):
    require("ray")
    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "120")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    import ray

    try:
        made, nodes = start_with_patience()
    except Exception as err:
        if os.environ.get("LEAQ_REQUIRE_ALL"):
            raise
        pytest.skip(f"no Ray cluster could be started here in {ATTEMPTS} attempts: {err}")
    yield made, nodes
    ray.shutdown()
    made.shutdown()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_node_leaves_in_mid_study_and_nothing_is_lost(cluster, tmp_path):
    made, nodes = cluster
    engine = make_engine("ray", address=made.address)
    assert engine.slots == 3
    gone = []

    def watch(event):
        if event.kind == "done" and not gone:
            gone.append(event.cell)
            made.remove_node(nodes[0], allow_graceful=False)

    study = small(seeds=(0, 1, 2))
    outcome = run_study(study, tmp_path / "ray", engine=engine, watch=watch)
    assert len(gone) == 1
    assert (outcome.computed, outcome.failures) == (6, ())
    run_study(study, tmp_path / "local")
    assert (tmp_path / "ray" / "results.csv").read_bytes() == (tmp_path / "local" / "results.csv").read_bytes()
    engine.close()


def listening():
    """Addresses on which this process or one it started accepts connections."""
    import psutil

    here = psutil.Process()
    found = [each for process in (here, *here.children(recursive=True)) for each in process.net_connections()]
    return {each.laddr.ip for each in found if each.status == psutil.CONN_LISTEN}


def folders_on_the_path():
    return sys.path


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_started_here_listens_on_loopback_and_runs_no_code_of_the_current_folder(tmp_path, monkeypatch):
    require("ray")
    require("psutil")
    (tmp_path / "pydantic.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "120")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(os.path.isabs, sys.path)))
    before = listening()
    engine = make_engine("ray", workers=1)
    try:
        (handle,) = engine.submit(folders_on_the_path, progress=silent)
        assert str(tmp_path) not in engine.result(engine.wait([handle]))
        assert {address.removeprefix("::ffff:") for address in listening() - before} == {"127.0.0.1"}
    finally:
        engine.close()
    assert not (tmp_path / "ran").exists()
