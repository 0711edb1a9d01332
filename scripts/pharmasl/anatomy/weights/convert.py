"""Convert deepbet's two TorchScript networks to the ONNX files beside this script.

Run once, in an environment of its own (the workflow needs neither torch nor onnx); README.md gives the versions::

    pip download --no-deps deepbet==1.0.2
    unzip deepbet-1.0.2-py3-none-any.whl -d deepbet
    python convert.py deepbet/data/models .
"""

import sys
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

# Name here, deepbet's file, and edge of the network's input cube.
NETWORKS = (("bounding_box", "bbox_model.pt", 128), ("brain", "model.pt", 256))


def store_half(model: onnx.ModelProto) -> None:
    """Store the large float32 constants as float16, cast back at load: half the file, the same float32 arithmetic."""
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or values.size < 256:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
        casts.append(helper.make_node("Cast", [f"{name}_half"], [name], f"{name}_cast", to=TensorProto.FLOAT))
    for node in reversed(casts):
        model.graph.node.insert(0, node)


def leave_scores(model: onnx.ModelProto) -> None:
    """Cut off the softmax at the end: onnxruntime takes longer for it than for the convolutions before it."""
    softmax = model.graph.node[-1]
    assert softmax.op_type == "Softmax"
    model.graph.node.remove(softmax)
    model.graph.node[-1].output[0] = model.graph.output[0].name = "scores"


def main(source: str, target: str) -> None:
    """Convert both networks from one folder to another."""
    for name, file, edge in NETWORKS:
        network = torch.jit.load(Path(source) / file, map_location="cpu").eval()
        path = Path(target) / f"{name}.onnx"
        example = torch.zeros(1, 1, edge, edge, edge)
        torch.onnx.export(
            network, (example,), path, opset_version=17, dynamo=False, input_names=["head"], output_names=["classes"]
        )
        model = onnx.load(path)
        leave_scores(model)
        store_half(model)
        # The exporter writes the names of its source files into every node.
        for node in model.graph.node:
            node.doc_string = ""
        onnx.checker.check_model(model)
        onnx.save(model, path)


if __name__ == "__main__":
    main(*sys.argv[1:])
