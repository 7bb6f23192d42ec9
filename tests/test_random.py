from collections import Counter

from kgclip_jax.random import FastRandom, generator


def test_any_order_is_any_of_all_orders() -> None:
    random = FastRandom(generator(0, "test"))
    orders = Counter(tuple(random.in_any_order(list("abc"))) for _ in range(6000))
    assert len(orders) == 6
    assert all(abs(count - 1000) < 5 * 29 for count in orders.values())


def test_an_order_takes_no_draw_that_is_not_needed() -> None:
    class Counting(FastRandom):
        draws = 0

        def uniform(self) -> float:
            self.draws += 1
            return super().uniform()

    random = Counting(generator(0, "test"), block=2)
    assert list(random.in_any_order(["only"])) == ["only"]
    assert list(random.in_any_order([])) == []
    assert random.draws == 0
    assert next(random.in_any_order([1, 2, 3])) in (1, 2, 3)
    assert random.draws == 1
