"""Molecular benchmark tasks by name: what each is, where it comes from, and the content it must have.

The tasks are those of the Therapeutics Data Commons (TDC) ADMET benchmark and of MoleculeNet. Addresses are copies in
public repositories, at fixed commits. A repository's licence covers its code; the terms of the data are set by
each data set's authors, so a licence is given only where the data themselves state one, else "unverified".
"""

from dataclasses import dataclass
from typing import Literal

from leaq.types import Task

__all__ = ["Entry", "TASKS"]

Converter = Literal["", "columns"]


@dataclass(frozen=True)
class Entry:
    """One data set known by name.

    Attributes
    ----------
    name, task, records, what, unit : what it is; `records` counts rows before duplicates are merged.
    source : where it comes from, for display.
    licence : as stated upstream for the data, or "unverified".
    address : upstream file at a fixed commit; empty where none is recorded.
    columns : upstream's SMILES and target columns; the converter keeps them, and rows with a label RDKit can read.
    upstream_sha256 : hash of the upstream file, empty where it is not recorded (the content hash still decides).
    sha256 : hash of the converted table's content, see `leaq.data.tasks.content_sha256`; empty where not recorded.
    note : what a reader of results must know: scale, censoring, overlap with other tasks.
    """

    name: str
    task: Task
    records: int
    what: str
    source: str
    licence: str
    unit: str = ""
    address: str = ""
    columns: tuple[str, str] = ("smiles", "target")
    upstream_sha256: str = ""
    sha256: str = ""
    note: str = ""


_RAW = "https://raw.githubusercontent.com/"
_ERSILIA = _RAW + "ersilia-os/zeroshot-xgboost/c33334714c221fd771b06389ec8e14c7a1d6aa6c/data/"
_GLAMBARD = _RAW + "GLambard/Molecules_Dataset_Collection/beb35cd/originals/"
_MOLALKIT = _RAW + "RekerLab/MolALKit/46b6d45/molalkit/data/datasets/"
_CHEMPROP = _RAW + "aamini/chemprop/4532c4fd22cf9cf108fd308fb62d1ad1f012b0af/data/"
_ADMET = _RAW + "netknowledge/ADMET/0fcce6a/datasets/"
_AQSOL = _RAW + "mcsorkun/AqSolDB/8e02b548fd9a78778ff89a5aa9a460d1a289cc3a/results/"

_VEITH = "shares at least 76 % of its molecules with every other cyp*_veith task"
_SUBSTRATE = "shares at least 99 % of its molecules with the other cyp*_substrate tasks"


def _tdc(name: str, records: int, what: str, sha256: str, note: str = "") -> Entry:
    """Make the entry of a classification task in TDC's own .tab form."""
    return Entry(
        name, "classification", records, what, "TDC", "unverified",
        address=f"{_ERSILIA}{name}.tab", columns=("Drug", "Y"), sha256=sha256, note=note,
    )  # fmt: skip


def _net(
    name: str, records: int, what: str, sha256: str, *, file: str, columns: tuple[str, str], unit: str = "",
    note: str = "",
) -> Entry:  # fmt: skip
    """Make the entry of a MoleculeNet task; one with a unit is a regression."""
    task: Task = "regression" if unit else "classification"
    return Entry(
        name, task, records, what, "MoleculeNet", "unverified", unit,
        address=_GLAMBARD + file, columns=columns, sha256=sha256, note=note,
    )  # fmt: skip


def _values(
    name: str, records: int, what: str, sha256: str, *, unit: str, address: str, columns: tuple[str, str],
    source: str = "TDC", licence: str = "unverified", note: str = "",
) -> Entry:  # fmt: skip
    """Make the entry of a regression task from elsewhere."""
    return Entry(
        name, "regression", records, what, source, licence, unit,
        address=address, columns=columns, sha256=sha256, note=note,
    )  # fmt: skip


