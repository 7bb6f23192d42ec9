"""Collectives of a compiled program, counted from its text."""

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import AxisType, PartitionSpec

from kgclip_jax.planning.hlo_text import Collective, collectives

PROGRAM = """\
HloModule jit_step

%body (state: (s32[], bf16[4,8])) -> (s32[], bf16[4,8]) {
  %gathered = bf16[4,8]{1,0} all-gather(bf16[2,8]{1,0} %part), dimensions={0}
  %inner = f32[3]{0} fusion(f32[3]{0} %x), kind=kLoop, calls=%fused
}

%fused (x: f32[3]) -> f32[3] {
  %sum = f32[3]{0} all-reduce(f32[3]{0} %x), to_apply=%add
}

%add (a: f32[], b: f32[]) -> f32[] {
  ROOT %c = f32[] add(f32[] %a, f32[] %b)
}

ENTRY %main (x: f32[3]) -> f32[3] {
  %start = (f32[2]{0}, f32[4]{0}) all-gather-start(f32[2]{0} %x), dimensions={0}
  %done = f32[4]{0} all-gather-done((f32[2]{0}, f32[4]{0}) %start)
  %loop = (s32[], bf16[4,8]) while((s32[], bf16[4,8]) %init), condition=%cond, body=%body, \
backend_config={"known_trip_count":{"n":"12"}}
  ROOT %last = pred[5]{0} collective-permute(pred[5]{0} %p), source_target_pairs={{0,1}}
}
"""


def test_what_a_loop_runs_counts_as_often_as_it_runs():
    assert collectives(PROGRAM) == {
        "all-gather": Collective(13, 12 * 4 * 8 * 2 + 4 * 4),
        "all-reduce": Collective(12, 12 * 3 * 4),
        "collective-permute": Collective(1, 5),
    }


@pytest.mark.parametrize("trips", [1, 7])
def test_trips_of_a_compiled_loop_are_known(trips):
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))

    def step(x):
        def body(x, _):
            shared = jax.lax.with_sharding_constraint(x * 2, PartitionSpec())
            return jax.lax.with_sharding_constraint(jnp.sin(shared), PartitionSpec("data")), None

        return jax.lax.scan(body, x, length=trips)[0]

    with jax.set_mesh(mesh):
        x = jax.ShapeDtypeStruct(
            (16, 4), jnp.float32, sharding=jax.NamedSharding(mesh, PartitionSpec("data"))
        )
        compiled = jax.jit(step).lower(x).compile()
    assert collectives(compiled.as_text()) == {"all-gather": Collective(trips, trips * 16 * 4 * 4)}
