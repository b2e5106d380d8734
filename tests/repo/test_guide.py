"""The guide for implementers: its commands run, its examples are real, and its generated parts are up to date."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import jsonschema
import msgspec
import pytest
import typer

from tunproof.authoring import guide
from tunproof.cli.commands import app
from tunproof.corpus import script
from tunproof.corpus.capabilities import CAPABILITIES
from tunproof.corpus.load import load
from tunproof.judge.verdict import Kind
from tunproof.protocol import messages as protocol
from tunproof.protocol import text as protocol_text
from tunproof.protocol.kit import KITS, kit
from tunproof.runs import results
from tunproof.runs.baseline import Baseline
from tunproof.subjects.adapters.process import Limits
from tunproof.subjects.lifecycle.scenery import FarSide

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / guide.GUIDE).read_text("utf-8")
HANDMADE, _, _ = GUIDE.partition("<!-- protocol begin -->")
SPLITTER = ROOT / "tests/adapters/newcomer/splitter.go"
TUNPROOF = Path(sys.executable).with_name("tunproof")
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{TUNPROOF.parent}:{os.environ['PATH']}",
    "GOTOOLCHAIN": "local",
    "GOFLAGS": "-mod=mod",
    "COLUMNS": "120",
}
REFERENCE = f"#!/bin/sh\nexec {shlex.quote(sys.executable)} -m tunproof.reference_adapter\n"


def section(title: str) -> str:
    """Return what stands below a heading, up to the next one of its level."""
    (hashes,) = re.findall(rf"^(#+) {re.escape(title)}$", GUIDE, flags=re.MULTILINE)
    _, _, rest = GUIDE.partition(f"\n{hashes} {title}\n")
    return re.split(rf"^#{{1,{len(hashes)}}} ", rest, flags=re.MULTILINE)[0]


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    return [block for name, block in found if name == language]


def bash(command: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        env=ENVIRONMENT | more,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


def needs(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"there is no {program}")


def make_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


# What is generated.


def test_the_generated_parts_are_those_of_today() -> None:
    assert guide.refreshed(GUIDE) == GUIDE, "python -m tunproof.authoring.guide"


def test_the_schemas_are_those_of_today() -> None:
    folder = ROOT / guide.SCHEMAS
    files = {path.name: path.read_text("utf-8") for path in folder.iterdir()}
    assert files == guide.schema_files(), "python -m tunproof.authoring.guide"


def test_a_guide_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="verdicts"):
        guide.refreshed(GUIDE.replace("<!-- verdicts end -->", ""))


def test_the_protocol_names_everything_that_can_be_said() -> None:
    text = protocol_text.markdown()
    names = {*protocol.MODES, *protocol.OPS, *CAPABILITIES, protocol.SENTINEL.hex()}
    messages = (*get_args(protocol.Reply), protocol.HelloReply, protocol.Hello, protocol.Attach, protocol.Run)
    for message in (*messages, *protocol.INPUTS.values()):
        names |= {field.encode_name for field in msgspec.structs.fields(message)}
    assert not {name for name in names if f"`{name}`" not in text}
    for told in get_args(script.Step):
        assert (f'"do": "{told.__struct_config__.tag}"' in text) == (told not in runners_steps()), told


def runners_steps() -> set[type]:
    return set(FarSide(script.Script(steps=(script.Close(),))).steps)


def test_meanings_and_defaults_come_from_the_types() -> None:
    text = " ".join(protocol_text.markdown().split())
    assert "`descriptors` (integer or null): number of an inherited Unix socket" in text
    assert '`rejectStyle` (`"error"` or `"silent"`; `"error"` if left out): how the implementation' in text
    assert '`"do": "open-wire"`, `fd` (a name), `least` (integer; `0` if left out)' in text


def test_the_verdicts_are_all_there() -> None:
    assert re.findall(r"^\| ([\w-]+) \|", section("Verdicts"), flags=re.MULTILINE)[1:] == [kind.value for kind in Kind]


def test_the_figures_are_those_of_today() -> None:
    limits = Limits()
    table = section("Batches, deadlines, crashes")
    for row in (
        f"| an answer | {limits.answer:g} s,",
        f"| {limits.start:g} s | `--start-deadline` |",
        f"| {limits.memory >> 20} MiB | `--memory` |",
        f"| {limits.restarts} | `--restarts` |",
        f"up to {protocol.BATCHED} runs",
    ):
        assert row in table
    assert f"its {len(load().cases)} cases" in GUIDE


def test_links_lead_somewhere() -> None:
    def anchor(title: str) -> str:
        return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")

    anchors = {anchor(title) for title in re.findall(r"^#+ (.*)$", GUIDE, flags=re.MULTILINE)}
    for target in re.findall(r"\]\(([^)]+)\)", GUIDE):
        path, _, name = target.partition("#")
        assert (ROOT / "harness" / path).exists(), target
        assert not name or name in anchors, target


# The commands.


def lines_of(text: str, program: str) -> list[str]:
    lines = [line for block in blocks(text, "sh") for line in block.splitlines()]
    spans = re.findall(rf"`({program} [^`]*)`", text)
    return [line for line in (*lines, *spans) if line.startswith(f"{program} ")]


@pytest.mark.parametrize("line", lines_of(HANDMADE, "tunproof"))
def test_a_command_of_the_guide_exists_with_its_options(line: str) -> None:
    words = shlex.split(re.split(r" [>|] ", line)[0])[1:]
    command: Any = typer.main.get_command(app)
    context = command.make_context("tunproof", words)
    while hasattr(command, "resolve_command"):
        name, command, words = command.resolve_command(context, words)
        context = command.make_context(name, words, parent=context)  # raises for what it does not know


def quick(block: str) -> str:
    """Let commands without a selection be about few cases: where an option is given twice, the last one counts."""
    block = re.sub(
        r"^tunproof check (?!--write-baseline)", "tunproof check --select 'read/plain/*' ", block, flags=re.M
    )
    return re.sub(r"^pytest ", "pytest --tunproof-select 'read/plain/*' ", block, flags=re.M)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an adapter that does everything in every mode, and the results of yesterday and today."""
    folder = tmp_path_factory.mktemp("desk")
    make_program(folder / "adapter", REFERENCE)
    (folder / "tunproof.toml").touch()
    done = bash(quick("tunproof check --report results -- ./adapter; cp -r results yesterday"), folder)
    assert done.returncode == 0, done.stderr
    return folder


