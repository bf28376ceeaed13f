"""The engine: squares of zones of the common face are redrawn under a prompt, and the lines they gain are kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from reage.composite import apply_to_crop
from reage.engines.base import Condition
from reage.engines.exemplar import ExemplarEngine
from reage.engines.exemplar.change import ExemplarChange
from reage.engines.exemplar.engine import keeps_face
from reage.engines.exemplar.view import FaceView, view_photo
from reage.engines.ldla.change_scale import ChangeScaleConfig, find_change_scales
from reage.engines.ldla.lines import COARSEST_PARTS, Lines, bound_lines
from reage.engines.ldla.redraw import PatchEdit, redraw
from reage.errors import EngineError, WeightsError
from reage.faces.common_face import fit_common_face
from reage.faces.patches import (
    PATCHES_OF_ZONE,
    cut_squares,
    fine_face_px,
    paste_squares,
    zone_map,
    zone_of_patch,
)
from reage.faces.skin_detail import LUMINANCE, REST, coarser_than, log_luminance, named_map
from reage.faces.zone_scorer import ZoneScorer
from reage.images import geometry
from reage.images.tensors import to_levels, to_net
from reage.nets.diffusion import DiffusionBase, load_base
from reage.nets.lora import load_trained_tensors
from reage.nets.sampling import SamplingConfig, denoise, draw_noise
from reage.plan import expected_score
from reage.prompts import NEUTRAL, UNCONDITIONAL
from reage.types import Aged, CompletePlan, Face, Gain, Plane, Reading
from reage.weights import find_weights, load_torch_weights, made_for, weights_hash
from reage.zones import ZONES, typical_score

REFINER = SamplingConfig(
    noise_strength=0.15, num_inference_steps=6, guidance_scale=1.0, added_noise=1.0, max_guidance_step=math.inf
)
"""A second pass over the face, which changes little."""
TRAINED = SamplingConfig(noise_strength=0.04, num_inference_steps=2, guidance_scale=1.0)
"""For weights of LDLA, which were trained at such a noise level, mostly without noise."""
BASE_ONLY = SamplingConfig(
    noise_strength=0.4, num_inference_steps=20, guidance_scale=5.0, added_noise=1.0, max_guidance_step=math.inf
)
"""For a base without weights of LDLA: it was not trained on pairs, and only changes a zone under much noise."""


@dataclass(frozen=True, kw_only=True)
class LdlaConfig:
    """How the engine works.

    Args:
        zones: noise, steps and guidance of the zones.
        change_scale: which scales of a zone's lines are tried until the zone measures its target score; None leaves
            all lines as they were drawn.
        refiner: noise, steps and guidance of a second pass over the face, such as `REFINER`; None leaves it out.
        donor_lines: share of the lines by donors in the zones, to which those that are drawn are added.
        min_score_change: the lines of a zone whose score is to change by less stay as they are.
    """

    zones: SamplingConfig = TRAINED
    change_scale: ChangeScaleConfig | None = field(default_factory=ChangeScaleConfig)
    refiner: SamplingConfig | None = None
    donor_lines: float = 1.0
    min_score_change: float = 0.03

    @classmethod
    def for_base(cls, base: str | Path | None) -> Self:
        """The default for weights of LDLA, which need no base, or for a base without them."""
        return cls() if base is None else cls(zones=BASE_ONLY)


class LdlaEngine:
    """Draws the lines of the zones by latent diffusion, all in one batch; the rest changes as by `exemplar`.

    The change of a zone is the difference of two pictures redrawn from the same noise, one under the target score and
    one under the present score, so that what noise and autoencoder do to it cancels out. Of it only the fine change of
    luminance is kept, and scaled until the zone measures its target score.

    Args:
        base: with the denoiser of the weights.
        weights_hash: of the weights.
        exemplar: changes light, colour, shape and hair, and the lines beyond the zones.
        config: how the engine works.
    """

    name = "ldla"
    summary = "latent diffusion: the skin of each zone by a prompt that names its score"
    accepts: frozenset[Condition] = frozenset({"age", "zones", "skin"})
    zone_driven = True
    ages = (18.0, 90.0)

    def __init__(
        self, base: DiffusionBase, weights_hash: str, exemplar: ExemplarEngine, config: LdlaConfig | None = None
    ) -> None:
        self.weights_hash = weights_hash
        self.config = config or LdlaConfig()
        self.base = base
        self._exemplar = exemplar
        self._scorer = ZoneScorer.load()

    @classmethod
    def load(
        cls,
        weights: str | Path | None = None,
        device: str = "cpu",
        *,
        base: str | Path | None = None,
        config: LdlaConfig | None = None,
    ) -> Self:
        """Reads the weights into the base that they were trained for.

        Args:
            weights: of the denoiser; the shipped ones by default.
            device: of torch.
            base: used without weights of LDLA, as it was trained elsewhere.
            config: how the engine works; by default `LdlaConfig.for_base`.

        Raises:
            EngineError: when both weights and a base are given.
            WeightsError: when one of them cannot be used.
        """
        if base is not None:
            if weights is not None:
                raise EngineError("Weights of ldla name the base they were trained for; give weights or a base.")
            loaded = load_base(base, device)
            return cls(loaded, loaded.weights_hash, ExemplarEngine.load(), config or LdlaConfig.for_base(base))
        path = find_weights(weights or cls.name)
        tensors, stored = load_torch_weights(path)
        with made_for(path, "LDLA"):
            name, known_hash, rank = stored["base"], stored["base_hash"], stored["lora_rank"]
        loaded = load_base(name, device)
        found_hash = loaded.weights_hash if int(rank) else loaded.hash_without_denoiser
        if found_hash != known_hash:
            raise WeightsError(
                f"{path} was trained on the base {name} as it was with the weights {known_hash}; it now has "
                f"{found_hash}. Get that base, or train on this one with reage training fit ldla."
            )
        with made_for(path, f"LDLA on {name}"):
            load_trained_tensors(loaded.unet, tensors, int(rank))
        return cls(loaded, weights_hash(path), ExemplarEngine.load(), config)

    def render(self, face: Face, reading: Reading, plan: CompletePlan) -> Aged:
        """The face with the planned scores in its zones, and at the planned age elsewhere."""
        is_own_age = plan.age == plan.age_from and not plan.skin
        if keeps_face(reading, plan, self.ages) or (is_own_age and not self.find_edits(reading, plan)):
            return Aged(crop=face.crop.copy())
        return self._learn_change(face, reading, plan).on(face, self._exemplar.look(face), preview=True)

    def make_change(
        self, face: Face, reading: Reading, plan: CompletePlan, like: ExemplarChange | None = None
    ) -> ExemplarChange:
        """See `reage.engines.base.SteadyEngine`."""
        return self._exemplar.steady(self._learn_change(face, reading, plan), face)

    @torch.inference_mode()
    def _learn_change(self, face: Face, reading: Reading, plan: CompletePlan) -> ExemplarChange:
        plan = replace(plan, age=float(np.clip(plan.age, *self.ages)))
        view = view_photo(face, reading.masculinity)
        edits, side = self.find_edits(reading, plan), len(view.levels)
        drawn = self._donors_share(edits, plan, side)[..., None] * self._exemplar.donor_lines(face, reading, plan, view)
        if edits:
            drawn = drawn + self.draw_lines(view, edits, plan.seed)[..., None]
        lines = Lines(drawn, *bound_lines(view, edits))
        as_drawn = lines.scaled(1.0)
        change = self._exemplar.learn_change(face, reading, plan, view=view, lines=as_drawn)
        if edits and self.config.change_scale is not None:
            rest = change.skin - as_drawn
            factor = self._find_factor(face, rest, lines, reading, edits, self.config.change_scale)
            change = replace(change, skin=rest + lines.scaled(factor[..., None]))
        if edits and self.config.refiner is not None:
            refined = self._refine(view, change.skin, plan.seed, self.config.refiner)
            changed = zone_map([*_zones_of(edits), *(REST if plan.age != plan.age_from else ())], side)
            change = replace(change, skin=change.skin + (changed * refined)[..., None])
        return change

    def _donors_share(self, edits: Sequence[PatchEdit], plan: CompletePlan, side_px: int) -> Plane:
        """(N, N) the share of the lines by donors: beyond the zones, where the age changes, and in the zones."""
        shares = dict.fromkeys(REST, float(plan.age != plan.age_from))
        shares |= dict.fromkeys(_zones_of(edits), self.config.donor_lines)
        return named_map(shares, side_px)

    def find_edits(self, reading: Reading, plan: CompletePlan) -> list[PatchEdit]:
        """The edits of the zones whose score is to change, by their own score in the plan or with the age."""
        edits = []
        for zone in ZONES:
            score = reading.zones.get(zone, typical_score(zone, plan.age_from))
            target = plan.zones.get(zone, expected_score(zone, score, plan.age_from, plan.age))
            if abs(target - score) >= self.config.min_score_change:
                edits += [PatchEdit(patch, score, target) for patch in PATCHES_OF_ZONE[zone]]
        return edits

    def draw_lines(self, view: FaceView, edits: Sequence[PatchEdit], seed: int) -> Plane:
        """(N, N) fine change of log luminance in the common face, within the zones of the edits."""
        side, names = len(view.levels), [edit.patch for edit in edits]
        cut = cut_squares(view.levels, names, self.base.picture_px)
        x = to_net(cut).to(self.base.device)
        aged, unaged = (_to_shown(part) for part in redraw(self.base, x, edits, seed, self.config.zones))
        change = np.stack([log_luminance(a) - log_luminance(b) for a, b in zip(aged, unaged, strict=True)])
        pasted = paste_squares(change.astype(np.float32), names, side)
        fine = pasted - coarser_than(pasted, COARSEST_PARTS)
        return (fine * zone_map(_zones_of(edits), side) * view.usable).astype(np.float32)

    def _find_factor(
        self,
        face: Face,
        rest: Plane,
        lines: Lines,
        reading: Reading,
        edits: Sequence[PatchEdit],
        config: ChangeScaleConfig,
    ) -> Plane:
        """(N, N) the factor on the lines with which the zones measure their target scores; 1 beyond them.

        `rest` (N, N, 3) is the change of skin without lines.
        """
        targets = {zone_of_patch(edit.patch): edit.target_score for edit in edits}
        scores = {zone: reading.zones[zone] for zone in targets if zone in reading.zones}
        side, on_crop = len(rest), _sampler(face, len(rest))

        def measure(scale: float) -> dict[str, float]:
            light = on_crop(np.asarray((rest + lines.scaled(scale)) @ LUMINANCE, np.float32))
            gain = Gain(np.repeat(light[..., None], 3, -1).astype(np.float32))
            return self._scorer.measure(replace(face, crop=apply_to_crop(face.crop, [gain])))

        scales = find_change_scales(scores, targets, measure, config)
        return named_map(scales, side, elsewhere=1.0)

    def _refine(self, view: FaceView, skin: Plane, seed: int, config: SamplingConfig) -> Plane:
        """(N, N) what a second pass over the whole common face adds to the change of its skin (N, N, 3)."""
        base, side = self.base, fine_face_px(self.base.picture_px)
        changed = geometry.resize(apply_to_crop(view.levels, [Gain(skin)]), side, side)
        latents = base.encode(to_net(changed[None]).to(base.device))
        noise = draw_noise(base, seed, 1, side // base.factor)
        denoised = denoise(base, latents, noise, base.embed([NEUTRAL]), base.embed([UNCONDITIONAL]), config)
        refined, unrefined = (_to_shown(base.decode(one))[0] for one in (denoised, latents))
        added = log_luminance(refined) - log_luminance(unrefined)
        return geometry.resize(added.astype(np.float32), *view.usable.shape) * view.usable


def _zones_of(edits: Sequence[PatchEdit]) -> list[str]:
    return list(dict.fromkeys(zone_of_patch(edit.patch) for edit in edits))


def _to_shown(x: Tensor) -> Plane:
    """Pictures (K, 3, P, P) in [-1, 1] -> (K, P, P, 3) levels from 0 to 255."""
    return np.clip(to_levels(x), 0, 255)


def _sampler(face: Face, plane_px: int) -> Callable[[Plane], Plane]:
    """Takes a plane (N, N) of the common face to the skin of the crop (S, S)."""
    side = len(face.crop)
    places = fit_common_face(face.to_crop(face.mesh)).unroll(side) * plane_px - 0.5
    on_skin = np.minimum(face.matte, np.minimum(face.bare, 1 - face.hair))
    return lambda plane: geometry.sample(np.ascontiguousarray(plane), places.astype(np.float32)) * on_skin
