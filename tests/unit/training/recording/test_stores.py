import threading

import torch

from leaq.system.files import write_pages
from leaq.training.recording import Recorder, stores
from tests.unit.training.recording.test_disk import filled


def test_training_does_not_wait_for_a_slow_disk_and_keeps_the_weights_of_the_step(tmp_path, monkeypatch):
    gate, real = threading.Event(), write_pages

    def slow(*args, **kwargs):
        assert gate.wait(30)
        real(*args, **kwargs)

    monkeypatch.setattr(stores, "write_pages", slow)
    module = filled(1)
    recorder = Recorder(module, folder=tmp_path)
    recorder.step()  # returns although nothing can be written
    assert not list(tmp_path.glob("*.safetensors"))
    with torch.no_grad():
        module.weight.fill_(9)
    gate.set()
    assert recorder.checkpoints.params["weight"][0, :, 0, 0].tolist() == [1.0, 9.0]  # the weights of now come last
