from hudhud.web.http.query import with_query


def test_a_query_follows_its_path() -> None:
    assert with_query("/a", {"q": "x y", "before": 7}) == "/a?q=x+y&before=7"
    assert with_query("/a", [("q", "1"), ("q", "+")]) == "/a?q=1&q=%2B"


def test_an_empty_query_leaves_the_path_alone() -> None:
    assert with_query("/a", {}) == "/a"
