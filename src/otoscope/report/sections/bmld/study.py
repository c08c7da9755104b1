"""The benchmark's scores in the order in which the page asks for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from otoscope.core.naming import parse_spec
from otoscope.report.cards import Known, known_of
from otoscope.report.figures.style import ROLES, Style, reference_styles, subject_styles
from otoscope.report.pick import Pick, last_layer_only, layers_of, variant, variants
from otoscope.report.run import Roles, Run, roles_of
from otoscope.results.scoring import Score
from otoscope.tasks.bmld.verdict import PHASE_BLIND, Evidence, verdicts

TONES, THRESHOLDS, SPEECH = "bmld", "bmld/threshold", "bmld/speech"
RATIO, GATED = "delta_ungated_db", "delta_bmld_db"
#: A front end that uses interaural phase by construction: what a phase user looks like.
PHASE_USING = "logmel-ipd"


@dataclass(frozen=True)
class Study:
    """``tones`` holds the last layer of every variant of the tone task, the main one first: that with the most points
    of the intact stimulus. ``curves`` holds the main variant alone."""

    run: Run
    roles: Roles
    variants: Sequence[str]
    tones: Pick
    curves: Pick
    layered: Sequence[Score]
    evidence: Mapping[str, Evidence]
    styles: Mapping[str, Style]
    cards: Mapping[str, Known]
    broken: Mapping[str, str]  # models none of whose items could be answered, with the first reason

    @cached_property
    def encoders(self) -> list[str]:
        """Models with distances: subjects first, then references; no twins, and none that failed throughout."""
        with_ratio = set(self.tones.models(RATIO, GATED)) - set(self.broken)
        return [m for m in (*self.roles.subjects, *self.roles.references) if m in with_ratio]

    @cached_property
    def leads(self) -> list[str]:
        """The models the page is about: subjects with distances, or the references where there are none."""
        subjects = [m for m in self.roles.subjects if m in self.encoders]
        return subjects or self.encoders

    def shown(self, model: str) -> bool:
        """Whether a figure shows a curve from the start: the leads, and the two references that give them scale."""
        return model in self.leads[:8] or parse_spec(model).name in (PHASE_BLIND, PHASE_USING)

    def series(self, model: str) -> str:
        """The class of a model's curves."""
        return f"m{list(self.styles).index(model)}"

    def twins(self, model: str) -> tuple[str, ...]:
        return self.roles.twins.get(model, ())


def study_of(run: Run) -> Study:
    """Sort out a run."""
    roles = roles_of(run)
    tones = run.of_task(TONES)
    flat = last_layer_only(tones)
    order = _main_first(flat)
    ranked = sorted(flat, key=lambda s: order.index(variant(s)))
    # A verdict reads one curve per condition; where variants overlap, the main one is read last and stands.
    evidence = {e.model: e for e in verdicts(sorted(flat, key=lambda s: -order.index(variant(s))), TONES)}
    main = order[0] if order else ""
    multi = {m for m, layers in layers_of(tones).items() if len(layers) > 1}
    every = [run.of_task(t) for t in (TONES, THRESHOLDS, SPEECH)]
    present = list(dict.fromkeys(s.model for scores in every for s in scores))
    models = [m for m in (*roles.subjects, *roles.references, *roles.all_twins) if m in present]
    return Study(
        run=run,
        roles=roles,
        variants=order,
        tones=Pick(ranked),
        curves=Pick([s for s in ranked if variant(s) == main]),
        layered=[s for s in tones if s.model in multi and variant(s) == main],
        evidence=evidence,
        styles=_styles(roles, models),
        cards={m: known_of(m) for m in models},
        broken=_broken(run),
    )


def _broken(run: Run) -> dict[str, str]:
    planned: dict[str, int] = {}
    for c in run.cells:
        planned[c.model] = planned.get(c.model, 0) + c.n_items
    failed: dict[str, int] = {}
    reasons: dict[str, str] = {}
    for f in run.failures:
        failed[f.model] = failed.get(f.model, 0) + f.n_failed
        reasons.setdefault(f.model, f.reasons[0][0])
    return {m: reasons[m] for m, n in failed.items() if n >= planned.get(m, 0)}


def _main_first(scores: Sequence[Score]) -> list[str]:
    points: dict[str, set[object]] = {v: set() for v in variants(scores)}
    for s in scores:
        if s.condition == "intact" and s.metric == RATIO:
            points[variant(s)].add((s.factors.get("frequency_hz"), s.factors.get("snr_db")))
    return sorted(points, key=lambda v: -len(points[v]))


def _styles(roles: Roles, models: Sequence[str]) -> dict[str, Style]:
    """Fixed styles for the references that have a role, then subjects, other references and twins."""
    fixed = {m: s for m in models if (s := _fixed(m)) is not None and m not in roles.subjects}
    free = [m for m in models if m in roles.references and m not in fixed]
    own = subject_styles(m for m in models if m in roles.subjects)
    if not own:  # a page about references alone: they get the colours
        own, free = subject_styles(free), []
    found = {**own, **fixed, **reference_styles(free), **dict.fromkeys(roles.all_twins, ROLES["twin"])}
    return {m: found[m] for m in models if m in found}


def _fixed(model: str) -> Style | None:
    name = parse_spec(model).name
    if name == PHASE_BLIND:
        return ROLES["phase-blind"]
    if name == PHASE_USING:
        return ROLES["phase-using"]
    return ROLES.get(name)
