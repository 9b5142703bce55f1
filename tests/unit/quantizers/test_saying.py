from leaq.quantizers import build


def test_label_and_description_name_the_options():
    scheme = build("ternary(sparsity=0.9, last=int8, bias=float16, activations=8)")
    assert scheme.label() == "ternary 90% sparse, last layer 8-bit, bias float16, 8-bit activations"
    assert scheme.describe().endswith(
        "The last layer is rounded to 8 bits per channel. Biases become float16. "
        "Each layer's input is rounded to 8 bits, record by record."
    )


def test_calibrated_results_say_so():
    assert [flag.code for flag in build("gptq(bits=4)").flags()] == ["calibrated-on-members"]
    assert [flag.code for flag in build("sign(bias=corrected)").flags()] == ["calibrated-on-members"]
    assert build("equalised(bits=4)").flags() == ()
    assert "training records" in build("gptq(bits=4)").flags()[0].text
