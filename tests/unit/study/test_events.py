from leaq.study.events import Event


def test_a_log_holds_what_is_said_and_leaves_out_what_is_empty():
    event = Event("stage", cell="wine", text="training", done=3, total=8)
    assert event.to_dict() == {"kind": "stage", "cell": "wine", "text": "training", "done": 3, "total": 8}
    assert Event("plan").to_dict() == {"kind": "plan"}
