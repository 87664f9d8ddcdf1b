"""The teacher's training step in PyTorch, on the CPU, to compare speed, memory and loss.

Same model, same batches, same loss and same optimiser rules as `onshelf train`. Random numbers
differ, so losses agree on average only. Prints one JSON object. README.md tells how to run it.
"""

import argparse
import json
import math
import resource
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import load_file
from torch import nn

KINDS, GAPS = 6, 8
GAP_LIMITS_MS = [5_000, 20_000, 60_000, 300_000, 1_800_000, 86_400_000]
EPSILON = 1e-6
FUTURE = -1e9
BETA1, BETA2, ADAM_EPSILON = 0.9, 0.999, 1e-8


# Data -------------------------------------------------------------------------------------------


class Clicks:
    """Training sessions: periods 0 to `last_period`, less those held out for validation."""

    def __init__(self, folder, last_period, validation):
        data = load_file(Path(folder) / "sessions.safetensors")
        info = json.loads((Path(folder) / "dataset.json").read_text())
        items, offsets, periods = data["items"], data["offsets"].astype(np.int64), data["periods"]
        if last_period is None:
            last_period = int(periods.max())
        session = np.arange(len(periods))
        wanted = periods <= last_period
        if validation > 0:
            stride = math.floor(1 / min(validation, 0.5) + 0.5)
            newest = np.searchsorted(periods, last_period)
            wanted &= ~((periods == last_period) & ((session - newest) % stride == stride // 2))
        session_of = np.repeat(session, np.diff(offsets))
        keep = wanted[session_of] & (items != 0)
        kept_session = session_of[keep]
        self.items = items[keep].astype(np.int64)
        self.kinds = np.minimum(data["kinds"][keep].astype(np.int64), KINDS - 1)
        self.gaps = np.zeros(len(self.items), np.int64)
        if data["times"].size:
            times = data["times"][keep]
            gap = np.maximum(np.diff(times), 0)
            bucket = 1 + np.searchsorted(GAP_LIMITS_MS, gap, side="right")
            self.gaps[1:] = np.where(np.diff(kept_session) == 0, bucket, 0)
        lengths = np.bincount(kept_session, minlength=len(periods))
        self.lengths = lengths[lengths > 0]
        self.starts = np.cumsum(self.lengths) - self.lengths
        self.catalogue = info["items"]
        self.counts = np.bincount(self.items, minlength=self.catalogue + 1).astype(np.float64)
        self.predicted = int((self.lengths - 1).sum())


class Batches:
    """All windows of a pass in a random order, packed by length to about `positions` targets."""

    def __init__(self, clicks, max_len, positions, rng):
        self.clicks = clicks
        inputs = clicks.lengths - 1
        half = -(-max_len // 2)
        windows = np.where(inputs > max_len, -(-(inputs - max_len) // half) + 1, 1)
        windows[inputs == 0] = 0
        session = np.repeat(np.arange(len(inputs)), windows)
        nth = np.arange(len(session)) - np.repeat(np.cumsum(windows) - windows, windows)
        base = clicks.starts[session] + nth * half
        here = np.minimum(max_len, inputs[session] - nth * half)
        first = np.where(nth == 0, 0, max_len - half)
        order = rng.permutation(len(session))
        order = order[np.argsort(here[order], kind="stable")]
        self.base, self.inputs, self.first = base[order], here[order], first[order]
        ends = np.cumsum(self.inputs - self.first)
        self.groups, at, done = [], 0, 0
        while at < len(order):
            end = max(at + 1, int(np.searchsorted(ends, done + positions, side="right")))
            self.groups.append((at, end))
            at, done = end, ends[end - 1]
        rng.shuffle(self.groups)

    def __len__(self):
        return len(self.groups)

    def __getitem__(self, number):
        return Batch(self, slice(*self.groups[number]))


class Batch:
    """Sessions of one length and the rows that are predicted."""

    def __init__(self, all_, part):
        clicks, base, inputs = all_.clicks, all_.base[part], all_.inputs[part]
        first = all_.first[part]
        length = int(inputs.max())
        column = np.arange(length + 1)
        # Inputs and the last target: `[sessions, length + 1]`, 0 is padding.
        at = np.minimum(base[:, None] + column, len(clicks.items) - 1)
        self.window = np.where(column <= inputs[:, None], clicks.items[at], 0)
        self.real = column[:-1] < inputs[:, None]
        self.items = np.where(self.real, self.window[:, :-1], 0)
        self.kinds = np.where(self.real, clicks.kinds[at[:, :-1]], 0)
        self.gaps = np.where(self.real, clicks.gaps[at[:, :-1]], 0)
        predicted = self.real & (column[:-1] >= first[:, None])
        self.session, self.position = np.nonzero(predicted)
        self.rows = self.session * length + self.position
        self.targets = self.window[self.session, self.position + 1]

    def own(self):
        """Pairs of a predicted row and an item of its own session, each item once.

        Gives row, column of the window, and clicks since the item's last click (-1: it comes
        later). A target that was not clicked before is not among them.
        """
        window = self.window
        width = window.shape[1]
        same = window[:, :, None] == window[:, None, :]
        column = np.arange(width)
        later = same & (column[None, :] > column[:, None])
        following = np.where(later.any(2), later.argmax(2), width)
        fresh = ~(same & (column[None, :] < column[:, None])).any(2)
        position = self.position[:, None]
        clicked = (column <= position) & (following[self.session] > position)
        coming = (column > position + 1) & fresh[self.session]
        row, at = np.nonzero((clicked | coming) & (window[self.session] != 0))
        back = self.position[row] - at
        return row, self.session[row], at, np.where(back >= 0, back, -1)


class Candidates:
    """One set of candidates for the whole batch: its items, and samples by count to the half."""

    def __init__(self, clicks, samples, rng):
        weight = np.sqrt(clicks.counts)
        weight[0] = 0
        self.chance = weight / weight.sum()
        self.cumulative = np.cumsum(self.chance)
        self.share = clicks.counts / clicks.counts.sum()
        self.samples, self.rng = samples, rng
        self.slot = np.zeros(len(weight), np.int64)
        self.seen = np.zeros(len(weight), bool)

    def choose(self, batch):
        """Items with 0 in front, and the log of each one's chance to be among them."""
        draws = np.searchsorted(self.cumulative, self.rng.random(self.samples), side="right")
        seen = self.seen
        seen[:] = False
        seen[np.minimum(draws, len(seen) - 1)] = True
        seen[batch.window.ravel()] = True
        seen[0] = True
        items = np.flatnonzero(seen)
        self.slot[items] = np.arange(len(items))
        expected = self.samples * self.chance[items] + len(batch.targets) * self.share[items]
        return items, np.log(np.maximum(-np.expm1(-expected), 1e-6)).astype(np.float32)


# Model ------------------------------------------------------------------------------------------


def glorot(rows, columns, small=1.0):
    limit = small * math.sqrt(6 / (rows + columns))
    return nn.Parameter(torch.empty(rows, columns).uniform_(-limit, limit))


def recency(heads, max_len):
    return nn.Parameter(-0.2 * torch.arange(max_len, dtype=torch.float32).repeat(heads, 1))


class Block(nn.Module):
    def __init__(self, dim, heads, hidden, max_len):
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.Parameter(torch.ones(dim))
        self.qkv = glorot(dim, 3 * dim)
        self.distance = recency(heads, max_len)
        self.out = glorot(dim, dim, 0.3)
        self.norm_forward = nn.Parameter(torch.ones(dim))
        self.up = glorot(dim, hidden)
        self.up_bias = nn.Parameter(torch.zeros(hidden))
        self.down = glorot(hidden, dim, 0.3)

    def forward(self, x, b, l, distances, future):
        d = x.shape[1]
        qkv = rms_norm(x, self.norm_attention) @ self.qkv
        q, k, v = qkv.view(b, l, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        bias = self.distance[:, distances] + future
        scores = torch.matmul(q * (d // self.heads) ** -0.5, k.transpose(2, 3)) + bias
        mixed = torch.matmul(torch.softmax(scores, 3), v).transpose(1, 2).reshape(b * l, d)
        x = torch.addmm(x, mixed, self.out)
        inner = F.relu(torch.addmm(self.up_bias, rms_norm(x, self.norm_forward), self.up))
        return torch.addmm(x, inner, self.down)


class Encoder(nn.Module):
    """Pre-norm causal transformer with distance biases; the read-out attends to item vectors."""

    def __init__(self, dim, blocks, heads, hidden, max_len):
        super().__init__()
        self.kinds = glorot(KINDS, dim)
        self.gaps = glorot(GAPS, dim)
        self.blocks = nn.ModuleList(Block(dim, heads, hidden, max_len) for _ in range(blocks))
        self.read_norm = nn.Parameter(torch.ones(dim))
        self.read_query = glorot(dim, dim)
        self.read_key = glorot(dim, dim)
        self.read_distance = recency(1, max_len)
        self.read_mix = glorot(dim, dim, 0.3)
        self.repeat = nn.Parameter(torch.zeros(max_len))
        steps = torch.arange(max_len)
        self.register_buffer("distances", (steps[:, None] - steps).clamp(min=0))
        self.register_buffer("future", torch.full((max_len, max_len), FUTURE).triu(1))

    def forward(self, plain, noisy, kinds, gaps):
        b, l, d = plain.shape
        distances, future = self.distances[:l, :l], self.future[:l, :l]
        context = F.embedding(kinds, self.kinds) + F.embedding(gaps, self.gaps)
        x = torch.add(context, noisy, alpha=math.sqrt(d)).view(b * l, d)
        for block in self.blocks:
            x = block(x, b, l, distances, future)
        h = rms_norm(x, self.read_norm)
        query = (h @ self.read_query).view(b, l, d)
        key = (h @ self.read_key).view(b, l, d)
        bias = self.read_distance[0, distances] + future
        scores = torch.baddbmm(bias, query, key.transpose(1, 2), alpha=d**-0.5)
        read = torch.bmm(torch.softmax(scores, 2), plain).view(b * l, d)
        session = torch.addmm(read, h, self.read_mix)
        return session * torch.rsqrt(session.square().sum(1, keepdim=True) + EPSILON)


def rms_norm(x, gain):
    return F.rms_norm(x, (x.shape[1],), gain, EPSILON)


# Loss -------------------------------------------------------------------------------------------


def loss_autograd(buffer, rows, vectors, offset, own, own_values, targets, temperature, clock):
    """Cross-entropy over the candidates, differentiated by PyTorch."""
    logits = torch.addmm(offset, rows, vectors.t(), alpha=1 / temperature)
    logits.index_put_(own, own_values, accumulate=True)
    clock("scores")
    loss = F.cross_entropy(logits, targets)
    clock("softmax")
    loss.backward()
    clock("scores backward")
    return loss.item()


def loss_by_hand(buffer, rows, vectors, offset, own, own_values, targets, temperature, clock):
    """The same, with the gradient written out and one buffer for scores and their gradient."""
    p, c = len(rows), len(vectors)
    with torch.no_grad():
        if buffer.numel() < p * c:
            buffer.resize_(p * c * 5 // 4)
        logits = buffer[: p * c].view(p, c)
        torch.addmm(offset, rows, vectors.t(), alpha=1 / temperature, out=logits)
        logits.index_put_(own, own_values, accumulate=True)
        clock("scores")
        torch.softmax(logits, 1, out=logits)
        aim = (torch.arange(p), targets)
        # A chance below the smallest float would give an infinite loss.
        loss = -logits[aim].clamp_(min=1e-38).log_().mean().item()
        logits[aim] -= 1
        clock("softmax")
        rows_gradient = torch.mm(logits, vectors).mul_(1 / (p * temperature))
        vectors_gradient = torch.mm(logits.t(), rows).mul_(1 / (p * temperature))
        offset_gradient = logits.sum(0).mul_(1 / p)
        own_gradient = logits[own].mul_(1 / p)
        clock("scores backward")
    rows.grad = rows_gradient
    torch.autograd.backward(
        [vectors, offset, own_values], [vectors_gradient, offset_gradient, own_gradient]
    )
    return loss


# Optimisers of the item rows --------------------------------------------------------------------


class RowAdam:
    """Adam on the rows that a step touches; bias correction counts each row's own steps."""

    def __init__(self, table):
        self.table = table
        self.first, self.second = torch.zeros_like(table), torch.zeros_like(table)
        self.steps = torch.zeros(len(table))

    def step(self, ids, values, gradient, rate):
        steps = self.steps[ids] + 1
        self.steps[ids] = steps
        first = self.first[ids].lerp_(gradient, 1 - BETA1)
        second = self.second[ids].mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
        self.first.index_copy_(0, ids, first)
        self.second.index_copy_(0, ids, second)
        scale = rate * (1 - BETA2**steps).sqrt_() / (1 - BETA1**steps)
        first.mul_(scale.view(-1, *[1] * (values.dim() - 1)))
        return values.addcdiv(first, second.sqrt_().add_(ADAM_EPSILON), value=-1)


class TorchAdam:
    """`torch.optim.SparseAdam` on touched rows, or `torch.optim.Adam` on all rows."""

    def __init__(self, table, dense):
        self.table, self.dense = table, dense
        if dense:
            self.optimiser = torch.optim.Adam([table], fused=True)
            table.grad = torch.zeros_like(table)
        else:
            self.optimiser = torch.optim.SparseAdam([table])

    def step(self, ids, values, gradient, rate):
        self.optimiser.param_groups[0]["lr"] = rate
        if self.dense:
            self.table.grad.zero_().index_copy_(0, ids, gradient)
        else:
            self.table.grad = torch.sparse_coo_tensor(
                ids[None], gradient, self.table.shape, is_coalesced=True, check_invariants=False
            )
        self.optimiser.step()
        return self.table[ids]


class Items:
    """Unit vectors and biases, one an item; row 0 is padding and stays zero."""

    def __init__(self, items, dim, kind):
        self.vectors = F.normalize(torch.empty(items + 1, dim).uniform_(-1, 1), dim=1)
        self.vectors[0] = 0
        self.biases = torch.zeros(items + 1)
        make = RowAdam if kind == "rows" else lambda table: TorchAdam(table, kind == "dense")
        self.vector_adam, self.bias_adam = make(self.vectors), make(self.biases)
        self.dense = kind == "dense"

    def step(self, ids, vectors, vector_gradient, biases, bias_gradient, rate):
        # Only the tangential part counts: vectors stay on the unit sphere.
        along = (vectors * vector_gradient).sum(1, keepdim=True)
        tangent = vector_gradient.addcmul_(vectors, along, value=-1)
        moved = self.vector_adam.step(ids, vectors, tangent, rate)
        if self.dense:
            F.normalize(self.vectors, dim=1, out=self.vectors)
        else:
            self.vectors.index_copy_(0, ids, F.normalize(moved, dim=1))
        self.biases.index_copy_(0, ids, self.bias_adam.step(ids, biases, bias_gradient, rate))


# Training ---------------------------------------------------------------------------------------


class Clock:
    """Adds up wall-clock time by part of a step."""

    def __init__(self):
        self.parts, self.last = {}, time.perf_counter()

    def __call__(self, part):
        now = time.perf_counter()
        self.parts[part] = self.parts.get(part, 0.0) + now - self.last
        self.last = now

    def restart(self):
        self.parts, self.last = {}, time.perf_counter()


class Trainer:
    def __init__(self, clicks, args, rng):
        self.args = args
        hidden = args.hidden or 2 * args.dim
        self.encoder = Encoder(args.dim, args.blocks, args.heads, hidden, args.max_len)
        self.items = Items(clicks.catalogue, args.dim, args.items_optimiser)
        self.candidates = Candidates(clicks, args.negatives, rng)
        repeat = self.encoder.repeat
        rest = [p for p in self.encoder.parameters() if p is not repeat]
        groups = [{"params": rest}, {"params": [repeat], "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, weight_decay=args.decay, fused=True)
        self.forward = torch.compile(self.encoder, dynamic=True) if args.compile else self.encoder
        self.loss = loss_by_hand if args.loss == "hand" else loss_autograd
        self.buffer = torch.empty(0)
        self.clock = Clock()

    def step(self, batches, number, scale):
        args, clock, items = self.args, self.clock, self.items
        batch = batches[number]
        ids, log_chance = self.candidates.choose(batch)
        slot = self.candidates.slot
        row, session, at, back = batch.own()
        own = slot[batch.window[session, at]]
        slots = torch.from_numpy(slot[batch.items])
        targets = torch.from_numpy(slot[batch.targets] - 1)
        ids, log_chance = torch.from_numpy(ids), torch.from_numpy(log_chance)
        own_at = (torch.from_numpy(row), torch.from_numpy(own - 1))
        back, rows_at = torch.from_numpy(back), torch.from_numpy(batch.rows)
        clock("batch and candidates")

        vectors = items.vectors[ids].requires_grad_()
        biases = items.biases[ids].requires_grad_()
        plain = F.embedding(slots, vectors)
        noisy = F.dropout(plain, args.dropout)
        kinds, gaps = torch.from_numpy(batch.kinds), torch.from_numpy(batch.gaps)
        rows = self.forward(plain, noisy, kinds, gaps).index_select(0, rows_at)
        clock("encoder")

        # The loss ends at `rows`, so that its parts can be timed apart from the encoder's.
        leaf = rows.detach().requires_grad_()
        boost = torch.where(back >= 0, self.encoder.repeat[back.clamp(min=0)], 0.0)
        offset = biases[1:] - log_chance[1:]
        values = boost + log_chance[own_at[1] + 1]
        arguments = (leaf, vectors[1:], offset, own_at, values, targets, args.temperature)
        loss = self.loss(self.buffer, *arguments, clock)
        rows.backward(leaf.grad)
        clock("encoder backward")

        for group, rate in zip(self.optimiser.param_groups, (args.rate, args.item_rate)):
            group["lr"] = rate * scale
        self.optimiser.step()
        self.optimiser.zero_grad()
        clock("encoder optimiser")
        with torch.no_grad():
            items.step(
                ids[1:],
                vectors.detach()[1:],
                vectors.grad[1:],
                biases.detach()[1:],
                biases.grad[1:],
                args.item_rate * scale,
            )
        clock("item optimiser")
        if not math.isfinite(loss):
            raise SystemExit("the loss is not finite")
        return loss, len(targets), len(ids) - 1


def schedule(at, passes):
    """Warm-up over 0.3 of a pass, then a cosine to 2 %."""
    return min(at * passes / 0.3, 1.0) * max(0.5 * (1 + math.cos(math.pi * at)), 0.02)


def train(clicks, args):
    rng = np.random.default_rng(args.seed)
    torch.manual_seed(args.seed)
    trainer = Trainer(clicks, args, rng)
    positions = args.positions or min(max(clicks.predicted // 200, 128), 2048)
    warm_up = 0 if args.loss_check else args.warm_up
    limit = None if args.steps is None else warm_up + args.steps
    losses, pass_losses, tokens, candidates, steps = [], [], 0, 0, 0
    started, spent = time.perf_counter(), 0.0
    for number in range(args.passes):
        if steps == limit:
            break
        batches = Batches(clicks, args.max_len, positions, rng)
        for at in range(len(batches)):
            if steps == limit:
                break
            if steps == warm_up:
                trainer.clock.restart()
                started = time.perf_counter()
            scale = schedule((number + at / len(batches)) / args.passes, args.passes)
            loss, predicted, chosen = trainer.step(batches, at, scale)
            losses.append(loss)
            steps += 1
            if steps > warm_up:
                tokens += predicted
                candidates += chosen
                spent = time.perf_counter() - started
        else:
            pass_losses.append(round(float(np.mean(losses[-len(batches) :])), 4))
    timed = steps - warm_up
    if timed <= 0:
        raise SystemExit(f"{steps} steps are not more than the warm-up of {warm_up}")
    out = {
        "tokens_per_second": round(tokens / spent, 1),
        "ms_per_step": round(spent / timed * 1e3, 2),
        "steps": timed,
        "warm_up_steps": warm_up,
        "tokens": tokens,
        "positions": positions,
        "negatives": args.negatives,
        "candidates_per_step": round(candidates / timed, 1),
        "loss_last_50": round(float(np.mean(losses[-50:])), 4),
        "pass_losses": pass_losses,
        "peak_rss_mib": peak_rss(),
        "items_optimiser": args.items_optimiser,
        "loss": args.loss,
        "compile": args.compile,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }
    if args.loss_check:
        out["loss_mean"] = round(float(np.mean(losses)), 4)
    if args.profile:
        parts = trainer.clock.parts.items()
        out["profile_ms_per_step"] = {name: round(s / timed * 1e3, 2) for name, s in parts}
    return out


def peak_rss():
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--data", required=True, help="folder that `onshelf prepare` wrote")
    add("--last-period", type=int, help="newest period to train on [default: the newest]")
    add("--validation", type=float, default=0.05, help="share of it that is held out")
    add("--passes", type=int, default=7, help="passes; the learning rate follows them")
    add("--steps", type=int, help="stop after this many timed steps")
    add("--warm-up", type=int, default=20, help="steps before the clock starts")
    add("--seed", type=int, default=1)
    add("--threads", type=int, default=2)
    add("--dim", type=int, default=96)
    add("--blocks", type=int, default=2)
    add("--heads", type=int, default=2)
    add("--hidden", type=int, default=0, help="0: twice --dim")
    add("--max-len", type=int, default=20)
    add("--positions", type=int, default=0, help="predicted positions a step; 0: as onshelf")
    add("--negatives", type=int, default=2048)
    add("--rate", type=float, default=1e-3)
    add("--item-rate", type=float, default=2e-2)
    add("--decay", type=float, default=0.01)
    add("--dropout", type=float, default=0.4)
    add("--temperature", type=float, default=0.07)
    add("--items-optimiser", choices=["rows", "sparse", "dense"], default="rows")
    add("--loss", choices=["hand", "autograd"], default="hand")
    add("--compile", action="store_true", help="torch.compile the encoder")
    add("--profile", action="store_true", help="print milliseconds by part of a step")
    add("--loss-check", action="store_true", help="no warm-up; print the mean loss of all steps")
    args = parser.parse_args()
    if args.dim % args.heads:
        parser.error("--heads must divide --dim")
    return args


def main():
    args = arguments()
    torch.set_num_threads(args.threads)
    imported = peak_rss()
    out = train(Clicks(args.data, args.last_period, args.validation), args)
    out["rss_after_import_mib"] = imported
    print(json.dumps(out))


if __name__ == "__main__":
    main()