LATER = [
    block
    for block in blocks(HANDMADE, "sh")
    if block not in blocks(section("Fifteen minutes to a first verdict"), "sh")
]


@pytest.mark.parametrize("block", LATER, ids=lambda block: block.splitlines()[0])
def test_every_command_of_the_guide_runs(block: str, desk: Path) -> None:
    done = bash(quick(block), desk)
    if done.returncode == 3 and re.search("device-|tunproof kernel", block):
        pytest.skip(f"no lab: {done.stderr}")
    assert done.returncode == 0, f"{done.stdout[-2000:]}{done.stderr}"


def test_what_a_report_consists_of_is_there(desk: Path) -> None:
    named = re.findall(r"^\| `([^`]+)` \|", section("Reports"), flags=re.MULTILINE)
    assert named
    assert {path.name for path in (desk / "yesterday").iterdir()} == {name for name in named if "/" not in name}


def test_the_way_for_go_leads_to_the_failure_that_is_shown(tmp_path: Path) -> None:
    needs("go")
    way = section("Fifteen minutes to a first verdict")
    _install, take, ask = blocks(way, "sh")
    (main,) = blocks(way, "go")
    (shown,) = blocks(way, "")
    taken = bash(take, tmp_path)
    assert taken.returncode == 0, taken.stderr
    (tmp_path / "adapter" / "main.go").write_text(main)
    shutil.copy(SPLITTER, tmp_path / "adapter")
    asked = bash(ask, tmp_path / "adapter")
    assert asked.returncode == 1, asked.stdout + asked.stderr
    assert shown in asked.stdout


