"""The compiled kernel that is committed is the one that its source gives."""

from capture_app.camera.build_kernel import HERE, PROCESSORS, build_kernel


def test_compiling_again_gives_the_committed_bytes(tmp_path):
    """If it does not: `python -m capture_app.camera.build_kernel`, and commit what it writes."""
    built = build_kernel(tmp_path)
    assert [path.name for path in built] == list(PROCESSORS)
    for path in built:
        assert path.read_bytes() == (HERE / path.name).read_bytes(), path.name
