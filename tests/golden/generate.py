"""Writes the golden files beside this script: what onshelf's formulas give in float64.

A second implementation, on purpose written from the formulas (papers and doc comments) with full
matrices and no knowledge of the Rust code's loops, so that the two can only agree where both are
right. `tests/golden.rs` reads what it writes.

    python3 -m venv venv
    venv/bin/pip install numpy cryptography
    venv/bin/python tests/golden/generate.py

The same seed gives the same files; NumPy is only used for arithmetic and PCG64.
"""

import base64
import hashlib
import json
import math
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SEED = 20260105
HERE = Path(__file__).parent
EPS = 1e-6  # of both normalisations, inside the square root
CENTROIDS = 256


def numbers(rng, *shape, scale=1.0, digits=3):
    """Random numbers short enough to be the same in a JSON file, in float32 and in float64."""
    return np.round(rng.normal(size=shape) * scale, digits)


def plain(value):
    """JSON-ready: nine significant digits, more than float32 holds."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, (float, np.floating)):
        short = float(f"{value:.9g}")
        return int(short) if short == int(short) else short
    return value


def write(name, content):
    head = {
        "provenance": {
            "generator": "tests/golden/generate.py",
            "seed": SEED,
            "numpy": np.__version__,
            "arithmetic": "float64",
        }
    }
    text = json.dumps(head | plain(content), separators=(",", ":"), ensure_ascii=False)
    (HERE / name).write_text(text.replace(',"', ',\n"') + "\n", encoding="utf-8")


def flat(tensor):
    return {"shape": list(tensor.shape), "values": tensor.reshape(-1)}


def softmax(scores):
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def rms_norm(x, gain):
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + EPS) * gain


def unit(x):
    return x / np.sqrt((x**2).sum(axis=-1, keepdims=True) + EPS)


# --- (a) the encoder -------------------------------------------------------------------------

SHAPE = dict(dim=8, blocks=2, heads=2, hidden=16, max_len=6, subspaces=4, adapter_rank=3,
             temperature=0.25, times=True)
KINDS, GAPS = 6, 8


def encoder_tensors(rng):
    d, h, n = SHAPE["dim"], SHAPE["hidden"], SHAPE["max_len"]
    square = d**-0.5
    t = {"kinds": numbers(rng, KINDS, d, scale=0.5), "gaps": numbers(rng, GAPS, d, scale=0.5)}
    for b in range(SHAPE["blocks"]):
        p = f"blocks.{b}."
        t[p + "norm_attention"] = 1 + numbers(rng, d, scale=0.2)
        t[p + "qkv"] = numbers(rng, d, 3 * d, scale=1.5 * square)
        t[p + "distance"] = numbers(rng, SHAPE["heads"], n, scale=0.7)
        t[p + "out"] = numbers(rng, d, d, scale=square)
        t[p + "norm_forward"] = 1 + numbers(rng, d, scale=0.2)
        t[p + "up"] = numbers(rng, d, h, scale=square)
        t[p + "up_bias"] = numbers(rng, h, scale=0.3)
        t[p + "down"] = numbers(rng, h, d, scale=h**-0.5)
    t["read.norm"] = 1 + numbers(rng, d, scale=0.2)
    t["read.query"] = numbers(rng, d, d, scale=square)
    t["read.key"] = numbers(rng, d, d, scale=square)
    t["read.distance"] = numbers(rng, 1, n, scale=0.7)
    t["read.mix"] = numbers(rng, d, d, scale=0.5 * square)
    t["repeat"] = numbers(rng, n)
    return t


def toeplitz(bias, length):
    """bias[..., i - j] for i >= j, minus infinity for the future: [..., length, length]."""
    at = np.arange(length)[:, None] - np.arange(length)[None, :]
    return np.where(at >= 0, bias[..., np.maximum(at, 0)], -np.inf)


def encode(t, items, kinds, gaps):
    """Session vectors of one session, [clicks, dim], from its items' vectors [clicks, dim]."""
    d, heads, length = SHAPE["dim"], SHAPE["heads"], len(items)
    x = items * math.sqrt(d) + np.eye(KINDS)[kinds] @ t["kinds"] + np.eye(GAPS)[gaps] @ t["gaps"]
    for b in range(SHAPE["blocks"]):
        p = f"blocks.{b}."
        # The columns of `qkv` are queries, keys, values, and each of those the heads in turn.
        w = t[p + "qkv"].reshape(d, 3, heads, d // heads)
        q, k, v = np.einsum("ld,dche->chle", rms_norm(x, t[p + "norm_attention"]), w)
        scores = np.einsum("hie,hje->hij", q, k) / math.sqrt(d // heads)
        mixed = np.einsum("hij,hje->ihe", softmax(scores + toeplitz(t[p + "distance"], length)), v)
        x = x + np.einsum("ihe,hed->id", mixed, t[p + "out"].reshape(heads, d // heads, d))
        inner = rms_norm(x, t[p + "norm_forward"]) @ t[p + "up"] + t[p + "up_bias"]
        x = x + np.maximum(inner, 0) @ t[p + "down"]
    h = rms_norm(x, t["read.norm"])
    scores = h @ t["read.query"] @ t["read.key"].T @ h.T / math.sqrt(d)
    read = softmax(scores + toeplitz(t["read.distance"][0], length)) @ items
    return unit(read + h @ t["read.mix"])


# --- (b) item table, adapter, top-k ------------------------------------------------------------


def item_table(rng, items, dim, subspaces):
    codes = rng.integers(0, CENTROIDS, size=(items, subspaces + 1))
    centroids = numbers(rng, subspaces, CENTROIDS, dim // subspaces, scale=0.4, digits=2)
    return codes, centroids, numbers(rng, CENTROIDS, scale=0.8, digits=2)


def decode(codes, centroids):
    """[items, dim]: the named centroid of every subspace, side by side."""
    one_hot = np.eye(CENTROIDS)[codes[:, :-1]]
    return np.einsum("imc,mcw->imw", one_hot, centroids).reshape(len(codes), -1)


def boosts(seq, gain, items):
    """[items]: what the session's own items gain, by the clicks since each was last clicked."""
    last = {int(item): back for back, item in reversed(list(enumerate(seq[::-1])))}
    out = np.zeros(items)
    for item, back in last.items():
        if back < len(gain) and item <= items:
            out[item - 1] = gain[back]
    return out


def ranking(scores, k, allowed=None):
    """Best first, equal scores by index; items are numbered from 1."""
    order = sorted((-s, i) for i, s in enumerate(scores, 1) if np.isfinite(s) and (allowed is None or i in allowed))
    best = order[: k + 1]
    for (a, _), (b, _) in zip(best, best[1:]):
        assert a == b or abs(a - b) > 1e-4, "too close for a ranking in float32; take another seed"
    return [i for _, i in order[:k]]


def adapt(session, down, up, taste=0.0):
    """LoRA on a session vector: (I + down up) applied, the taste added, length 1."""
    return unit(session @ (np.eye(len(down)) + down @ up) + taste)


def student(rng):
    d, r = SHAPE["dim"], SHAPE["adapter_rank"]
    tensors = encoder_tensors(rng)
    codes, centroids, levels = item_table(rng, 40, d, SHAPE["subspaces"])
    # Twins share a code, so they tie exactly, in float32 too.
    codes[[11, 29]] = codes[4]
    down, up = numbers(rng, d, r, scale=0.5), numbers(rng, r, d, scale=0.5)
    vectors, bias = decode(codes, centroids), levels[codes[:, -1]]
    sessions = []
    for length in [1, 6, 3, 5]:
        seq = rng.integers(1, 41, size=length)
        kinds, gaps = rng.integers(0, KINDS, size=length), rng.integers(0, GAPS, size=length)
        encoded = encode(tensors, vectors[seq - 1], kinds, gaps)
        taste = numbers(rng, d, scale=0.3)
        query, tasted = adapt(encoded[-1], down, up), adapt(encoded[-1], down, up, taste)
        scores = vectors @ query / SHAPE["temperature"] + bias + boosts(seq, tensors["repeat"], len(codes))
        allowed = sorted(set(rng.choice(np.arange(1, 41), size=18, replace=False)) | {5, 12, 30})
        sessions.append(dict(items=seq, kinds=kinds, gaps=gaps, vectors=encoded, taste=taste,
                             query=query, query_with_taste=tasted, scores=scores,
                             best=ranking(scores, 20), allowed=allowed,
                             best_allowed=ranking(scores, 20, set(allowed))))
    tensors |= {"items.centroids": centroids, "items.bias": levels, "adapter.down": down, "adapter.up": up}
    write("student.json", dict(shape=SHAPE, codes=codes, sessions=sessions,
                               tensors={n: flat(v) for n, v in tensors.items()}))
    return centroids, levels, tensors["repeat"]


def tables(rng):
    """Every width of row that has a scan of its own: 9, 17 and any other."""
    out = []
    for dim, subspaces in [(8, 8), (16, 16), (6, 2)]:
        codes, centroids, levels = item_table(rng, 25, dim, subspaces)
        query = numbers(rng, dim)
        scores = decode(codes, centroids) @ query + levels[codes[:, -1]]
        out.append(dict(dim=dim, subspaces=subspaces, codes=codes, centroids=centroids.reshape(-1),
                        levels=levels, query=query, scores=scores, best=ranking(scores, 25)))
    tops = []
    for n, k in [(30, 10), (30, 30), (7, 20), (200, 25), (5, 0), (1, 1)]:
        # Steps of a half: many ties.
        scores = np.round(rng.normal(size=n) * 4) / 2
        allowed = [int(i) for i in range(1, n + 1) if rng.random() < 0.6]
        tops.append(dict(scores=scores, k=k, best=ranking(scores, k), allowed=allowed,
                         best_allowed=ranking(scores, k, set(allowed))))
    write("ranking.json", dict(tables=out, tops=tops))


# --- (c) metrics -----------------------------------------------------------------------------


def metrics(rng):
    items, cases = 60, []
    ranks, shown = [], set()
    for at in range(40):
        scores = np.round(rng.normal(size=items) * 3) / 2
        target = int(rng.integers(1, items + 1))
        if at < 25:
            scores[target - 1] += 3
        ruled_out = [] if at % 7 else [target, 1]
        for i in ruled_out:
            scores[i - 1] = -np.inf
        order = ranking(scores, items)
        rank = order.index(target) + 1 if target in order else None
        ranks.append(rank)
        shown |= set(order[:20])
        finite = [None if np.isinf(s) else s for s in scores]
        cases.append(dict(scores=finite, target=target, rank=rank, best=order[:20]))
    reciprocal = np.array([0.0 if r is None else 1 / r for r in ranks])
    place = np.array([np.inf if r is None else r for r in ranks])
    gain = 1 / np.log2(1 + place)

    def mean(values, k):
        return float(np.where(place <= k, values, 0.0).mean())

    one = np.ones(len(ranks))
    summary = dict(tests=len(ranks), recall_20=mean(one, 20), mrr_20=mean(reciprocal, 20), ndcg_20=mean(gain, 20),
                   hr_5=mean(one, 5), ndcg_5=mean(gain, 5), hr_10=mean(one, 10), ndcg_10=mean(gain, 10),
                   coverage_20=len(shown) / items)
    losses = []
    for n in [1, 5, 40]:
        scores = numbers(rng, n, scale=6.0)
        item = int(rng.integers(1, n + 1))
        losses.append(dict(scores=scores, item=item, loss=-np.log(softmax(scores)[item - 1])))
    write("metrics.json", dict(items=items, cases=cases, summary=summary, losses=losses))


# --- (d) Adam --------------------------------------------------------------------------------

BETA1, BETA2, ADAM_EPS = 0.9, 0.999, 1e-8


def adam_path(values, gradients, rate, decay):
    """The efficient order of section 2 of the paper, with decoupled decay, from all gradients at once."""
    values, path = values.copy(), []
    for t in range(1, len(gradients) + 1):
        ages = np.arange(t)[::-1]
        first = (1 - BETA1) * np.einsum("t,tn->n", BETA1**ages, gradients[:t])
        second = (1 - BETA2) * np.einsum("t,tn->n", BETA2**ages, gradients[:t] ** 2)
        step = rate * math.sqrt(1 - BETA2**t) / (1 - BETA1**t)
        values = values * (1 - rate * decay) - step * first / (np.sqrt(second) + ADAM_EPS)
        path.append(values)
    return path


def adam(rng):
    dense = []
    for rate, decay in [(0.05, 0.0), (0.001, 0.0), (0.02, 0.1)]:
        values, gradients = numbers(rng, 6), numbers(rng, 12, 6)
        # From nothing to large: the moments must not remember what never happened.
        gradients[:, 0] = 0
        gradients[6:, 1] *= 100
        dense.append(dict(values=values, gradients=gradients, rate=rate, decay=decay,
                          path=adam_path(values, gradients, rate, decay)))
    rows, width, rate = 5, 3, 0.03
    table, steps = numbers(rng, rows, width), []
    for _ in range(20):
        steps.append((int(rng.integers(0, rows - 1)), numbers(rng, width)))
    final = table.copy()
    for row in range(rows):
        own = [g for r, g in steps if r == row]
        if own:
            final[row] = adam_path(table[row], np.array(own), rate, 0.0)[-1]
    sparse = dict(rows=rows, width=width, rate=rate, table=table.reshape(-1), final=final.reshape(-1),
                  steps=[dict(row=r, gradient=g) for r, g in steps])
    write("adam.json", dict(dense=dense, sparse=sparse))


# --- (e) neighbours and transitions ----------------------------------------------------------------


def window_weights(seq, window):
    """Linear decay over the last clicks; an item has the weight of its latest."""
    weights = {}
    for back, item in enumerate(reversed(seq[-window:])):
        weights.setdefault(item, 1 - back / window)
    return weights


def vsknn(log, items, seq, sample, neighbours, window, exclude=None):
    """Ludewig & Jannach 2018: linear session weights, inverse document frequency."""
    weights = window_weights(seq, window)
    candidates = [s for s, clicks in enumerate(log) if s != exclude and set(clicks) & set(weights)]
    candidates = sorted(candidates, reverse=True)[:sample]
    near = sorted(((sum(w for i, w in weights.items() if i in log[s]), s) for s in candidates), reverse=True)
    scores = np.zeros(items)
    for similarity, s in near[:neighbours]:
        shared = max(weights.get(i, 0.0) for i in log[s])
        for i in set(log[s]):
            document_frequency = sum(i in clicks for clicks in log)
            scores[i - 1] += similarity * shared * math.log(len(log) / document_frequency)
    return scores


def transitions(log, items):
    """Sequential rules: [from, to], 1/distance, at most ten clicks apart, never to itself."""
    out = np.zeros((items, items))
    for clicks in log:
        for a in range(len(clicks)):
            for b in range(a + 1, min(a + 11, len(clicks))):
                if clicks[a] != clicks[b]:
                    out[clicks[a] - 1, clicks[b] - 1] += 1 / (b - a)
    return out


def neighbours(rng):
    items = 18
    log = [[int(i) for i in rng.integers(1, items, size=int(rng.integers(2, 9)))] for _ in range(30)]
    log.append([int(i) for i in rng.integers(1, items, size=16)])
    cases = []
    # Windows of a power of two: weights and their sums are exact, so cut-offs among ties agree.
    for seq, sample, near, window, exclude in [
        ([3], 1500, 200, 5, None), ([3, 7, 3, 9], 1500, 200, 5, None), ([1, 2, 3, 4, 5, 6, 7], 1500, 200, 5, 4),
        ([2, 5, 8, 11], 8, 3, 4, None), ([4, 4, 4, 6], 5, 2, 4, None), ([9, 10, 11, 12, 13, 14], 12, 12, 8, None),
        ([items], 1500, 200, 5, None), ([], 1500, 200, 5, None),
    ]:
        cases.append(dict(item_seq=seq, sample=sample, neighbours=near, window=window, exclude=exclude,
                          scores=vsknn(log, items, seq, sample, near, window, exclude)))
    # A session of more than 32 clicks, with items that come again late in it.
    many = 45
    lengthy = [list(range(1, 41)) + [38, 39, 40, 40, 38], [1, 41, 42], [40, 43]]
    long_case = dict(items=many, log=lengthy, item_seq=[1],
                     scores=vsknn(lengthy, many, [1], 1500, 200, 5))
    write("neighbours.json", dict(items=items, log=log, cases=cases, long=long_case,
                                  transitions=transitions(log, items)))


# --- (f) fine-tuning -------------------------------------------------------------------------------


def lesson_loss(lesson, down, up, taste):
    """Mean negative log-likelihood (nats a click) over the whole catalogue, newest clicks first."""
    clicks = lesson["clicks"]
    prefixes = np.array([boosts(clicks[:n], lesson["repeat"], len(lesson["bias"])) for n in range(1, len(clicks))])
    rows = lesson["encoded"][:-1]
    logits = adapt(rows, down, up, taste) @ lesson["vectors"].T / SHAPE["temperature"] + lesson["bias"] + prefixes
    chosen = np.log(softmax(logits))[np.arange(len(rows)), np.array(clicks[1:]) - 1]
    weights = 0.8 ** np.arange(len(chosen))[::-1]
    return -(chosen @ weights) / weights.sum()


def objective(lesson, theta, base, proximal):
    """The loss with FedProx's pull towards the shipped parameters."""
    d, r = SHAPE["dim"], SHAPE["adapter_rank"]
    down, up, taste = np.split(theta, [d * r, 2 * d * r])
    loss = lesson_loss(lesson, down.reshape(d, r), up.reshape(r, d), taste)
    return loss + 0.5 * proximal * ((theta - base) ** 2).sum()


def central_differences(f, theta, h=1e-5):
    return np.array([(f(theta + h * e) - f(theta - h * e)) / (2 * h) for e in np.eye(len(theta))])


def personal(rng, centroids, levels, repeat):
    d, r, cases = SHAPE["dim"], SHAPE["adapter_rank"], []
    def lesson_of(codes, clicks, encoded):
        return dict(clicks=clicks, encoded=encoded, repeat=repeat,
                    vectors=decode(codes, centroids), bias=levels[codes[:, -1]])

    for items, clicks, negatives, proximal in [(40, 6, 16, 0.0), (60, 4, 32, 0.3), (4, 5, 0, 0.1)]:
        # All items but the clicked ones look alike, so that any sample stands for all of them and
        # the sampled softmax is the full one, whatever was drawn.
        seq = rng.integers(1, 5, size=clicks)
        seq[1:5] = [1, 2, 3, 4][: len(seq[1:5])]
        codes = np.tile(rng.integers(0, CENTROIDS, size=SHAPE["subspaces"] + 1), (items, 1))
        known = sorted(set(seq))
        for item in known:
            codes[item - 1] = rng.integers(0, CENTROIDS, size=SHAPE["subspaces"] + 1)
        encoded = unit(numbers(rng, clicks, d))
        lesson = lesson_of(codes, seq, encoded)
        theta = np.concatenate([numbers(rng, 2 * d * r, scale=0.4), numbers(rng, d, scale=0.2)])
        base = np.concatenate([numbers(rng, 2 * d * r, scale=0.4), np.zeros(d)])
        assert len(known) + negatives <= items
        gradient = central_differences(lambda t: objective(lesson, t, base, proximal), theta)
        rate = 0.01
        after = adam_path(theta, gradient[None, :], rate, 0.0)[-1]
        down, up, taste = np.split(theta, [d * r, 2 * d * r])
        loss = lesson_loss(lesson, down.reshape(d, r), up.reshape(r, d), taste)
        cases.append(dict(codes=codes, clicks=seq, vectors=encoded, base=base, theta=theta, rate=rate,
                          negatives=negatives, proximal=proximal, loss=loss, gradient=gradient, after=after))
    # More draws than there are other items: they must not count more than what they stand for.
    codes = rng.integers(0, CENTROIDS, size=(3, SHAPE["subspaces"] + 1))
    encoded = unit(numbers(rng, 3, d))
    clicks = np.array([2, 1, 2])
    lesson = lesson_of(codes, clicks, encoded)
    base = np.concatenate([numbers(rng, 2 * d * r, scale=0.4), np.zeros(d)])
    crowded = dict(codes=codes, clicks=clicks, vectors=encoded, base=base, negatives=64,
                   loss=objective(lesson, base, base, 0.0))
    write("personal.json", dict(cases=cases, crowded=crowded))


# --- (g) signed manifests --------------------------------------------------------------------------

PAYLOAD_TYPE = "application/vnd.onshelf.model-version+json"


def pre_authentication(kind, payload):
    """PAE of the DSSE specification, version 1."""
    kind = kind.encode()
    return b" ".join([b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload])


def envelope(payload, keys, kind=PAYLOAD_TYPE, signed_kind=None, keyids=None):
    message = pre_authentication(signed_kind or kind, payload)
    public = [k.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex() for k in keys]
    signatures = [dict(keyid=keyid, sig=base64.b64encode(key.sign(message)).decode())
                  for key, keyid in zip(keys, keyids or public)]
    return dict(payloadType=kind, payload=base64.b64encode(payload).decode(), signatures=signatures)


def flip(payload, bit):
    out = bytearray(payload)
    out[bit // 8] ^= 1 << bit % 8
    return bytes(out)


def manifests():
    seeds = [bytes([n]) * 32 for n in (7, 8)]
    shop, other = (Ed25519PrivateKey.from_private_bytes(s) for s in seeds)
    public = [k.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex() for k in (shop, other)]
    content = "the weights of a shelf ✓".encode()
    digest = hashlib.sha256(content).hexdigest()
    manifest = dict(
        format=1, name="Läden & Söhne", created=1767571200, previous=None,
        student=dict(dim=8, blocks=2, heads=2, hidden=16, max_len=6, subspaces=4, adapter_rank=3,
                     temperature=0.25, times=True),
        fine_tune=dict(learning_rate=0.01, steps_per_click=4, negatives=128, proximal=0.05),
        items=40,
        files=[dict(role="weights", path=f"blobs/{digest}.safetensors", bytes=len(content), sha256=digest)],
        metrics=dict(validation_mrr_20=0.125, validation_recall_20=0.5),
    )
    payload = json.dumps(manifest, separators=(",", ":"), ensure_ascii=False).encode()
    good = envelope(payload, [shop])
    flipped = []
    for bit in [0, 8 * (len(payload) // 2) + 3, 8 * len(payload) - 1]:
        flipped.append(good | dict(payload=base64.b64encode(flip(payload, bit)).decode()))
    signature = base64.b64decode(good["signatures"][0]["sig"])

    def signed_by(sig):
        return good | dict(signatures=[dict(keyid=public[0], sig=sig)])

    newer = json.dumps(manifest | dict(format=4, surprise=[1]), separators=(",", ":"), ensure_ascii=False).encode()
    bad = [dict(what="a flipped payload bit", error="BadSignature", envelope=e) for e in flipped]
    bad += [
        dict(what="a flipped signature bit", error="BadSignature",
             envelope=signed_by(base64.b64encode(flip(signature, 77)).decode())),
        dict(what="a foreign key", error="UntrustedKey", envelope=envelope(payload, [other])),
        dict(what="a foreign key under the shop's name", error="BadSignature",
             envelope=envelope(payload, [other], keyids=[public[0]])),
        dict(what="another payload type", error="Invalid",
             envelope=envelope(payload, [shop], kind="application/vnd.in-toto+json")),
        dict(what="signed as another payload type", error="BadSignature",
             envelope=envelope(payload, [shop], signed_kind="application/vnd.in-toto+json")),
        dict(what="signed without the encoding", error="BadSignature",
             envelope=signed_by(base64.b64encode(shop.sign(payload)).decode())),
        dict(what="a truncated payload", error="Invalid", envelope=good | dict(payload=good["payload"][:-5])),
        dict(what="a payload cut at a whole group", error="BadSignature",
             envelope=good | dict(payload=good["payload"][:-8])),
        dict(what="a truncated signature", error="BadSignature", envelope=signed_by(good["signatures"][0]["sig"][:-4])),
        dict(what="an empty signature", error="BadSignature", envelope=signed_by("")),
        dict(what="no signature", error="UntrustedKey", envelope=good | dict(signatures=[])),
        dict(what="a newer format", error="TooNew", envelope=envelope(newer, [shop])),
    ]
    write("manifest.json", dict(
        secret=seeds[0].hex(), trusted=[public[0]], payload=payload.decode(),
        version=hashlib.sha256(payload).hexdigest()[:16],
        good=[good, envelope(payload, [other, shop])], bad=bad,
        file=dict(content=content.decode(), sha256=digest),
        hashes=[dict(text=t, sha256=hashlib.sha256(t.encode()).hexdigest()) for t in ["", "abc", "é" * 100]],
    ))


def repeats(rng):
    """Boosts alone: items that come again, more clicks than gains, items outside the catalogue."""
    cases = []
    for seq, items in [([3, 1, 3, 2], 5), ([4], 4), ([], 3), ([3, 1, 1, 1, 1, 1, 1, 2], 3), ([9, 2], 5)]:
        base, gain = numbers(rng, items), numbers(rng, 6)
        cases.append(dict(item_seq=seq, scores=base, repeat=gain, boosted=base + boosts(seq, gain, items)))
    write("repeat.json", dict(cases=cases))


# --- (i) the shared trend --------------------------------------------------------------------


def trends(rng):
    """Scores with a trend, and the gradient of a click's loss by it from central differences."""
    items, dim, subspaces, temperature = 12, 6, 3, 0.2
    codes, centroids, levels = item_table(rng, items, dim, subspaces)
    # Few centroids, so that items share them.
    codes[:, :-1] %= 5
    trend, query = numbers(rng, subspaces, CENTROIDS, dim // subspaces, scale=0.2), unit(numbers(rng, dim))
    target = 4
    level_trend = numbers(rng, CENTROIDS, scale=0.2)

    def scores(t, moved=level_trend):
        return decode(codes, centroids + t) @ query / temperature + (levels + moved)[codes[:, -1]]

    def loss(theta):
        t = trend.copy()
        t[:, :5] = theta.reshape(subspaces, 5, -1)
        return -math.log(softmax(scores(t))[target - 1])

    gradient = central_differences(loss, trend[:, :5].reshape(-1))
    level_gradient = central_differences(lambda theta: -math.log(softmax(scores(trend, theta))[target - 1]), level_trend)
    shares = softmax(scores(trend))
    masses = np.einsum("imc,i->mc", np.eye(CENTROIDS)[codes[:, :-1]], shares)
    write("trend.json", dict(dim=dim, subspaces=subspaces, temperature=temperature, codes=codes,
                             centroids=centroids.reshape(-1), levels=levels, trend=np.concatenate([trend.reshape(-1), level_trend]),
                             query=query,
                             scores=scores(trend), target=target, shares=shares, used=5,
                             masses=masses[:, :5].reshape(-1), gradient=gradient,
                             level_gradient=level_gradient))


def main():
    # A stream for each file, so that a change to one leaves the others as they are.
    streams = [np.random.Generator(np.random.PCG64(s)) for s in np.random.SeedSequence(SEED).spawn(8)]
    centroids, levels, repeat = student(streams[0])
    tables(streams[1])
    metrics(streams[2])
    adam(streams[3])
    neighbours(streams[4])
    personal(streams[5], centroids, levels, repeat)
    repeats(streams[6])
    trends(streams[7])
    manifests()


if __name__ == "__main__":
    main()
