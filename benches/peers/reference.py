"""What the fixtures' models have to give, in double precision, and the same models as ONNX graphs.

    reference.py sasrec FOLDER     the small SASRec of `benches/fixture/examples/make_fixture.rs`
    reference.py student FOLDER    the shipped student, of `benches/fixture/examples/student_fixture.rs`

Written from the models' descriptions (README.md here; docs/formats.md for the student's tensors): numpy only,
gradients by hand, so that nothing that is measured computes what it is measured by. A gradient that does
not agree with finite differences is an error.
"""

import json
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

import graphs

NEVER = -1e9


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


# The fixture's SASRec ---------------------------------------------------------------------------


class Sasrec:
    """Pre-norm blocks; padding on the left, masked as a key; every position predicts the next click."""

    def __init__(self, config, weights):
        self.config, self.w = config, weights

    def norm(self, x, name):
        """Layer normalisation (Ba et al. 2016) and what its gradient needs."""
        factor = 1 / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        standard = (x - x.mean(-1, keepdims=True)) * factor
        return standard * self.w[f"{name}.g"] + self.w[f"{name}.b"], (standard, factor)

    def heads(self, x):
        n, length, dim = x.shape
        return x.reshape(n, length, self.config["heads"], -1).transpose(0, 2, 1, 3)

    def forward(self, ids):
        """Session vectors `[sessions, positions, dim]`, and what the gradient needs."""
        w, dim, length = self.w, self.config["dim"], self.config["len"]
        allowed = np.tril(np.ones((length, length), bool)) & (ids != 0)[:, None, :]
        mask = np.where(allowed, 0.0, NEVER)[:, None]
        scale = 1 / np.sqrt(dim / self.config["heads"])
        x = w["E"][ids] * np.sqrt(dim) + w["P"]
        trace = []
        for b in range(self.config["blocks"]):
            p = f"b{b}."
            first, norm1 = self.norm(x, p + "ln1")
            q, k, v = (self.heads(first @ w[f"{p}W{c}"] + w[f"{p}b{c}"]) for c in "qkv")
            share = softmax(q @ k.swapaxes(-1, -2) * scale + mask)
            mixed = (share @ v).transpose(0, 2, 1, 3).reshape(x.shape)
            x = x + mixed @ w[p + "Wo"] + w[p + "bo"]
            second, norm2 = self.norm(x, p + "ln2")
            inner = np.maximum(second @ w[p + "W1"] + w[p + "b1"], 0)
            x = x + inner @ w[p + "W2"] + w[p + "b2"]
            trace.append((first, norm1, q, k, v, share, mixed, second, norm2, inner))
        out, last = self.norm(x, "lnf")
        return out, (trace, last)

    def scores(self, ids):
        return self.forward(ids)[0][:, -1] @ self.w["E"].T

    def loss(self, batch, gradient=True):
        """Softmax over the next click and the negatives, mean over positions that have a next click; with
        the gradient of every tensor but the item table."""
        ids, targets, negatives = (np.asarray(batch[k]) for k in ("ids", "targets", "negatives"))
        h, trace = self.forward(ids)
        own, others = self.w["E"][targets], self.w["E"][negatives]
        logits = np.concatenate([(h * own).sum(-1, keepdims=True), h @ others.T], -1)
        valid = (targets != 0)[..., None] / (targets != 0).sum()
        top = logits.max(-1, keepdims=True)
        nats = top + np.log(np.exp(logits - top).sum(-1, keepdims=True)) - logits[..., :1]
        loss = (nats * valid).sum()
        if not gradient:
            return loss, None
        slope = softmax(logits)
        slope[..., 0] -= 1
        slope *= valid
        return loss, self.backward(slope[..., :1] * own + slope[..., 1:] @ others, trace)

    def backward(self, d_out, trace):
        """Gradients by name, from that of the session vectors."""
        w, grads = self.w, {}
        blocks, last = trace
        scale = 1 / np.sqrt(self.config["dim"] / self.config["heads"])

        def norm(d, name, kept):
            standard, factor = kept
            grads[f"{name}.g"] = (d * standard).sum((0, 1))
            grads[f"{name}.b"] = d.sum((0, 1))
            d = d * w[f"{name}.g"]
            through = standard * (d * standard).mean(-1, keepdims=True)
            return (d - d.mean(-1, keepdims=True) - through) * factor

        def dense(d, x, weight, bias):
            grads[weight] = np.einsum("nli,nlo->io", x, d)
            grads[bias] = d.sum((0, 1))
            return d @ w[weight].T

        dx = norm(d_out, "lnf", last)
        for b in reversed(range(len(blocks))):
            p = f"b{b}."
            first, norm1, q, k, v, share, mixed, second, norm2, inner = blocks[b]
            d_inner = dense(dx, inner, p + "W2", p + "b2") * (inner > 0)
            dx = dx + norm(dense(d_inner, second, p + "W1", p + "b1"), p + "ln2", norm2)
            d_mixed = self.heads(dense(dx, mixed, p + "Wo", p + "bo"))
            d_share = d_mixed @ v.swapaxes(-1, -2)
            d_logit = share * (d_share - (d_share * share).sum(-1, keepdims=True)) * scale
            parts = {"q": d_logit @ k, "k": d_logit.swapaxes(-1, -2) @ q, "v": share.swapaxes(-1, -2) @ d_mixed}
            d_first = 0
            for c, d in parts.items():
                flat = d.transpose(0, 2, 1, 3).reshape(dx.shape)
                d_first = d_first + dense(flat, first, f"{p}W{c}", f"{p}b{c}")
            dx = dx + norm(d_first, p + "ln1", norm1)
        grads["P"] = dx.sum(0)
        return grads


