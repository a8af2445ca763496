"""Who gets which cores and which GPU."""

from visionkit.sweeps.parallel import worker_environments


def test_cores_are_divided_among_as_many_processes_as_there_are_runs():
    assert [p["OMP_NUM_THREADS"] for p in worker_environments(None, jobs=3, gpus=0, cores=8)] == ["2", "2", "2"]
    assert [p["OMP_NUM_THREADS"] for p in worker_environments(2, jobs=9, gpus=0, cores=8)] == ["4", "4"]
    assert len(worker_environments(-1, jobs=9, gpus=0, cores=4)) == 4
    assert "CUDA_VISIBLE_DEVICES" not in worker_environments(2, jobs=9, gpus=0, cores=8)[0]


def test_each_process_has_a_gpu_of_its_own(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [p["CUDA_VISIBLE_DEVICES"] for p in worker_environments(None, jobs=9, gpus=3, cores=8)] == ["0", "1", "2"]


def test_more_processes_than_gpus_share_them_and_hidden_gpus_stay_hidden(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    assert [p["CUDA_VISIBLE_DEVICES"] for p in worker_environments(3, jobs=9, gpus=2, cores=8)] == ["4", "7", "4"]
