"""Small linear algebra in one thread, whatever the process has."""

from threadpoolctl import ThreadpoolController

from gramophone.realtime.stages.one_thread import one_thread


def test_one_thread_within_and_as_many_as_before_after_all_have_left():
    blas = ThreadpoolController().select(user_api="blas")

    def threads():
        return {library["num_threads"] for library in blas.info()}

    with blas.limit(limits=2):
        with one_thread:
            with one_thread:
                assert threads() == {1}
            assert threads() == {1}
        assert threads() == {2}