def check_gradient(model, batch):
    """Along a random direction of all parameters, to six digits."""
    rng = np.random.default_rng(0)
    _, grads = model.loss(batch)
    along = {name: rng.standard_normal(g.shape) for name, g in grads.items()}
    expected = sum((along[name] * g).sum() for name, g in grads.items())

    def moved(by):
        w = {n: v + by * along[n] if n in along else v for n, v in model.w.items()}
        return Sasrec(model.config, w).loss(batch, gradient=False)[0]

    found = (moved(1e-6) - moved(-1e-6)) / 2e-6
    if abs(found - expected) > 1e-6 * max(1, abs(expected)):
        raise SystemExit(f"the gradient is {expected} along a direction where the loss rises by {found}")


def losses_of(config, weights, batches):
    """Losses before each step of Adam (Kingma & Ba 2015; rate 1e-3, epsilon 1e-7), item table frozen."""
    model = Sasrec(config, dict(weights))
    moments, losses = {}, []
    for step, batch in enumerate(batches, 1):
        loss, grads = model.loss(batch)
        losses.append(float(loss))
        for name, g in grads.items():
            m, v = moments.get(name, (0, 0))
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            moments[name] = m, v
            m, v = m / (1 - 0.9**step), v / (1 - 0.999**step)
            model.w[name] = model.w[name] - 1e-3 * m / (np.sqrt(v) + 1e-7)
    return losses


def sasrec(folder):
    config = json.loads((folder / "config.json").read_text())
    sessions = np.array(json.loads((folder / "sessions.json").read_text())["sessions"])
    batches = json.loads((folder / "train.json").read_text())["steps"]
    single = load_file(folder / "weights.safetensors")
    weights = {name: v.astype(np.float64) for name, v in single.items()}
    model = Sasrec(config, weights)
    check_gradient(model, batches[0])
    scores = model.scores(sessions)
    losses = losses_of(config, weights, batches)
    write(folder, scores, 1, {"loss_head": losses})
    graphs.sasrec(config, single, folder / "model.onnx")
    print(f"sasrec: scores of {len(scores)} sessions; losses {losses[0]:.4f} to {losses[-1]:.4f}")


# The shipped student ----------------------------------------------------------------------------


