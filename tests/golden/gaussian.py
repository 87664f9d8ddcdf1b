"""Golden values of the analytic Gaussian mechanism, by Google's dp-accounting 0.6.0 (Apache-2.0):

    pip install dp-accounting==0.6.0 && python tests/golden/gaussian.py > tests/golden/gaussian.json
"""
import json
import dp_accounting
from dp_accounting.pld import privacy_loss_mechanism as plm

rows = []
for z in (0.3, 0.6529, 1.0, 1.1935, 2.0, 4.2247, 10.0, 40.0):
    for delta in (1e-5, 1e-6, 1e-9):
        loss = plm.GaussianPrivacyLoss(z, sensitivity=1)
        lo, hi = 0.0, 60.0
        if loss.get_delta_for_epsilon(0.0) <= delta:
            eps = 0.0
        else:
            for _i in range(200):
                mid = (lo + hi) / 2
                lo, hi = (mid, hi) if loss.get_delta_for_epsilon(mid) > delta else (lo, mid)
            eps = hi
        rows.append({"z": z, "delta": delta, "epsilon": eps})
calibrated = []
for eps in (0.5, 1.0, 2.0, 4.0, 8.0):
    for delta in (1e-5, 1e-6, 1e-8):
        loss = plm.GaussianPrivacyLoss.from_privacy_guarantee(
            dp_accounting.pld.common.DifferentialPrivacyParameters(eps, delta))
        calibrated.append({"epsilon": eps, "delta": delta, "z": loss.standard_deviation})
print(json.dumps({"made_by": "dp-accounting 0.6.0, tests/golden/gaussian.py", "epsilon_of": rows, "z_of": calibrated}, indent=1))