# ruff: noqa: E501  (one task a line)
TASKS: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        _tdc("ames", 7278, "mutagenic in the Ames test", "cae27f14edd2e91b08752584f4ca4e5b6c8038bbb96088ae2a4d3c407be9fdf4"),
        _tdc("bbb_martins", 2039, "crosses the blood-brain barrier", "edc466d3b2b7ab439fc25f0e0927e9e79fa03f65017b1a33cb0dba577a3ea208", "same molecules as bbbp"),
        _tdc("bioavailability_ma", 640, "oral bioavailability of at least 20 %", "dd7afb5e28022cd98b13387555ea8cede37fe0677c3bbfb6f1167cded8ccb1ee"),
        _tdc("carcinogens_lagunin", 280, "carcinogen", "fef8acfcfa21713e52a993f7fc699732515e69f315bbd53008a98de8581416b2"),
        _tdc("clintox", 1478, "failed clinical trials for toxicity", "b283612849637970b8f3c45105867cbfc4b2d37bbfd8e184b8a1fd1d9ad9fcb6", "7.6 % positive"),
        _tdc("cyp1a2_veith", 12579, "inhibits CYP1A2", "0bf119509707b424496382134fcae487725965059bf75245cc413aa55dae911c", _VEITH),
        _tdc("cyp2c19_veith", 12665, "inhibits CYP2C19", "f9ae91e001d5bdbd51d48e9eb3ea2762dd7658c15ad24ec54e72e868a337f73a", _VEITH),
        _tdc("cyp2c9_veith", 12092, "inhibits CYP2C9", "1c9bcae4572fe6470b8fdcb7a71e96cccb998be2c7a61f5d438be884e18af803", _VEITH),
        _tdc("cyp2d6_veith", 13130, "inhibits CYP2D6", "9ed30f9efc2afdae9326e4204e1cc611aabc4a01c5131520bd5fcb7833522bff", _VEITH),
        _tdc("cyp3a4_veith", 12328, "inhibits CYP3A4", "dc5300dac497810a95a3650958f22088ef9f8b8f3043cef0641862966e7e6975", _VEITH),
        _tdc("cyp2c9_substrate_carbonmangels", 669, "CYP2C9 substrate", "30b6e937f29cb7b7d80cb5ad83b37da36f79895f94276f5a61e609630fa68ba7", _SUBSTRATE),
        _tdc("cyp2d6_substrate_carbonmangels", 667, "CYP2D6 substrate", "f2be9202f423e832e0471c6402993ea15b9f589fae9c898ab07d81db8438f7fe", _SUBSTRATE),
        _tdc("cyp3a4_substrate_carbonmangels", 670, "CYP3A4 substrate", "cdef019ad102e09c1b74686ed2d9222d8ac3a8300829448bf2366a08b6507009", _SUBSTRATE),
        _tdc("dili", 475, "drug-induced liver injury", "19697f933bf4b4834e5afbf009f92b646e87c02f36ef547f3ac76b61f92cbb6f"),
        _tdc("herg", 655, "hERG blocker", "fb65987eed432e81062ac89421032c13004384d3e123678ef7c5d039ca8f537d"),
        _tdc("hia_hou", 578, "absorbed in the human intestine", "99d229538dc2356fff967c94c26f4bc5af5cddd2717f37401c8b63f6f66a7809", "86.5 % positive"),
        _tdc("skin_reaction", 404, "skin sensitiser", "538e5f550744954f902d0c12bbf83f4f8d266047ca058a8ceef1de3e5a2a4412"),
        _tdc("pgp_broccatelli", 0, "inhibits P-glycoprotein", "", "not seen by the developers: number of records and content unverified"),
        _net("bace", 1513, "BACE-1 inhibitor", "1d05fa82dfdb7d91d83853442fe968ad2d2727043a9a97a0e14311287835aa18", file="bace.csv", columns=("mol", "Class"), note="same molecules as bace_pic50"),
        _net("bbbp", 2039, "crosses the blood-brain barrier", "7c2b954237bec57cdf1ab7bd3deec90fafa36d7d6da44a449f7ee90c98933b93", file="BBBP.csv", columns=("smiles", "p_np"), note="same molecules as bbb_martins"),
        _net("hiv", 41120, "inhibits HIV replication", "42a675269bc70f5ba1a55a482d11d6e826ec045f8eb00dd2694691d3363b5a4f", file="HIV.csv", columns=("smiles", "HIV_active"), note="3.5 % positive"),
        _net("tox21_nr_ahr", 6542, "AhR agonist", "d07dbb973148d36f217a082097fd0c965df17ac113d015f6d44605ed0490bd55", file="tox21.csv", columns=("smiles", "NR-AhR"), note="rows without a label are left out"),
        _net("tox21_sr_mmp", 5804, "disrupts the mitochondrial membrane potential", "55bd9c38293f2abdf078c8ab602747c9a9b22781a0ac391b927dd2a130fe1979", file="tox21.csv", columns=("smiles", "SR-MMP"), note="rows without a label are left out"),
        _net("bace_pic50", 1513, "inhibition of BACE-1", "73f1702191c494225e772c332e8f4f750caa5c9ee4622e2834e26520ec88f509", file="bace.csv", columns=("mol", "pIC50"), unit="pIC50", note="same molecules as bace"),
        _net("esol", 1128, "aqueous solubility", "87ae5609992cd5d4bc0d96db52cad1c71ed7809bbe05c9576472dc2070cb24d1", file="ESOL_delaney-processed.csv", columns=("smiles", "measured log solubility in mols per litre"), unit="log10 mol/L"),
        _net("freesolv", 642, "hydration free energy", "b9222df2b6464f84fc82759adf641251c9ad41cc9935f30f36fb2a2a3b91d2f6", file="FreeSolv_SAMPL.csv", columns=("smiles", "expt"), unit="kcal/mol"),
        _net("lipophilicity_astrazeneca", 4200, "logD at pH 7.4", "6165700589c8c6054534404e8834539a05f8be08bc1fc6917bfa5147a2bfc3d7", file="Lipophilicity.csv", columns=("smiles", "exp"), unit="logD", note="a task of TDC and of MoleculeNet"),
        _values("caco2_wang", 910, "Caco-2 permeability", "e5302dd448eb3c8775122c38042f399ffc1f60df88c31194a658e14bbedb3cec", unit="log10 cm/s", address=f"{_MOLALKIT}caco2_wang.csv", columns=("smiles", "caco2_wang")),
        _values("clearance_hepatocyte_az", 1213, "hepatocyte intrinsic clearance", "e2d068fbc5ca111e931444d6dcc7341210ac5bfea7ba58211df9b55bf56043c9", unit="uL/min/10^6 cells", address=f"{_MOLALKIT}Clearance_Hepatocyte_AZ.csv", columns=("smiles", "target"), note="raw scale, censored at 3 and 150: use a log target"),
        _values("half_life_obach", 667, "half-life", "ca2a83c8d233429226a26cf023787db4c35e0b17a7643e8b9fd7b724459876af", unit="h", address=f"{_MOLALKIT}Half_Life_Obach.csv", columns=("smiles", "target"), note="raw scale, heavy-tailed: use a log target"),
        _values("microsome_az_log10", 1102, "microsomal clearance", "5862f42685854178fd098983dddfc70631eef822f06ebb1932028d673e1be036", unit="log10 mL/min/g", address=f"{_ADMET}microsomal_AZ-hLM.csv", columns=("smiles", "target"), source="ChEMBL (AstraZeneca)", note="log10 form of TDC's clearance_microsome_az"),
        _values("ppbr_az", 1614, "human plasma protein binding", "36d4aec35c0de7b88a4410d2e56ec71d3e905ddcdb47ff415b5f19d0527d9880", unit="%", address=f"{_MOLALKIT}ppbr_az.csv", columns=("smiles", "target"), note="the human part of ppbr_az_all_species"),
        _values("ppbr_az_all_species", 2790, "plasma protein binding, five species mixed", "3da41942f543c19d91512a0b81ca35c489d2473210cb31d298d73d242cced13b", unit="%", address=f"{_CHEMPROP}ppbr_az.csv", columns=("smiles", "target"), note="one molecule has a value for each species: they are averaged"),
        _values("solubility_aqsoldb", 9980, "aqueous solubility", "4190dc9b5153c78399e435511bc3d3aa12f0658a22ebda93e1079b76c0bd9d60", unit="log10 mol/L", address=f"{_AQSOL}data_curated.csv", columns=("SMILES", "Solubility"), source="AqSolDB", licence="CC0-1.0"),
        _values("ld50_zhu", 0, "acute oral toxicity in rats", "", unit="log10 kg/mol", address=f"{_CHEMPROP}ld50_zhu.csv", columns=("smiles", "target"), note="not seen by the developers: number of records and content unverified"),
        _values("vdss_lombardo", 0, "volume of distribution at steady state", "", unit="L/kg", address="", columns=("smiles", "target"), note="raw scale: use a log target; no public copy recorded, bring the file"),
        _values("clearance_microsome_az", 0, "microsomal clearance", "", unit="mL/min/g", address="", columns=("smiles", "target"), note="raw scale: use a log target; no public copy recorded, bring the file or use microsome_az_log10"),
    )
}  # fmt: skip
