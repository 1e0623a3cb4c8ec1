#!/usr/bin/env python3
"""The exported graphs, computed by runtimes that are not ours, act as the agent does.

    onnx_runs.py [--train] BEL-LEARN AGENT_TRACE MODEL...

--train: with small models besides that it trains itself, of the kinds that are not shipped.

Checks every graph with onnx.checker and runs it with ONNX Runtime, or with onnx' own reference evaluator. Exit code
77 where neither can be had.
"""
import json
import os
import subprocess
import sys
import tempfile

python = os.environ.get("BELIEFD_TEST_PYTHON")
if python and os.path.realpath(sys.prefix) != os.path.realpath(os.path.dirname(os.path.dirname(python))):
    os.execv(python, [python] + sys.argv)
try:
    import numpy
    import onnx
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)


def runner(path):
    try:
        import onnxruntime
        onnxruntime.set_default_logger_severity(3)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return lambda feeds: session.run(None, feeds), "ONNX Runtime " + onnxruntime.__version__
    except ImportError:
        pass
    try:
        from onnx.reference import ReferenceEvaluator
    except ImportError:
        print("skipped: neither onnxruntime nor onnx.reference")
        sys.exit(77)
    evaluator = ReferenceEvaluator(path)
    return lambda feeds: evaluator.run(None, feeds), "onnx reference evaluator " + onnx.__version__


def load(directory, name):
    """The graph's runner, its inputs that have no default, its outputs."""
    path = os.path.join(directory, name + ".onnx")
    if not os.path.exists(path):
        return None
    graph = onnx.load(path)
    onnx.checker.check_model(graph, full_check=True)
    defaults = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.graph.initializer}
    run, who = runner(path)
    inputs = [value.name for value in graph.graph.input]
    return {"run": run, "who": who, "inputs": inputs, "outputs": [value.name for value in graph.graph.output],
            "state": {key: defaults[key] for key in inputs if key in defaults}}


def row(values):
    return numpy.array([values], dtype=numpy.float32)


trains = "--train" in sys.argv
learn, trace, *models = [argument for argument in sys.argv[1:] if argument != "--train"]
made = tempfile.TemporaryDirectory()
kinds = {
    "both-heads": "point --transition 5", "weights": "point --transition 5 --space weight", "none": "point --model none",
    "principal": "point --transition 5 --space principal --components 4",
    "oracle": "point --model oracle", "varibad": "point --model varibad", "rl2": "point --model rl2",
    "pearl": "point --model pearl --algorithm sac", "squashed": "point --algorithm sac", "choices": "gridworld",
}
for name, options in kinds.items() if trains else ():
    models.append(os.path.join(made.name, name))
    frames = "2000" if "sac" in options else "12000"
    subprocess.run([learn, "train", *options.split(), "--frames", frames, "--envs", "4", "--evaluation-tasks", "0",
                    "--quiet", "--out", models[-1]], check=True, stderr=subprocess.DEVNULL)
for model in models:
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([learn, "export", model, "--onnx", directory], check=True, stdout=subprocess.DEVNULL)
        policy, belief = load(directory, "policy"), load(directory, "belief")
    state = dict(belief["state"]) if belief else {}
    lines = subprocess.run([trace, model, "60"], check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    worst = mattered = 0
    for line in lines:
        step = json.loads(line)
        feeds = {"observation": row(step["observation"]), "task": row(step["task"])}
        feeds.update({key: value for key, value in state.items()})
        action = policy["run"]({key: feeds[key] for key in policy["inputs"]})[0][0]
        assert action.shape == (len(step["action_before"]),), action.shape
        worst = max(worst, float(numpy.abs(action - numpy.array(step["action_before"])).max()))
        if belief:
            feeds.update(belief["state"])
            unmoved = policy["run"]({key: feeds[key] for key in policy["inputs"]})[0][0]
            mattered = max(mattered, float(numpy.abs(action - unmoved).max()))
            feeds = {"observation": row(step["observation"]), "action": row(step["executed"]),
                     "next_observation": row(step["next_observation"]), "reward": row(step["reward"])}
            feeds.update(state)
            after = belief["run"]({key: feeds[key] for key in belief["inputs"]})
            state = {name[:-len(".next")]: value for name, value in zip(belief["outputs"], after)}
    assert len(lines) == 60
    assert worst < 1e-4, f"{model}: an action differs by {worst}"
    assert not belief or mattered > 10 * worst or model.endswith("choices"), f"{model}: the belief changes actions by {mattered} only"
    moved = {key: float(numpy.abs(value - belief["state"][key]).max()) for key, value in state.items()} if belief else {}
    assert all(change > 0 for change in moved.values()), moved
    print(f"{os.path.basename(model)}: 60 steps, actions within {worst:.1e} ({policy['who']})")
