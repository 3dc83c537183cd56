"""Scenarios are read from YAML and from plain values, and say where they are wrong."""

import sys

import pytest

from dify_workflow_async.local import (
    App,
    LocalServer,
    Node,
    Parallel,
    Pause,
    Ping,
    Scenario,
    ScenarioError,
    Sleep,
    Speech,
    Variable,
    demo_scenario,
)


YAML = """
inputs:
  - {variable: query, required: true, max_length: 256}
  - {variable: color, type: select, options: [red, blue], default: red}
steps:
  - ping
  - node: {type: llm, text: ["Hello, ", "{query}"], chunk_delay: 0, tokens: 3}
  - parallel:
      branches:
        - [sleep: {seconds: 0.5}]
        - [ping]
  - speech: {audio: [YQ==], tail: [Yg==]}
  - node: {type: end, outputs: {text: "{llm.text}"}}
outputs: {color: "{color}"}
"""


@pytest.fixture
def yaml_installed() -> None:
    """Skip without PyYAML, which is optional."""
    pytest.importorskip("yaml")


@pytest.mark.usefixtures("yaml_installed")
def test_yaml_is_read():
    """Every field arrives as its class has it."""
    assert Scenario.from_yaml(YAML) == Scenario(
        inputs=[
            Variable(variable="query", required=True, max_length=256),
            Variable(
                variable="color", type="select", options=["red", "blue"], default="red"
            ),
        ],
        steps=[
            Ping(),
            Node(type="llm", text=["Hello, ", "{query}"], tokens=3),
            Parallel(branches=[[Sleep(seconds=0.5)], [Ping()]]),
            Speech(audio=[b"a"], tail=[b"b"]),
            Node(type="end", outputs={"text": "{llm.text}"}),
        ],
        outputs={"color": "{color}"},
    )


@pytest.mark.usefixtures("yaml_installed")
def test_yaml_file_is_read(tmp_path):
    """A path is read, as a path or as text that looks like one."""
    path = tmp_path / "app.yml"
    path.write_text(YAML, "utf-8")
    assert Scenario.from_yaml(path) == Scenario.from_yaml(str(path))


def test_plain_values_are_read():
    """What JSON has is read in the same way, null included."""
    node = {"type": "llm", "text": "one piece", "error": None}
    assert Scenario.from_dict({"steps": [{"node": node}], "inputs": None}) == Scenario(
        steps=[Node(type="llm", text="one piece")]
    )


def test_numbers_are_read():
    """Times may be parts of a second, and counts may be left open."""
    steps = [
        {"pause": {"expires_in": 0.5}},
        {"pause": {"expires_in": 60}},
        {"node": {"type": "end", "truncate_at": 3}},
        {"node": {"type": "end", "truncate_at": None}},
    ]
    assert Scenario.from_dict({"steps": steps}) == Scenario(
        steps=[
            Pause(expires_in=0.5),
            Pause(expires_in=60.0),
            Node(type="end", truncate_at=3),
            Node(type="end"),
        ]
    )


@pytest.mark.usefixtures("yaml_installed")
async def test_yaml_scenario_runs(post_run):
    """A scenario from YAML plays like any other."""
    app = App(Scenario.from_yaml(YAML))
    body = {"inputs": {"query": "world"}, "response_mode": "blocking"}
    async with LocalServer([app]) as server, post_run(server, app, **body) as response:
        data = (await response.json())["data"]
    assert data["outputs"] == {"color": "red"}
    assert data["total_tokens"] == 3


@pytest.mark.usefixtures("yaml_installed")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1", "scenario: must be an object, not [1]"),
        ("{1: 2}", "scenario: must be a text, not 1"),
        ("step: []", "step: unknown; the fields are: steps, inputs, outputs"),
        ("steps: 3", "steps: must be a list, not 3"),
        ("steps: [3]", "steps[0]: must be an object, not 3"),
        ("steps: [nope]", "steps[0]: unknown kind 'nope'; the kinds are: node"),
        ("steps: [{a: 1, b: 2}]", "steps[0]: must have one key, the kind of the step"),
        ("steps: [ping, {node: {}}]", "steps[1].node.type: is missing"),
        ("steps: [{node: {type: 3}}]", "steps[0].node.type: must be a text, not 3"),
        (
            "steps: [{node: {type: a, status: b}}]",
            "steps[0].node.status: must be one of succeeded, failed, exception, not 'b'",
        ),
        (
            "steps: [{node: {type: a, price: dear}}]",
            "steps[0].node: price must be a decimal number, not 'dear'",
        ),
        (
            "steps: [{node: {type: a, delay: -1}}]",
            "steps[0].node.delay: must be a number, 0 or more, not -1",
        ),
        (
            "steps: [{node: {type: a, delay: .nan}}]",
            "steps[0].node.delay: must be a number, 0 or more, not nan",
        ),
        (
            "steps: [{loop: {count: 1.5, steps: []}}]",
            "steps[0].loop.count: must be a whole number, 0 or more, not 1.5",
        ),
        (
            "steps: [{iteration: {items: 3, steps: []}}]",
            "steps[0].iteration.items: must be a list, not 3",
        ),
        (
            "steps: [{parallel: {branches: [[ping], [{loop: {}}]]}}]",
            "steps[0].parallel.branches[1][0].loop.count: is missing",
        ),
        (
            "inputs: [{variable: a, required: 1}]",
            "inputs[0].required: must be true or false, not 1",
        ),
        (
            "steps: [{node: {type: a, error: 3}}]",
            "steps[0].node.error: must be a text, not 3",
        ),
        ("steps: [", "scenario: not YAML: "),
    ],
)
def test_faults_have_a_place(text, message):
    """A wrong description is refused, and the error says where it is wrong."""
    with pytest.raises(ScenarioError) as caught:
        Scenario.from_yaml(text)
    assert str(caught.value).startswith(message)
    assert str(caught.value).startswith(caught.value.path or "scenario")


def test_missing_pyyaml_says_what_to_install(monkeypatch):
    """Without PyYAML the error tells the extra to install."""
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ModuleNotFoundError, match=r"dify-workflow-async\[cli\]"):
        Scenario.from_yaml("steps: []")


async def test_demo_shows_speech_after_the_end(stream):
    """The demo ends with speech after the end on 1.12, and is short."""
    app = App(demo_scenario())
    async with LocalServer([app], version="1.12.1") as server:
        frames = await stream(server, app)
        (run,) = server.runs
    names = [frame["event"] for frame in frames]
    end = names.index("workflow_finished")
    assert names[end + 1 :] == ["tts_message"] * 3 + ["tts_message_end"]
    assert names.count("text_chunk") == 12
    assert run.elapsed_time < 3