@pytest.mark.parametrize("row", re.findall(r"^\| (?:Go|Rust|C|Python) \|.*$", GUIDE, flags=re.MULTILINE))
def test_a_kit_passes_as_it_is(row: str, tmp_path: Path) -> None:
    take, *build, check = re.findall("`([^`]+)`", row)
    for command in build:
        needs(command.split()[0])
    done = bash(" && ".join([take, *build, f"{check.replace('check', 'check --json', 1)}"]), tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdicts"]["pass"] > 90


def test_every_kit_is_in_the_guide_and_can_be_had() -> None:
    for language in KITS:
        assert f"`tunproof kit {language} > {KITS[language]}`" in GUIDE
        assert "tunproof" in kit(language)


def test_a_kit_that_is_not_there_is_a_wrong_use() -> None:
    done = subprocess.run([TUNPROOF, "kit", "cobol"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "python, go, rust, c" in done.stderr


def test_the_protocol_is_printed_for_people_and_for_programs() -> None:
    def said(*words: str) -> str:
        return subprocess.run([TUNPROOF, *words], capture_output=True, text=True, timeout=60, check=True).stdout

    assert said("protocol") == protocol_text.markdown()
    assert json.loads(said("protocol", "--schema")) == guide.schemas()


def test_the_baseline_of_the_guide_is_one(tmp_path: Path) -> None:
    (example,) = blocks(HANDMADE, "toml")
    (tmp_path / "tunproof.toml").write_text(example)
    baseline = Baseline.load(tmp_path / "tunproof.toml")
    digests = {case.id: case.digest for case in load().cases.values()}
    assert [entry.outcome for entry in baseline.entries] == ["fail", "crash"]
    assert baseline.check(digests, set(digests), "6.6.44") == []


def test_the_python_of_the_guide_passes() -> None:
    (code,) = blocks(HANDMADE, "python")
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102
    names["test_conformance"]()


# The conversation.


def conversation() -> Iterator[tuple[str, str]]:
    """Yield direction and line, unfolded."""
    (block,) = blocks(section("A whole conversation"), "")
    for line in re.sub(r"\n +", "", block).splitlines():
        yield line[:2], line[3:]


def test_the_conversation_is_a_real_one() -> None:
    asked = [line for way, line in conversation() if way == "->"]
    done = subprocess.run(
        [sys.executable, "-m", "tunproof.reference_adapter"],
        input="\n".join(asked) + "\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.splitlines() == [line for way, line in conversation() if way == "<-"]
    assert done.returncode == 0
    assert [json.loads(line)["cmd"] for line in asked] == ["hello", "run", "run", "run", "batch", "bye"]


def valid(name: str, message: object) -> bool:
    return jsonschema.Draft202012Validator(guide.schemas()[name]).is_valid(message)


def test_the_conversation_is_what_the_schemas_allow() -> None:
    for way, line in conversation():
        message = json.loads(line)
        name = {"->": "runner", "<-": "adapter"}[way]
        assert valid(name, message), line
        assert not valid(name, message | {"surplus": 1}), line


def test_a_stream_of_results_is_what_its_schema_allows(desk: Path) -> None:
    lines = [json.loads(line) for line in (desk / "results" / results.STREAM).read_text().splitlines()]
    assert {line["record"] for line in lines} == {"run", "result", "end"}
    validator = jsonschema.Draft202012Validator(guide.schemas()["results"])
    for line in (lines[0], lines[1], lines[-1]):
        validator.validate(line)
        assert not validator.is_valid(line | {"surplus": 1})


@pytest.mark.parametrize("name", ["runner", "adapter", "results"])
def test_schemas_are_schemas(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(guide.schemas()[name])


# The action.

ACTION = (ROOT / "action.yml").read_text()
SCRIPT = ROOT / ".github" / "check.sh"
KIT = ROOT / "harness/tunproof/protocol/kits/adapter.py"


def act(folder: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """Run the script of the action as GitHub does, but for the installation."""
    names = re.findall(r"^        (INPUT_\w+): ", ACTION, flags=re.MULTILINE)
    given = dict.fromkeys(names, "") | {"INPUT_REPORT": "tunproof-report"}
    given |= {f"INPUT_{name.upper()}": value for name, value in inputs.items()}
    assert set(given) == set(names)
    there = {"GITHUB_STEP_SUMMARY": str(folder / "summary"), "GITHUB_OUTPUT": str(folder / "output")}
    return bash(f"bash {SCRIPT}", folder, **given, **there, TUNPROOF=str(TUNPROOF))


def test_the_action_checks_and_shows_the_summary(tmp_path: Path) -> None:
    shutil.copy(KIT, tmp_path / "my adapter.py")
    done = act(tmp_path, adapter="python3 'my adapter.py'", select="checksum/*", args="--repeat 2 --mode memory")
    assert done.returncode == 0, done.stderr
    summary = (tmp_path / "tunproof-report" / "summary.md").read_text()
    assert "example" in summary
    assert (tmp_path / "summary").read_text() == summary
    assert (tmp_path / "output").read_text() == "report=tunproof-report\nexit-code=0\n"


def test_the_action_ends_as_tunproof_does(tmp_path: Path) -> None:
    baseline = tmp_path / "known.toml"
    baseline.write_text('[[known]]\ncase = "checksum/*"\noutcome = "fail"\nreason = "none"\n')
    done = act(tmp_path, adapter=f"python3 {shlex.quote(str(KIT))}", baseline=str(baseline), report="here")
    assert done.returncode == 1, done.stderr
    assert "xpass" in (tmp_path / "summary").read_text()
    assert (tmp_path / "output").read_text() == "report=here\nexit-code=1\n"


def test_the_action_shows_no_summary_of_an_earlier_step(tmp_path: Path) -> None:
    (tmp_path / "tunproof-report").mkdir()
    (tmp_path / "tunproof-report" / "summary.md").write_text("old")
    done = act(tmp_path, adapter="true", mode="telepathy")
    assert done.returncode == 2
    assert "telepathy" in done.stderr
    assert not (tmp_path / "summary").exists()
    assert (tmp_path / "output").read_text().endswith("exit-code=2\n")


@pytest.mark.parametrize("name", ["adapter", "select", "baseline", "mode", "report", "args"])
def test_no_input_of_the_action_is_run_by_a_shell(name: str, tmp_path: Path) -> None:
    evil = '$(touch evil)`touch evil`; touch evil; "; touch evil'
    act(tmp_path, **{"adapter": f"python3 {KIT}", name: evil.replace('"', "") if name in {"adapter", "args"} else evil})
    assert not (tmp_path / "evil").exists()
    assert (tmp_path / "output").exists()


def test_expressions_stand_in_variables_and_never_in_a_script() -> None:
    for line in ACTION.splitlines():
        if "${{" in line:
            assert re.fullmatch(r" +(INPUT_[A-Z]+|python-version|value): \$\{\{ [\w.-]+ \}\}", line), line
    declared = re.findall(r"^  ([\w-]+):$", ACTION.partition("outputs:")[0], flags=re.MULTILINE)
    used = re.findall(r"inputs\.([\w-]+) \}\}", ACTION)
    assert sorted(declared) == sorted(used)
    assert set(re.findall(r"INPUT_\w+", ACTION)) == set(re.findall(r"INPUT_\w+", SCRIPT.read_text()))
    for name in declared:
        assert f"`{name}`" in section("GitHub"), name


def test_the_workflow_runs_everything_and_uses_the_action() -> None:
    text = (ROOT / ".github/workflows/tunproof.yml").read_text()
    used = re.findall(r"uses: (\S+)", text + ACTION)
    assert "./" in used
    assert "- run: .ci/run" in text
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", name) for name in used if name != "./")
    assert "python3 harness/tunproof/protocol/kits/adapter.py" in text
