"""Black boxes run as they run: functions, sessions, programs in files, endpoints."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
import torch
from torch import nn

from leaq.errors import InvalidInput, StoreError, UnsupportedModel
from leaq.models.boxes import BlackBox, Endpoint, box_of, open_box
from leaq.pipeline.finished.shipped import open_shipped
from tests.helpers import require
from tests.unit.models.formats.producers import exported, onnxruntime_file
from tests.unit.pipeline.finished.models import audit_finished, halves, overfitted


@pytest.fixture(scope="module")
def data():
    return halves(d=32)


@pytest.fixture(scope="module")
def model(data):
    return overfitted(*data[0])


def losses(result, row=0):
    return result.rows[row].metrics["loss"].value, result.rows[row].attacks["threshold"].advantage.value


def codes(row):
    return {flag.code for flag in row.flags}


def test_a_function_is_audited_like_the_module_it_wraps(model, data):
    def predict(x):
        assert isinstance(x, np.ndarray)
        return model(torch.from_numpy(x)).detach().numpy()

    straight = audit_finished(model, *data, quantizers=(), draws=20)
    result = audit_finished(predict, *data, shipped={"beside": predict}, draws=20)
    assert losses(result) == pytest.approx(losses(straight))
    assert losses(result, 1) == pytest.approx(losses(straight))
    assert [row.label for row in result.rows] == ["as it runs", "beside"]
    assert "weights" in result.rows[0].measures["r"].reason
    assert {"weights-not-seen", "size-unknown"} <= codes(result.rows[0])
    assert np.isnan(result.rows[0].size.bits)


@pytest.mark.filterwarnings("ignore")
def test_programs_in_files_give_the_same_numbers(model, data, tmp_path):
    x = torch.from_numpy(data[0][0])
    exported(tmp_path / "m.onnx", model, x)
    torch.jit.script(model).save(tmp_path / "m.pt")
    shape = ({0: torch.export.Dim("n", min=1, max=4096)},)
    torch.export.save(torch.export.export(model, (x[:3],), dynamic_shapes=shape), tmp_path / "m.pt2")
    files = {name: tmp_path / name for name in ("m.onnx", "m.pt", "m.pt2")}
    result = audit_finished(model, *data, quantizers=(), shipped=files, draws=20)
    for i, row in enumerate(result.rows[1:], start=1):
        assert losses(result, i) == pytest.approx(losses(result), rel=1e-4), row.label
        assert row.size.bytes >= sum(p.numel() for p in model.parameters()) * 4
    for row in result.rows[1:]:
        assert "not-quantized" in codes(row)
        assert "weights-not-seen" not in codes(row)
    for file in files.values():
        alone = audit_finished(open_box(file), *data, quantizers=(), draws=20)
        assert losses(alone) == pytest.approx(losses(result), rel=1e-4)


@pytest.mark.filterwarnings("ignore")
def test_what_scales_by_the_batch_is_run_record_by_record(model, data, tmp_path):
    onnxruntime_file(tmp_path / "m.onnx", model, "dynamic", torch.from_numpy(data[0][0]))
    import onnxruntime

    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    by_hand = np.concatenate([session.run(None, {"x": row[None]})[0] for row in data[1][0]])
    wanted = nn.functional.cross_entropy(torch.from_numpy(by_hand), torch.from_numpy(data[1][1])).item()
    result = audit_finished(model, *data, quantizers=(), shipped={"file": tmp_path / "m.onnx"}, draws=20)
    assert result.rows[1].metrics["loss"].value == pytest.approx(wanted, rel=1e-6)
    assert {"run-by-record", "integer-activations"} <= codes(result.rows[1])
    alone = audit_finished(session, *data, draws=20)
    assert alone.rows[0].metrics["loss"].value == pytest.approx(wanted, rel=1e-6)
    assert "run-by-record" in codes(alone.rows[0])


@pytest.mark.filterwarnings("ignore")
def test_a_fixed_number_of_records_is_given_piece_by_piece(model, data, tmp_path):
    require("onnxruntime")
    x = torch.from_numpy(data[0][0])
    torch.onnx.export(model, (x[:7],), tmp_path / "m.onnx", dynamo=False, input_names=["x"])
    box = open_box(tmp_path / "m.onnx")
    assert box.batch == 7
    torch.testing.assert_close(box(x), model(x).detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_openvino_runs_its_own_files(model, data, tmp_path):
    require("openvino")
    import openvino

    x = torch.from_numpy(data[0][0])
    openvino.save_model(openvino.convert_model(model, example_input=x[:2]), tmp_path / "m.xml", compress_to_fp16=True)
    opened = open_shipped(tmp_path / "m.xml", model, name="ov")
    torch.testing.assert_close(opened.module(x), model(x).detach(), rtol=2e-2, atol=2e-2)
    assert opened.bytes == sum((tmp_path / name).stat().st_size for name in ("m.xml", "m.bin"))
    (tmp_path / "m.bin").unlink()
    with pytest.raises(StoreError, match="needs its weights in m.bin beside it"):
        open_box(tmp_path / "m.xml")


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        rows = asked["data"]["rows"]
        self.server.requests.append((len(rows), asked.get("kind"), self.headers.get("X-Key")))
        outputs = self.server.model(torch.tensor(rows, dtype=torch.float32)).tolist()
        status = 200 if self.path == "/predict" else 404
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps({"result": {"logits": outputs[:-1] if self.server.short else outputs}}).encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def server(model):
    http = HTTPServer(("127.0.0.1", 0), Handler)
    http.model, http.requests, http.short = model, [], False
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield http
    http.shutdown()
    http.server_close()


def test_an_endpoint_is_asked_in_the_schema_its_user_names(model, data, server):
    place = f"http://127.0.0.1:{server.server_port}"
    ask = Endpoint(f"{place}/predict", "data.rows", "result.logits", {"kind": "logits"}, {"X-Key": "k"}, batch=32)
    straight = audit_finished(model, *data, quantizers=(), draws=20)
    result = audit_finished(ask, *data, draws=20)
    assert losses(result) == pytest.approx(losses(straight), rel=1e-4)
    assert {"records-sent", "weights-not-seen"} <= codes(result.rows[0])
    assert {asked[1:] for asked in server.requests} == {("logits", "k")}
    assert max(n for n, _, _ in server.requests) == 32
    x = torch.from_numpy(data[0][0])
    with pytest.raises(UnsupportedModel, match="the answer must hold 'outputs'. Found result"):
        Endpoint(f"{place}/predict", "data.rows", "outputs").box()(x)
    with pytest.raises(StoreError, match="It said 404"):
        Endpoint(f"{place}/elsewhere", "data.rows", "result.logits").box()(x)
    server.short = True
    with pytest.raises(UnsupportedModel, match="one row of outputs a record, 60 of them. Found 59"):
        Endpoint(f"{place}/predict", "data.rows", "result.logits").box()(x)
    with pytest.raises(InvalidInput, match="must start with http"):
        Endpoint("file:///etc/passwd").box()
    with pytest.raises(StoreError, match="no JSON came back"):
        Endpoint("http://127.0.0.1:9/").box()(x)


def test_what_is_no_model_and_what_gives_no_rows_is_refused(data):
    assert box_of(3) is None
    assert box_of(nn.Linear) is None
    with pytest.raises(UnsupportedModel, match="something that can be called. Found int"):
        audit_finished(3, *data)
    with pytest.raises(
        UnsupportedModel, match="a shipped model must be a module, a file, or something that can be called"
    ):
        open_shipped(3, nn.Linear(2, 2), name="s")
    with pytest.raises(UnsupportedModel, match="one row a record, 5 of them. Found shape"):
        BlackBox(lambda _: np.ones(3))(torch.ones(5, 2))
    with pytest.raises(UnsupportedModel, match="a shipped model must run on the records as they are. It failed with"):
        audit_finished(overfitted(*data[0]), *data, shipped={"f": lambda _: 1 / 0}, quantizers=(), draws=20)


def test_a_pickle_is_no_program_and_is_not_opened(tmp_path):
    torch.save({"w": torch.ones(2)}, tmp_path / "w.pt")
    assert open_box(tmp_path / "w.pt") is None
    with pytest.raises(InvalidInput, match="Found a pickled one"):
        open_shipped(tmp_path / "w.pt", nn.Linear(2, 2), name="s")
    (tmp_path / "x.pt2").write_bytes(b"no program")
    with pytest.raises(StoreError, match="x.pt2: this is no exported program"):
        open_box(tmp_path / "x.pt2")


@pytest.mark.parametrize("name", ["m.onnx", "m.tflite", "m.xml", "m.pt2", "m.ts"])
def test_a_pointer_to_a_program_is_called_one(tmp_path, name):
    (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12\n")
    with pytest.raises(StoreError, match=f"{name}: this is no data but a pointer of Git LFS.*git lfs pull"):
        open_shipped(tmp_path / name, nn.Linear(2, 2), name="s")


@pytest.mark.parametrize("results", [tuple, list])
def test_as_many_results_as_records_are_no_rows(results):
    rows = np.arange(6.0).reshape(2, 3)
    box = BlackBox(lambda x: results([x, x + 100]))
    assert torch.equal(box(torch.from_numpy(rows)), torch.from_numpy(rows))
    assert torch.equal(BlackBox(list)(torch.from_numpy(rows)), torch.from_numpy(rows))
    moments = BlackBox(lambda x: (x.mean(1), x.std(1)))
    assert moments(torch.from_numpy(rows)).tolist() == [1.0, 4.0]
