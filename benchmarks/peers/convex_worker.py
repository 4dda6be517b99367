"""Runs in the peers' environment: instances on standard input, times and objectives on standard output."""

from __future__ import annotations

import json
import sys
import time

import cvxpy
import numpy as np
from scipy.optimize import minimize

# A price of nothing has no logarithm; at this part of the largest it is as good as nothing.
_LOWEST = 1e-9


class Instance:
    """Constant-product pools between tokens, and what each token is worth where it may be kept."""

    def __init__(self, raw: dict) -> None:
        self.tokens = raw["tokens"]
        self.token0, self.token1 = np.array(raw["token0"]), np.array(raw["token1"])
        self.reserve0, self.reserve1 = np.array(raw["reserve0"]), np.array(raw["reserve1"])
        self.kept, self.values = np.array(raw["kept"]), np.array(raw["values"])

    def gain(self, prices: np.ndarray) -> tuple[float, np.ndarray]:
        """Sum of the pools' best gains at these prices, and its gradient."""
        p0, p1 = prices[self.token0], prices[self.token1]
        k = self.reserve0 * self.reserve1
        sell0 = np.maximum(np.sqrt(self.kept * k * p1 / p0) - self.reserve0, 0.0) / self.kept
        sell1 = np.maximum(np.sqrt(self.kept * k * p0 / p1) - self.reserve1, 0.0) / self.kept
        out1 = self.reserve1 - k / (self.reserve0 + self.kept * sell0)
        out0 = self.reserve0 - k / (self.reserve1 + self.kept * sell1)
        net0, net1 = out0 - sell0, out1 - sell1
        gradient = np.zeros(self.tokens)
        np.add.at(gradient, self.token0, net0)
        np.add.at(gradient, self.token1, net1)
        return float(p0 @ net0 + p1 @ net1), gradient

    def scipy(self) -> float:
        """L-BFGS-B over the prices, from prices of one."""
        floor = np.where(self.values > 0, self.values, _LOWEST)
        found = minimize(
            self.gain,
            np.maximum(np.ones(self.tokens), floor),
            jac=True,
            method="L-BFGS-B",
            bounds=[(low, None) for low in floor],
            options={"maxiter": 20_000, "maxfun": 40_000, "ftol": 1e-12, "gtol": 1e-10},
        )
        return float(found.fun)

    def cvxpy(self) -> float:
        """The primal problem as a cone program."""
        count = len(self.token0)
        # In parts of each pool's reserves: cone solvers want numbers of one size.
        paid = [cvxpy.Variable(count, nonneg=True) for _ in range(2)]
        got = [cvxpy.Variable(count, nonneg=True) for _ in range(2)]
        surplus = 0
        for side, (token, reserve) in enumerate(((self.token0, self.reserve0), (self.token1, self.reserve1))):
            matrix = np.zeros((self.tokens, count))
            matrix[token, np.arange(count)] = reserve
            surplus += matrix @ (got[side] - paid[side])
        left = [1 + cvxpy.multiply(self.kept, paid[side]) - got[side] for side in range(2)]
        # The product of what is left may not fall below one: a rotated cone.
        held = [
            cvxpy.SOC(left[0] + left[1], cvxpy.vstack([left[0] - left[1], 2 * np.ones(count)]), axis=0),
            surplus >= 0,
        ]
        problem = cvxpy.Problem(cvxpy.Maximize(self.values @ surplus), held)
        problem.solve(solver=cvxpy.CLARABEL)
        return float(problem.value)


def main() -> None:
    question = json.load(sys.stdin)
    answers = []
    for raw in question["instances"]:
        instance = Instance(raw)
        answer = {}
        for name in question["solvers"]:
            started = time.perf_counter_ns()
            objective = getattr(instance, name)()
            answer[name] = {"ns": time.perf_counter_ns() - started, "objective": objective}
        answers.append(answer)
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
