"""The fixtures' models as ONNX graphs, as one would export them: fixed shapes, padding masked."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

NEVER = np.float32(-1e9)


class Graph:
    """Nodes and constants, one after the other."""

    def __init__(self):
        self.nodes, self.constants, self.count = [], [], 0

    def constant(self, value, kind=np.float32):
        return self.named(f"c{len(self.constants)}", np.asarray(value, kind))

    def named(self, name, value):
        self.constants.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def add(self, kind, *inputs, out=None, **attributes):
        self.count += 1
        out = out or f"n{self.count}"
        self.nodes.append(helper.make_node(kind, list(inputs), [out], **attributes))
        return out

    def save(self, path, inputs, outputs):
        value = lambda entry: helper.make_tensor_value_info(*entry)
        used = {name for node in self.nodes for name in node.input}
        self.constants = [constant for constant in self.constants if constant.name in used]
        graph = helper.make_graph(
            self.nodes, "fixture", [value(i) for i in inputs], [value(o) for o in outputs], self.constants
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        onnx.checker.check_model(model)
        onnx.save(model, str(path))


def sasrec(config, weights, path):
    """Inputs `ids` i32 `[1, len]` and `mask` `[1, 1, len, len]`, added to the attention's logits."""
    g = Graph()
    for name, value in weights.items():
        g.named(name, value)
    dim, length, heads = config["dim"], config["len"], config["heads"]
    split = g.constant([1, length, heads, dim // heads], np.int64)
    joined = g.constant([1, length, dim], np.int64)
    scale = g.constant((dim / heads) ** -0.5)
    norm = lambda x, name: g.add("LayerNormalization", x, f"{name}.g", f"{name}.b", axis=-1, epsilon=1e-5)
    dense = lambda x, weight, bias: g.add("Add", g.add("MatMul", x, weight), bias)
    x = g.add("Add", g.add("Mul", g.add("Gather", "E", "ids"), g.constant(dim**0.5)), "P")
    for b in range(config["blocks"]):
        p = f"b{b}."
        a = norm(x, p + "ln1")
        part = lambda c: g.add("Reshape", dense(a, f"{p}W{c}", f"{p}b{c}"), split)
        q, v = (g.add("Transpose", part(c), perm=[0, 2, 1, 3]) for c in "qv")
        k = g.add("Transpose", part("k"), perm=[0, 2, 3, 1])
        logit = g.add("Add", g.add("Mul", g.add("MatMul", q, k), scale), "mask")
        mixed = g.add("MatMul", g.add("Softmax", logit, axis=-1), v)
        mixed = g.add("Reshape", g.add("Transpose", mixed, perm=[0, 2, 1, 3]), joined)
        x = g.add("Add", x, dense(mixed, p + "Wo", p + "bo"))
        inner = g.add("Relu", dense(norm(x, p + "ln2"), p + "W1", p + "b1"))
        x = g.add("Add", x, dense(inner, p + "W2", p + "b2"))
    last = g.add("Gather", norm(x, "lnf"), g.constant(length - 1, np.int64), axis=1)
    g.add("Gemm", last, "E", out="scores", transB=1)
    g.save(
        path,
        [("ids", TensorProto.INT32, [1, length]), ("mask", TensorProto.FLOAT, [1, 1, length, length])],
        [("scores", TensorProto.FLOAT, [1, config["items"]])],
    )


def distances(rows, length):
    """`[heads, length, length]` of biases by distance; what comes later is never read."""
    back = np.arange(length)[:, None] - np.arange(length)[None, :]
    return np.where(back >= 0, rows[:, np.maximum(back, 0)], NEVER).astype(np.float32)


def student(shape, weights, path, dense):
    """Inputs: item rows (index - 1), kinds and gaps, i32 `[len]`, the session in front; `last`, the newest
    click's position, `[1]`. Outputs: scores without the repeat boost, and the session vector. Scores are look-ups
    by code, as ours; or, `dense`, products with item vectors that are decoded once (constants are folded when
    the graph is loaded), which takes more memory."""
    g = Graph()
    dim, length, heads, m = shape["dim"], shape["max_len"], shape["heads"], shape["subspaces"]
    width = dim // heads
    codes = weights["items.codes"].astype(np.int32)
    items = g.named("codes", codes + 256 * np.arange(m + 1, dtype=np.int32))
    for name, value in weights.items():
        if not name.startswith("items.") and "distance" not in name:
            g.named(name, value)
    own = g.named("own", codes[:, :-1] + 256 * np.arange(m, dtype=np.int32))
    centroids = g.named("centroids", weights["items.centroids"].reshape(256 * m, -1))
    two, sums = g.constant(2.0), g.constant(1e-6)
    flat = g.constant([length, dim], np.int64)

    def rms(x, gain):
        mean = g.add("ReduceMean", g.add("Pow", x, two), axes=[-1], keepdims=1)
        return g.add("Mul", g.add("Div", x, g.add("Sqrt", g.add("Add", mean, sums))), gain)

    def unit(x):
        dot = g.add("ReduceSum", g.add("Mul", x, x), g.constant([-1], np.int64), keepdims=1)
        return g.add("Div", x, g.add("Sqrt", g.add("Add", dot, sums)))

    vectors = g.add("Reshape", g.add("Gather", centroids, g.add("Gather", own, "items")), flat)
    x = g.add("Mul", vectors, g.constant(dim**0.5))
    x = g.add("Add", x, g.add("Gather", "kinds", "kind"))
    x = g.add("Add", x, g.add("Gather", "gaps", "gap"))
    split, thirds = g.constant([length, 3, heads, width], np.int64), [g.constant(i, np.int64) for i in range(3)]
    for b in range(shape["blocks"]):
        p = f"blocks.{b}."
        qkv = g.add("Reshape", g.add("MatMul", rms(x, p + "norm_attention"), p + "qkv"), split)
        q, k, v = (g.add("Gather", qkv, third, axis=1) for third in thirds)
        q, v = (g.add("Transpose", t, perm=[1, 0, 2]) for t in (q, v))
        logit = g.add("MatMul", q, g.add("Transpose", k, perm=[1, 2, 0]))
        logit = g.add("Mul", logit, g.constant(width**-0.5))
        logit = g.add("Add", logit, g.constant(distances(weights[p + "distance"], length)))
        mixed = g.add("Transpose", g.add("MatMul", g.add("Softmax", logit, axis=-1), v), perm=[1, 0, 2])
        x = g.add("Add", x, g.add("MatMul", g.add("Reshape", mixed, flat), p + "out"))
        inner = g.add("Add", g.add("MatMul", rms(x, p + "norm_forward"), p + "up"), p + "up_bias")
        x = g.add("Add", x, g.add("MatMul", g.add("Relu", inner), p + "down"))
    h = rms(x, "read.norm")
    newest = g.add("Gather", h, "last")
    keys = g.add("Transpose", g.add("MatMul", h, "read.key"), perm=[1, 0])
    logit = g.add("MatMul", g.add("MatMul", newest, "read.query"), keys)
    logit = g.add("Mul", logit, g.constant(dim**-0.5))
    biases = g.constant(distances(weights["read.distance"], length)[0])
    logit = g.add("Add", logit, g.add("Gather", biases, "last"))
    read = g.add("MatMul", g.add("Softmax", logit, axis=-1), vectors)
    vector = unit(g.add("Add", read, g.add("MatMul", newest, "read.mix")))
    g.add("Identity", vector, out="vector")
    query = unit(g.add("Add", vector, g.add("MatMul", g.add("MatMul", vector, "adapter.down"), "adapter.up")))
    query = g.add("Mul", query, g.constant(1 / shape["temperature"]))
    tables, bias = g.named("tables", weights["items.centroids"]), g.named("bias", weights["items.bias"])
    if dense:
        decoded = g.add("Reshape", g.add("Gather", centroids, own), g.constant([len(codes), dim], np.int64))
        each = g.add("Gather", bias, g.named("levels", codes[:, -1]))
        scores = g.add("Gemm", query, decoded, each, transB=1)
        g.add("Reshape", scores, g.constant([len(codes)], np.int64), out="scores")
    else:
        pieces = g.add("Reshape", query, g.constant([m, dim // m, 1], np.int64))
        table = g.add("Reshape", g.add("MatMul", tables, pieces), g.constant([256 * m], np.int64))
        looked = g.add("Gather", g.add("Concat", table, bias, axis=0), items)
        g.add("ReduceSum", looked, g.constant([1], np.int64), out="scores", keepdims=0)
    ids = [(name, TensorProto.INT32, [length]) for name in ("items", "kind", "gap")]
    g.save(
        path,
        [*ids, ("last", TensorProto.INT32, [1])],
        [("scores", TensorProto.FLOAT, [len(codes)]), ("vector", TensorProto.FLOAT, [1, dim])],
    )
