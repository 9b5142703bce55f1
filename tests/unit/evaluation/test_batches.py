import torch

from leaq.evaluation.batches import move
from leaq.pipeline.finished.records import read_records


def test_objects_that_move_themselves_are_kept():
    class Graphs:
        def __init__(self):
            self.y, self.moved = torch.arange(3), 0

        def to(self, device):
            self.moved += 1

    graphs = Graphs()
    batch = read_records([graphs], name="members").batches[0]
    assert move(batch, torch.device("cpu")).inputs is graphs
    assert graphs.moved == 1
