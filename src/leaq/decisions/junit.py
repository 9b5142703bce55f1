"""The verdict of a gate as JUnit XML, which CI servers show: one test case a released model."""

from pathlib import Path
from xml.etree import ElementTree

from leaq.decisions.gating import Verdict
from leaq.system.files import write_atomic


def junit(verdict: Verdict) -> str:
    """Return one test case a model, failed with its reasons; what concerns no single model is a case of its own.

    Examples
    --------
    >>> from leaq.decisions.gating import Judged
    >>> print(junit(Verdict((), 1, 0.05, None, models=(Judged("wine, sign", ()),))).splitlines()[1])
    <testsuite name="leaq decide" tests="1" failures="0" errors="0">
    """
    cases = [(one.where, one.reasons) for one in verdict.models]
    told = {reason for _, reasons in cases for reason in reasons}
    cases += [("the run", (reason,)) for reason in verdict.reasons if reason not in told]
    failures = sum(bool(reasons) for _, reasons in cases)
    suite = ElementTree.Element(
        "testsuite", name="leaq decide", tests=str(len(cases)), failures=str(failures), errors="0"
    )
    for where, reasons in cases:
        case = ElementTree.SubElement(suite, "testcase", classname="leaq.decide", name=where)
        if reasons:
            told_short = reasons[0].removeprefix(f"{where}: ")
            ElementTree.SubElement(case, "failure", message=told_short).text = "\n".join(reasons)
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"


def write_junit(verdict: Verdict, path: Path) -> None:
    """Write the XML file, complete or not at all."""
    write_atomic(path, junit(verdict), mode=0o644)
