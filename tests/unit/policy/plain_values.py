"""Estimators of a policy's value by their published formulas, row by row: what the sums are held to."""

from __future__ import annotations

import numpy as np


def plain_estimate(name, tuning, w, r, q, v):
    """One estimate; w, r, q, v are the weight, the reward, its prediction, the policy's mean prediction."""
    if name == "IPS":
        return np.mean(w * r)
    if name == "MIPS":
        return np.mean(w * r)
    if name == "clipped IPS":
        return np.mean(np.minimum(w, tuning) * r)
    if name == "SNIPS":
        return np.sum(w * r) / np.sum(w)
    if name == "DM":
        return np.mean(v)
    if name == "SNDR":
        return np.mean(v) + np.sum(w * (r - q)) / np.sum(w)
    shrunk = {
        "DR": lambda: w,
        "MRDR": lambda: w,
        "OffCEM": lambda: w,
        "switch-DR": lambda: np.where(w <= tuning, w, 0.0),
        "DRos": lambda: tuning * w / (w**2 + tuning),
        "sub-Gaussian DR": lambda: w / (1 - tuning + tuning * w),
    }[name]()
    return np.mean(v + shrunk * (r - q))


def influence(name, tuning, w, r, q, v):
    """What each row adds to the estimate, of order one; the denominator's part with it."""
    if name == "SNIPS":
        return w * (r - plain_estimate(name, tuning, w, r, q, v)) / w.mean()
    if name == "SNDR":
        correction = np.sum(w * (r - q)) / np.sum(w)
        return v - v.mean() + w * (r - q - correction) / w.mean()
    whole = plain_estimate(name, tuning, w, r, q, v)
    parts = {
        "IPS": lambda: w * r,
        "MIPS": lambda: w * r,
        "clipped IPS": lambda: np.minimum(w, tuning) * r,
        "DM": lambda: v,
        "DR": lambda: v + w * (r - q),
        "MRDR": lambda: v + w * (r - q),
        "OffCEM": lambda: v + w * (r - q),
        "switch-DR": lambda: v + np.where(w <= tuning, w, 0.0) * (r - q),
        "DRos": lambda: v + tuning * w / (w**2 + tuning) * (r - q),
        "sub-Gaussian DR": lambda: v + w / (1 - tuning + tuning * w) * (r - q),
    }[name]()
    return parts - whole
