"""The registered interventions."""

from __future__ import annotations

from otoscope.core.errors import UsageError
from otoscope.core.naming import Spec, parse_spec
from otoscope.core.nouns import Intervention
from otoscope.core.registry import Registry

INTERVENTIONS = Registry("intervention", "otoscope.interventions")
INTERVENTIONS.add("none", "otoscope.interventions.none:NoIntervention", "the model as it is")


def resolve_intervention(spec: Spec | str) -> Intervention:
    """``name:key=value`` -> a frozen intervention; a wrong parameter is a :class:`UsageError`."""
    spec = parse_spec(spec) if isinstance(spec, str) else spec
    factory = INTERVENTIONS.get(spec.name)
    try:
        return factory(**spec.params)
    except TypeError as e:
        raise UsageError(f"intervention {spec}: {e}") from e