def rms(x, gain):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6) * gain


def unit(x):
    return x / np.sqrt((x * x).sum() + 1e-6)


class Student:
    def __init__(self, shape, weights):
        self.shape = shape
        self.codes = weights["items.codes"].astype(np.int64)
        self.w = {name: v.astype(np.float64) for name, v in weights.items()}
        m = np.arange(shape["subspaces"])
        # Item vectors written out, row 0 is item 1: a table that neither side of the comparison has.
        self.items = self.w["items.centroids"][m, self.codes[:, :-1]].reshape(len(self.codes), -1)
        self.bias = self.w["items.bias"][self.codes[:, -1]]

    def attend(self, q, k, v, distance):
        """Each position reads itself and those before it; `distance[n]` is added for n clicks back."""
        n = len(q)
        back = np.arange(n)[:, None] - np.arange(n)[None, :]
        logit = q @ k.T / np.sqrt(q.shape[1]) + np.where(back >= 0, distance[np.maximum(back, 0)], NEVER)
        return softmax(logit) @ v

    def session_vector(self, session):
        w, d = self.w, self.shape["dim"]
        items = self.items[np.array(session["items"]) - 1]
        x = items * np.sqrt(d) + w["kinds"][session["kinds"]] + w["gaps"][session["gaps"]]
        width = d // self.shape["heads"]
        for b in range(self.shape["blocks"]):
            p = f"blocks.{b}."
            q, k, v = np.split(rms(x, w[p + "norm_attention"]) @ w[p + "qkv"], 3, axis=1)
            heads = []
            for h in range(self.shape["heads"]):
                own = slice(h * width, (h + 1) * width)
                heads.append(self.attend(q[:, own], k[:, own], v[:, own], w[p + "distance"][h]))
            x = x + np.concatenate(heads, 1) @ w[p + "out"]
            inner = np.maximum(rms(x, w[p + "norm_forward"]) @ w[p + "up"] + w[p + "up_bias"], 0)
            x = x + inner @ w[p + "down"]
        h = rms(x, w["read.norm"])
        read = self.attend(h @ w["read.query"], h @ w["read.key"], items, w["read.distance"][0])
        return unit(read[-1] + h[-1] @ w["read.mix"])

    def scores(self, session):
        """Of all items; the vector is the session's before the adapter."""
        vector = self.session_vector(session)
        query = unit(vector + vector @ self.w["adapter.down"] @ self.w["adapter.up"])
        scores = self.items @ query / self.shape["temperature"] + self.bias
        seen = set()
        for back, item in enumerate(reversed(session["items"])):
            if item not in seen:
                scores[item - 1] += self.w["repeat"][back]
            seen.add(item)
        return scores, vector


def student(folder):
    config = json.loads((folder / "config.json").read_text())
    sessions = json.loads((folder / "sessions.json").read_text())["sessions"]
    weights = load_file(folder / "weights.safetensors")
    model = Student(config["student"], weights)
    scores, vectors = (np.array(part) for part in zip(*(model.scores(s) for s in sessions)))
    write(folder, scores, 0, {})
    vectors.astype("<f4").tofile(folder / "vectors.bin")
    for name, dense in (("model.onnx", False), ("dense.onnx", True)):
        graphs.student(config["student"], weights, folder / name, dense)
    print(f"student: scores of {scores.shape[1]} items after {len(scores)} sessions")


# ------------------------------------------------------------------------------------------------


def write(folder, scores, first, more):
    """`scores.bin` (f32, `[sessions, columns]`) and `expected.json` with the columns of the best twenty,
    those before `first` left out."""
    scores.astype("<f4").tofile(folder / "scores.bin")
    best = first + np.argsort(-scores[:, first:], 1, kind="stable")[:, :20]
    text = json.dumps({"top20": best.tolist(), **more})
    (folder / "expected.json").write_text(text)


if __name__ == "__main__":
    {"sasrec": sasrec, "student": student}[sys.argv[1]](Path(sys.argv[2]))
