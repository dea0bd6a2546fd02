"""The error tree says what the caller can do."""

import pytest

from usher.domain import errors
from usher.domain.errors import InvariantBroken, LaunchRejected, Rejected, Unavailable, UsherError


def test_every_error_that_usher_raises_has_one_root() -> None:
    tree = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]
    assert all(issubclass(error, UsherError) for error in tree)
    assert {Rejected, Unavailable, LaunchRejected, InvariantBroken} <= set(UsherError.__subclasses__())


@pytest.mark.parametrize("kind", Rejected.__subclasses__())
def test_a_rejection_carries_a_word_for_programs_and_a_sentence_for_people(kind: type[Rejected]) -> None:
    error = kind("some_code", "Change something.")
    assert (error.code, error.detail, str(error)) == ("some_code", "Change something.", "Change something.")


def test_unavailable_says_when_to_try_again() -> None:
    assert Unavailable("The database does not answer.").retry_after_s > 0
    assert Unavailable("The database does not answer.", retry_after_s=5).retry_after_s == 5
